"""A world that runs: namespaces and servers, and whatever else surrounds a stack, built and taken down."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from guestnet.core.errors import GuestnetError, LabError
from guestnet.core.events import Noted, Served, SubnetOverlap
from guestnet.core.laptop import LaptopFacts
from guestnet.edge.clock import LabClock
from guestnet.journal.recording import FileRecorder
from guestnet.system.forked import Spawner
from guestnet.world.described.overlap import Network, overlapping
from guestnet.world.described.world import World
from guestnet.world.kernel.forwarding import set_up
from guestnet.world.kernel.mounts import named_at_start, write_etc
from guestnet.world.kernel.namespaces import Namespaces, build, prepare_laptop
from guestnet.world.laptop.resolving import LaptopResolver
from guestnet.world.laptop.uplinks import Uplinks
from guestnet.world.links.running import Links
from guestnet.world.nat64.running import Nat64s
from guestnet.world.portal.running import Portals
from guestnet.world.servers.running import Answered, Servers
from guestnet.world.vpn.running import Vpns


class RunningWorld:
    """One ``world`` in the lab process, around guests in the networks ``guests``.

    Processes of ours come from ``spawner``. ``on_fault`` is called when a part of it ends unasked;
    ``on_facts`` gets ``facts``, what the networks have told the laptop, whenever they change. ``keeps`` is as
    of `Links`, ``proxy_python`` as of `Servers`.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: int,
        spawner: Spawner,
        recorder: FileRecorder,
        clock: LabClock,
        on_fault: Callable[[GuestnetError], None],
        proxy_python: str,
        on_facts: Callable[[LaptopFacts], None],
        guests: Sequence[str] = (),
        keeps: Callable[[], int],
    ) -> None:
        self.world = world
        self.namespaces = Namespaces()
        self.resolv_conf = write_etc(world)
        self._seed = seed
        self._recorder = recorder
        self._clock = clock
        self._on_fault = on_fault
        self._guests = tuple(guests)
        self._on_facts = on_facts
        self._is_started = False
        named = named_at_start(world)
        self.resolver = LaptopResolver(
            self.resolv_conf, named, on_change=lambda servers: self._tell(resolvers=servers)
        )
        self.links = Links(
            world, seed=seed, recorder=recorder, clock=clock, keeps=keeps, on_fault=self._failed
        )
        self.uplinks = Uplinks(world, self.resolver, recorder, clock, self.check_overlap, self._tell_portal)
        self.vpns = Vpns(
            world, self.resolver, recorder, clock, seed=seed, spawner=spawner, on_fault=on_fault,
            brought=self.check_overlap, attach=self.links.attach,
        )  # fmt: skip
        self._nat64 = Nat64s(world, lambda *told: self._served(Answered(*told)))
        self.portals = Portals(world, recorder, clock, self._tell_portal)
        self._servers = Servers(
            world, self._served, self._server_ended, spawner=spawner, now=clock.now, ask=self.portals.ask,
            proxy_python=proxy_python,
        )  # fmt: skip
        self.facts = LaptopFacts(portal=self._captive_portal(), resolvers=tuple(named))
        self._forget_clock = clock.on_jump(self._servers.clock_jumped)

    @property
    def pids(self) -> dict[str, int]:
        """PIDs of the world's processes, by what they do."""
        return self._servers.pids | self.vpns.pids

    async def prepare(self) -> None:
        """Start what needs no namespaces yet. Raises EnvironmentMissing."""
        prepare_laptop(self.world)
        await self.vpns.prepare()
        await self._servers.prepare()

    async def start(self) -> None:
        """Build everything. Raises EnvironmentMissing, DescriptionError, LabError."""
        self.namespaces = await asyncio.to_thread(self._build)
        await self.links.start(self.namespaces)
        await self.uplinks.start()
        self._is_started = True
        await self._nat64.start(self.namespaces)
        await self.portals.start(self.namespaces, self._servers.processes, self._servers.query_reader)
        await self._servers.start(self.namespaces)
        await self.vpns.start(self.namespaces)

    async def stop(self) -> None:
        """End the world's processes. The namespaces go with ``close``. Idempotent."""
        await self.links.stop()
        self._forget_clock()
        self._forget_clock = lambda: None
        self.portals.close()
        await self._nat64.stop()
        await self.vpns.stop()
        await self._servers.stop()
        await self.resolver.close()

    def close(self) -> None:
        """Let go of the namespaces."""
        self.namespaces.close()

    def check_overlap(self, of: str, networks: Iterable[str]) -> None:
        """Tell the journal which of ``networks``, which ``of`` has brought, overlap the guests'; and VPNs
        whose policies are about the local networks."""
        self.vpns.networks_changed()
        for subnet in self._guests:
            for network in overlapping((subnet,), [Network(of, each) for each in networks]):
                now = self._clock.now()
                self._recorder.event(SubnetOverlap(at=now, of=of, network=network.prefix, subnet=subnet))

    def _captive_portal(self) -> str:
        """URI of the API that the laptop's best network tells of (RFC 8910), or nothing.

        Before the start, of the network that it will have: it was there before its guests.
        """
        described = {} if self._is_started else self.world.uplinks
        will_be = {name for name, uplink in described.items() if uplink.up}
        up = [state for state in self.uplinks.states if state.up or state.name in will_be]
        if not up:
            return ""
        best = min(up, key=lambda state: state.metric)
        return self.portals.told_on(best.link)

    def _tell_portal(self) -> None:
        self._tell(portal=self._captive_portal())

    def _tell(self, **changed: Any) -> None:
        facts = replace(self.facts, **changed)
        if facts != self.facts:
            self.facts = facts
            self._on_facts(facts)

    def _build(self) -> Namespaces:
        namespaces = build(self.world)
        try:
            set_up(self.world, namespaces)
        except BaseException:
            namespaces.close()
            raise
        return namespaces

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, GuestnetError):
            error = LabError(
                f"a part of the world failed ({type(error).__name__}: {error})", remedy="see lab.log"
            )
        self._on_fault(error)

    def _served(self, answered: Answered) -> None:
        self._recorder.event(Served(at=self._clock.now(), **answered._asdict()))

    def _server_ended(self, reason: str) -> None:
        self._recorder.event(Noted(at=self._clock.now(), text=reason, level="error"))
        self._on_fault(LabError(f"the world broke: {reason}", remedy="see lab.log"))
