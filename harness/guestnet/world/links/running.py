"""All links of a running world: their taps, and what is wrong with which.

A VPN's tunnel is a link, too, from when it has its devices. Where the device at its far end is not the peer
of the laptop's, what comes down is captured where it arrives, by a tap: what carries the tunnel has had its
way with it by then.
"""

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv6Interface
from typing import Final, NamedTuple

from guestnet.core.errors import DescriptionError, LabError
from guestnet.core.events import Event, LinkChanged, Noted
from guestnet.core.recorder import Direction
from guestnet.core.time import earliest
from guestnet.edge.clock import LabClock
from guestnet.edge.timer import Timer
from guestnet.journal.recording import FileRecorder
from guestnet.link.impairable import Settings
from guestnet.link.link import Link
from guestnet.link.settings import NOTHING, Impairments, Schedule
from guestnet.wire.ipv6 import Ip6, ip6
from guestnet.world.described.model import LAPTOP
from guestnet.world.described.model import Link as Described
from guestnet.world.described.vpn import Vpn
from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links.carrier import Carrier
from guestnet.world.links.diversion import Diversion, End, Ether
from guestnet.world.links.impaired import ImpairedLink
from guestnet.world.links.marks import Marks
from guestnet.world.links.ring import Ring
from guestnet.world.links.tap import SIZE, SLOTS, Tap

_NAMELESS: Final = 0xC0_0008
"""Of an address of IPv6 that stands for no machine: as 192.0.0.8 does (RFC 7600 section 4.8)."""
_NEVER: Final = 1 << 62
"""What the timer is set for while it is not."""


class Ends(NamedTuple):
    """Of a link; ``near`` is the laptop's, or else the first in the order of the description."""

    near: End
    far: End
    are_peers: bool = True
    """Whether what leaves by one device arrives at the other at once."""


class Links:
    """The links of ``world``, by name; "up" is away from the laptop, or else from the first of the two ends.

    ``keeps`` says how many octets of a frame the capture keeps; with 0 there are no taps. ``on_fault`` is
    told when something fails that nobody waited for.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: int,
        recorder: FileRecorder,
        clock: LabClock,
        keeps: Callable[[], int],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._world = world
        self._seed = seed
        self._recorder = recorder
        self._clock = clock
        self._keeps = keeps
        self._on_fault = on_fault
        self._namespaces = Namespaces()
        self._ether = Ether()
        self._ends = {name: _ends(name, link) for name, link in world.links.items()}
        self._engines: dict[str, Link] = {}
        self._impaired: dict[str, ImpairedLink] = {}
        self._marks: dict[str, Marks] = {}
        """Of the links between devices that are no peers."""
        self._taps: dict[str, Tap] = {}
        self._carriers: dict[str, Carrier] = {}
        self._missed: dict[str, int] = {}
        self._count = 0
        self._turn = asyncio.Lock()
        self._timer: Timer | None = None
        self._armed = _NEVER
        self._forget: Callable[[], None] | None = None
        self._tidying: asyncio.Task[None] | None = None

    async def start(self, namespaces: Namespaces) -> None:
        """Tap all links, and impair those that are described so. Raises EnvironmentMissing, LabError."""
        self._namespaces = namespaces
        self._timer = Timer(self._on_timer)
        self._forget = self._clock.on_jump(self._on_timer)
        described = {name: link.impair for name, link in self._world.links.items() if link.impair is not None}
        if self._keeps():
            ends = {name: self._ends[name].near for name in self._world.links if name not in described}
            rings = await asyncio.to_thread(lambda: {name: self._ring(end) for name, end in ends.items()})
            for name, ring in rings.items():
                self._taps[name] = self._tap(name, ring)
        if described:
            # Made once, before several threads ask for it.
            await asyncio.to_thread(lambda: self._ether.descriptor)
            await asyncio.gather(*(self._divert(name, self._engine(name)) for name in described))
        for name, impair in described.items():
            await self.put(name, (impair.of("up"), impair.of("down")))

    async def attach(self, name: str, far: End, *, are_peers: bool) -> None:
        """The VPN ``name`` has its devices now: the laptop's, of its name, and the one at the ``far`` end.

        Capture it, and impair it if it is described so. Raises LabError, EnvironmentMissing.
        """
        self._ends[name] = Ends(End(LAPTOP, name), far, are_peers)
        if not are_peers:
            self._marks[name] = Marks()
        if self._keeps():
            self._taps[name] = self._tap(name, await asyncio.to_thread(self._ring, self._ends[name].near))
        if (impair := self._world.vpns[name].impair) is not None:
            await self.put(name, (impair.of("up"), impair.of("down")))

    @property
    def names(self) -> list[str]:
        """Of the world's links and VPNs."""
        return [*self._world.links, *self._world.vpns]

    # --- capture ---

    def sweep(self) -> None:
        """Write down all that has passed so far."""
        for name, tap in self._taps.items():
            self._sweep(name, tap)
        for name, impaired in self._impaired.items():
            impaired.sweep()
            self._tell_missed(name, impaired.missed(), "were lost because the lab was too slow")

    # --- impairments ---

    def settings(self, name: str) -> Settings:
        """What is set now. Raises DescriptionError when there is no such link."""
        link = self._engine(name)
        return link.settings("up"), link.settings("down")

    async def impair(self, name: str, settings: Impairments, direction: Direction | None) -> None:
        """Set what ``settings`` sets in ``direction`` or both; all else stays.

        Raises DescriptionError, LabError, EnvironmentMissing.
        """
        await self._change(name, lambda link, now: link.impair(settings, now, direction))

    async def put(self, name: str, settings: Settings) -> None:
        """Set exactly ``settings``. Raises as of ``impair``."""

        await self._change(
            name,
            lambda link, now: link.put(settings, now),
            divert=settings != (NOTHING, NOTHING),
        )

    async def clear(self, name: str, settings: Sequence[str], direction: Direction | None) -> None:
        """Take back ``settings``, or all and the schedule, in ``direction`` or both.

        Raises as of ``impair``.
        """
        await self._change(
            name, lambda link, now: link.clear(now, *settings, direction=direction), divert=False
        )

    async def schedule(self, name: str, schedule: Schedule | None) -> None:
        """Follow ``schedule`` from now on, in place of the former one. Raises as of ``impair``."""
        await self._change(name, lambda link, now: link.schedule(schedule, now))

    async def set_carrier(self, name: str, carrier: bool) -> None:
        """Pull the cable of the link out, or plug it in. Raises DescriptionError, LabError."""
        self._engine(name)
        if name in self._world.vpns:
            raise DescriptionError(
                f"{name} is a VPN, which has no plug", remedy=f"say lab.links[{name!r}].impair(down=True)"
            )
        far = self._ends[name].far
        async with self._turn:
            if carrier is (name not in self._carriers):
                return
            if carrier:
                await asyncio.to_thread(self._carriers.pop(name).give_back, self._namespaces)
            else:
                self._carriers[name] = await asyncio.to_thread(Carrier.take, self._namespaces, far)
            change = "plugged" if carrier else "unplugged"
            self._recorder.event(LinkChanged(at=self._clock.now(), link=name, change=change))

    async def stop(self) -> None:
        """Write down what has passed and let go of everything. Idempotent."""
        if self._timer is None:
            return
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])
        self.sweep()
        for name, count in self._missed.items():
            self._note(f"the capture of {name} lacks {count} frames")
        self._timer.close()
        self._timer = None
        if self._forget is not None:
            self._forget()
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()
        for impaired in self._impaired.values():
            impaired.close()
            impaired.diversion.close()
        self._impaired.clear()
        self._ether.close()

    # --- within ---

    async def _change(
        self, name: str, change: Callable[[Link, int], Sequence[Event]], *, divert: bool = True
    ) -> None:
        link = self._engine(name)
        async with self._turn:
            if divert and name not in self._impaired:
                await self._divert(name, link)
            impaired = self._impaired.get(name)
            try:
                if impaired is not None:
                    impaired.sweep()
                for event in change(link, self._clock.now()):
                    self._recorder.event(event)
            finally:
                self._rearm()
                await self._tidy()

    async def _tidy_later(self) -> None:
        async with self._turn:
            await self._tidy()

    async def _tidy(self) -> None:
        """Let links be as they were that nothing impairs any more, when what was held has left."""
        for name, impaired in list(self._impaired.items()):
            if impaired.is_idle:
                await self._rejoin(name, impaired)

    async def _divert(self, name: str, link: Link) -> None:
        self._count += 1
        near, far, are_peers = self._ends[name]
        diversion = await asyncio.to_thread(
            Diversion, self._namespaces, self._ether, (near, far), self._count
        )
        impaired = ImpairedLink(
            link, diversion, self._recorder, self._clock, self._rearm, self._marks.get(name)
        )
        try:
            await asyncio.to_thread(diversion.divert)
        except BaseException:
            impaired.close()
            await asyncio.to_thread(diversion.restore)
            raise
        if are_peers and (tap := self._taps.pop(name, None)) is not None:
            self._sweep(name, tap)
            tap.close()
        self._impaired[name] = impaired

    async def _rejoin(self, name: str, impaired: ImpairedLink) -> None:
        await asyncio.to_thread(impaired.diversion.rejoin)
        impaired.sweep()
        del self._impaired[name]
        impaired.close()
        await asyncio.to_thread(impaired.diversion.restore)
        if self._keeps() and name not in self._taps:
            self._taps[name] = self._tap(name, await asyncio.to_thread(self._ring, self._ends[name].near))

    def _engine(self, name: str) -> Link:
        if name not in self._ends:
            raise DescriptionError(
                f"there is no link {name!r}", remedy="give one of " + ", ".join(self._ends)
            )
        if name not in self._engines:
            described = self._world.vpns[name] if name in self._world.vpns else self._world.links[name]
            self._engines[name] = Link(name, self._seed, addresses=_answering(described))
        return self._engines[name]

    def _ring(self, end: End) -> Ring:
        try:
            with self._namespaces.inside(end.host):
                return Ring(end.device, size=SIZE, slots=SLOTS, offloads=True)
        except OSError as error:
            raise LabError(
                f"{end.device} on {end.host} can't be captured ({error.strerror})",
                remedy="see whether the interface is still there, or start the lab with capture='none'",
            ) from error

    def _tap(self, name: str, ring: Ring) -> Tap:
        return Tap(name, ring, self._recorder, self._clock, self._keeps, self._marks.get(name))

    def _sweep(self, name: str, tap: Tap) -> None:
        self._tell_missed(name, tap.sweep(), "are not in the capture: it could not keep up")

    def _tell_missed(self, name: str, count: int, what: str) -> None:
        if count and name not in self._missed:
            self._note(f"{count} frames on {name} {what}")
        if count:
            self._missed[name] = self._missed.get(name, 0) + count

    def _note(self, text: str) -> None:
        self._recorder.event(Noted(at=self._clock.now(), text=text, level="warning"))

    # --- the timer ---

    def _rearm(self) -> None:
        at = earliest(*[impaired.link.poll_at() for impaired in self._impaired.values()])
        if self._timer is not None and at is not None and at < self._armed:
            self._armed = at
            self._timer.set(at - self._clock.now())

    def _on_timer(self) -> None:
        self._armed = _NEVER
        for impaired in list(self._impaired.values()):
            impaired.due()
        self._rearm()
        if self._tidying is None and any(each.is_idle for each in self._impaired.values()):
            self._tidying = asyncio.create_task(self._tidy_later(), name="links")
            self._tidying.add_done_callback(self._tidied)

    def _tidied(self, task: asyncio.Task[None]) -> None:
        self._tidying = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)


def _ends(name: str, link: Described) -> Ends:
    near, far = sorted(link.ends, key=lambda host: host != LAPTOP)
    return Ends(End(near, name), End(far, name))


def _answering(link: Described | Vpn) -> list[Ip6]:
    """Where a link answers from that has no machine of its own: an address in its prefix that nobody has.

    One of the link-local scope would not get far. In IPv4 there is one for just that, and it does.
    """
    prefixes = [
        IPv6Interface(address).network for ends in link.ends.values() for address in ends if ":" in address
    ]
    return [ip6(str(prefix[_NAMELESS])) for prefix in prefixes if prefix.num_addresses > _NAMELESS][:1]
