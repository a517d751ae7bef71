"""Captive portals that run: the lab's side, which decides what they answer and who goes through.

A login is complete when the kernel of the access point lets the machine through: only then the form is
answered. Sessions end by the lab's clock, so that they are over after a night's sleep.
"""

import asyncio
import os
import signal
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError, GuestnetError
from guestnet.core.events import Noted, PortalChanged, Served
from guestnet.core.recorder import Recorder
from guestnet.edge.clock import LabClock
from guestnet.system.children import Children
from guestnet.system.dnsmasq import STARTED
from guestnet.world.described.place import WorldError, is_network
from guestnet.world.described.portal import Changes, PortalState, Ways
from guestnet.world.described.portal_problems import way_problems
from guestnet.world.described.world import World
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.kernel.places import RUN
from guestnet.world.portal import decide, resolver
from guestnet.world.portal.ruleset import ruleset
from guestnet.world.portal.sessions import Sessions
from guestnet.world.servers.failing import cannot_at
from guestnet.world.servers.messages import AskedName, AskedPage, Name, Page

_MISSING: Final = 500

Reader = Callable[[str], Callable[[str], None]]
"""Makes what reads the log of the dnsmasq of that name."""


class Portals:
    """All portals of ``world``; ``on_change`` is called when one has got other ways."""

    def __init__(
        self, world: World, recorder: Recorder, clock: LabClock, on_change: Callable[[], None]
    ) -> None:
        self._portals = {
            name: RunningPortal(name, world, recorder, clock, on_change) for name in world.portals
        }

    async def start(self, namespaces: Namespaces, processes: Children, reader: Reader) -> None:
        """Close all of them to everybody. Raises EnvironmentMissing, LabError."""
        starting = (
            portal.start(namespaces, processes, reader(name)) for name, portal in self._portals.items()
        )
        await asyncio.gather(*starting)

    def close(self) -> None:
        """Let go of timers. Idempotent."""
        for portal in self._portals.values():
            portal.close()

    async def ask(self, asked: AskedPage | AskedName) -> Page | Name:
        """What a portal answers to its client."""
        portal = self._portals[asked.portal]
        return await portal.page(asked) if isinstance(asked, AskedPage) else portal.name(asked)

    def __getitem__(self, name: str) -> "RunningPortal":
        if name not in self._portals:
            there_are = ", ".join(self._portals) or "no portal"
            raise DescriptionError(f"there is no portal {name!r}", remedy=f"this world has {there_are}")
        return self._portals[name]

    def told_on(self, link: str) -> str:
        """URI of the API that DHCP tells of on ``link``, or nothing."""
        told = (portal.told for portal in self._portals.values() if portal.link == link)
        return next(told, "")

    @property
    def states(self) -> list[PortalState]:
        """As they are now."""
        return [portal.state for portal in self._portals.values()]


class RunningPortal:
    """One portal. All verbs are safe to call at once."""

    def __init__(
        self, name: str, world: World, recorder: Recorder, clock: LabClock, on_change: Callable[[], None]
    ) -> None:
        self._name = name
        self._portal = world.portals[name]
        self._ways: Ways = self._portal
        self._addresses = world.portal_addresses(name)
        self._garden = garden(self._portal.garden, world)
        self._real = records(self._portal.garden, world)
        self._recorder = recorder
        self._clock = clock
        self._on_change = on_change
        self._sessions = Sessions()
        self._namespaces = Namespaces()
        self._processes: Children | None = None
        self._folder = RUN / f"portal-{name}"
        self._turn = asyncio.Lock()
        self._timer: TimerHandle | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._forget = clock.on_jump(self._time_is_over)

    @property
    def link(self) -> str:
        """The link that it is on."""
        return self._portal.link

    @property
    def told(self) -> str:
        """URI of its API, if it has one."""
        return decide.api_url(self._portal) if self._ways.api else ""

    @property
    def state(self) -> PortalState:
        """As it is now."""
        now = self._clock.now()
        machines = self._sessions.machines
        ways = Ways(**{name: getattr(self._ways, name) for name in Ways.__struct_fields__})
        return PortalState(
            name=self._name,
            ways=ways,
            url=f"http://{self._portal.name}/",
            api=decide.api_url(self._portal),
            open_for={machine: self._sessions.of(machine, now).remaining for machine in machines},
        )

    async def start(self, namespaces: Namespaces, processes: Children, read: Callable[[str], None]) -> None:
        """Close it to everybody; names and DHCP work. Raises EnvironmentMissing, LabError."""
        self._namespaces = namespaces
        self._processes = processes
        self._folder.mkdir()
        self._write_options()
        words = resolver.command(self._portal, self._addresses, self._folder)
        path = namespaces.path(self._portal.host)
        await asyncio.gather(
            self._load(),
            processes.run_in(path, self._name, words, STARTED, read, cannot_at(f"portals.{self._name}")),
        )

    def close(self) -> None:
        """Let go of timers. Idempotent."""
        self._forget()
        self._forget = lambda: None
        for pending in (self._timer, self._expiring):
            if pending is not None:
                pending.cancel()

    # What clients ask

    async def page(self, asked: AskedPage) -> Page:
        """The answer; when it logs the client in or out, that is done before."""
        machine = await asyncio.to_thread(self._machine, _address(asked.client))
        session = self._sessions.of(machine, self._clock.now())
        answer = decide.page(
            self._portal, self._ways, self._addresses, session,
            decide.Asked(asked.secure, asked.method, asked.host, asked.path, asked.body),
        )  # fmt: skip
        if answer.login and not machine:
            return Page(asked.number, _MISSING, {}, "There is no such machine on this link.\n")
        if answer.login:
            await self._open(machine, asked.client)
        elif answer.logout:
            await self._close([machine], "logged out")
        return Page(asked.number, answer.status, dict(answer.headers), answer.body)

    def name(self, asked: AskedName) -> Name:
        """The forged answer."""
        forged = decide.name(asked.query, self._addresses, self._ways.ttl, self._real)
        if forged.question:
            at, client = self._clock.now(), asked.client
            served = Served(at=at, server=self._name, client=client, request=forged.question, status="forged")
            self._recorder.event(served)
        return Name(asked.number, forged.answer)

    # What scenarios ask

    async def set(self, changes: Changes) -> None:
        """Change its ways, for everybody and at once. Raises DescriptionError."""
        portal = msgspec.structs.replace(self._portal, **changes.given)
        for problem in way_problems(("portals", self._name), portal):
            raise WorldError(problem)
        self._portal = self._ways = portal
        self._write_options()
        self._tell_dnsmasq()
        async with self._turn:
            await self._load()
        told = ", ".join(f"{name}={value}" for name, value in changes.given.items())
        self._event("set", told)
        self._on_change()

    async def expire(self) -> None:
        """End all sessions."""
        await self._close(self._sessions.machines, "ended")

    # Sessions

    async def _open(self, machine: str, client: str) -> None:
        async with self._turn:
            self._sessions.open(machine, self._ways.session, self._clock.now())
            await self._load()
        self._arm()
        until = f" for {self._ways.session:g} s" if self._ways.session else ""
        self._event("open", f"{_address(client)} ({machine}) logged in{until}")

    async def _close(self, machines: list[str], why: str) -> None:
        async with self._turn:
            closed = [machine for machine in machines if self._sessions.close(machine)]
            await self._load()
        for machine in closed:
            self._event("closed", f"{machine}: {why}")

    def _arm(self) -> None:
        """Come again when the next session ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        end = self._sessions.poll_at()
        if end is not None:
            delay = max(0, end - self._clock.now()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay, self._time_is_over)

    def _time_is_over(self) -> None:
        """Perhaps: also called when the clock has jumped."""
        end = self._sessions.poll_at()
        if end is None or end > self._clock.now():
            self._arm()
        elif self._expiring is None or self._expiring.done():
            self._expiring = asyncio.create_task(self._expire(), name=f"portal {self._name} expires")

    async def _expire(self) -> None:
        try:
            async with self._turn:
                over = self._sessions.expire(self._clock.now())
                await self._load()
        except GuestnetError as error:
            self._recorder.event(Noted(at=self._clock.now(), text=str(error), level="error"))
            return
        for machine in over:
            self._event("closed", f"{machine}: its time is over")
        self._arm()

    # The access point

    async def _load(self) -> None:
        rules = ruleset(self._portal, self._ways, self._garden, self._sessions.machines)
        what = f"portal {self._name}"
        await asyncio.to_thread(nft.load, self._namespaces, self._portal.host, rules, what=what)

    def _machine(self, address: str) -> str:
        """The hardware address of ``address``, as the access point's neighbour table has it; "" if none."""
        from pyroute2 import IPRoute

        with self._namespaces.inside(self._portal.host), IPRoute() as routes:
            (index,) = routes.link_lookup(ifname=self._portal.link)
            for neighbour in routes.get_neighbours(ifindex=index, dst=address):
                if (machine := neighbour.get_attr("NDA_LLADDR")) is not None:
                    return str(machine)
        return ""

    def _write_options(self) -> None:
        (self._folder / "options").write_text(resolver.options(self._portal, self._ways))

    def _tell_dnsmasq(self) -> None:
        assert self._processes is not None
        if (pid := self._processes.pids.get(self._name)) is not None:
            os.kill(pid, signal.SIGHUP)

    def _event(self, change: Literal["open", "closed", "set"], what: str) -> None:
        self._recorder.event(PortalChanged(at=self._clock.now(), portal=self._name, change=change, what=what))


def garden(names: tuple[str, ...], world: World) -> list[str]:
    """The prefixes that ``names`` stand for: themselves, or the addresses that the world's zones have."""
    found = [each for each in names if is_network(each)]
    for values in records(names, world).values():
        found += [value for _, value in values]
    return found


def records(names: tuple[str, ...], world: World) -> dict[str, list[tuple[str, str]]]:
    """Address records of those of ``names`` that are domain names, by name in small letters, through
    aliases."""
    zone = [(each.name.lower(), each) for server in world.servers.values() for each in server.records]

    def of(name: str, depth: int = 8) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for known, record in zone:
            if known == name and record.type in ("A", "AAAA"):
                found.append((record.type, record.value))
            elif known == name and record.type == "CNAME" and depth:
                found += of(record.value.lower(), depth - 1)
        return list(dict.fromkeys(found))

    return {name.lower(): of(name.lower()) for name in names if not is_network(name)}


def _address(client: str) -> str:
    """Of "192.0.2.1:80" or "[2001:db8::1]:80", without the port."""
    return client.rpartition(":")[0].strip("[]")
