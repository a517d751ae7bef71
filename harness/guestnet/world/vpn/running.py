"""The VPNs of a running world: their clients on the laptop, as a scenario or the network drives them.

A client that is told to connect asks the concentrator for a session first; once it has one it brings its
interface up and sets policies, routes and resolvers, in this order, so that nothing gets around them. When
the concentrator does not answer any more, the client finds that out by itself (`guestnet.world.vpn.session`,
`guestnet.world.vpn.liveness`), takes all of that away but the kill switch, and goes on trying. So does one
whose concentrator does not answer when the lab starts.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any, Final, Protocol

import msgspec

from guestnet.core.errors import CapabilityMissing, DescriptionError, GuestnetError, LabError
from guestnet.core.events import VpnChanged
from guestnet.core.recorder import Recorder
from guestnet.edge.clock import LabClock
from guestnet.system.forked import Spawner
from guestnet.system.programs import require
from guestnet.world.described.model import LAPTOP
from guestnet.world.described.place import Problem, WorldError
from guestnet.world.described.states import VpnState
from guestnet.world.described.vpn import FIXED, Vpn
from guestnet.world.described.vpn_problems import address_problems, setting_problems
from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.laptop.resolving import LaptopResolver
from guestnet.world.links.diversion import End
from guestnet.world.vpn import messages, wireguard
from guestnet.world.vpn.client import Client, Numbers
from guestnet.world.vpn.setup import Setup
from guestnet.world.vpn.transport import Transport
from guestnet.world.vpn.udp import UdpTransport
from guestnet.world.vpn.wireguard import WireGuardTransport

CONNECT_TIMEOUT: Final = 5.0
_SECOND: Final = 1_000_000_000

Brought = Callable[[str, Sequence[str]], None]
"""Told when a VPN comes up, with its name and the networks that it brings."""


class Attach(Protocol):
    """Told that a VPN has its devices, as of `guestnet.world.links.running.Links.attach`."""

    async def __call__(self, name: str, far: End, *, are_peers: bool) -> None:
        """``far`` is the device at the other end than the laptop's."""


class Vpns:
    """The VPNs of ``world``. ``on_fault`` is called when the process behind them ends unasked."""

    def __init__(
        self,
        world: World,
        resolver: LaptopResolver,
        recorder: Recorder,
        clock: LabClock,
        *,
        seed: int,
        spawner: Spawner,
        on_fault: Callable[[GuestnetError], None],
        brought: Brought,
        attach: Attach,
    ) -> None:
        self._world = world
        self._resolver = resolver
        self._recorder = recorder
        self._clock = clock
        self._on_fault = on_fault
        self._brought = brought
        self._attach = attach
        self._clients = {
            name: Client(name, vpn, Numbers(number)) for number, (name, vpn) in enumerate(world.vpns.items())
        }
        self._uplinks = [name for name, link in world.links.items() if LAPTOP in link.ends]
        self._setup = Setup(Namespaces(), self._uplinks)
        self._kinds: dict[str, Transport] = {
            "udp": UdpTransport(seed, spawner, self._changed, on_fault),
            "wireguard": WireGuardTransport(seed, self._changed, on_fault),
        }
        self._chosen: dict[str, str] = {}
        self._choosing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> dict[str, int]:
        """Of the transports' processes."""
        return {what: pid for transport in self._kinds.values() for what, pid in transport.pids.items()}

    @property
    def states(self) -> list[VpnState]:
        """All of them, in the order of the description."""
        return [
            VpnState(
                name=client.name,
                status=client.status,
                settings=client.vpn,
                source=client.source,
                transport=self._chosen.get(client.name, ""),
            )
            for client in self._clients.values()
        ]

    async def prepare(self) -> None:
        """Start what needs no world. Raises EnvironmentMissing."""
        if self._clients:
            require("nft")
            # Nobody waits for it before the world is there.
            self._choosing = asyncio.create_task(self._choose(), name="transports")

    async def start(self, namespaces: Namespaces) -> None:
        """Make all tunnels, and connect those that are described so.

        Raises CapabilityMissing, EnvironmentMissing, DescriptionError, LabError.
        """
        if self._choosing is None:
            return
        await self._choosing
        self._setup = Setup(namespaces, self._uplinks)
        for kind in sorted(set(self._chosen.values())):
            clients = [client for client in self._clients.values() if self._chosen[client.name] == kind]
            await self._kinds[kind].start(namespaces, clients)
        for client in self._clients.values():
            await asyncio.to_thread(self._setup.guard_gateway, client)
            far = self._kinds[self._chosen[client.name]].far(client)
            await self._attach(client.name, far.end, are_peers=far.are_peers)
        await asyncio.gather(*(self._begin(client) for client in self._clients.values() if client.vpn.up))

    async def stop(self) -> None:
        """End what carries them. The interfaces go with their namespaces. Idempotent."""
        if self._choosing is not None:
            await asyncio.gather(self._choosing, return_exceptions=True)
        for transport in self._kinds.values():
            await transport.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What a user or a network does

    async def connect(self, name: str) -> None:
        """Connect; of one that was dropped or lost, the concentrator answers again. Raises LabError."""
        client = self._client(name)
        async with client.turn:
            self._tell(messages.Silence(name, is_silent=False))
            await self._connect(client)

    async def disconnect(self, name: str) -> None:
        """As the user does: all that the client has set up is gone, the kill switch too."""
        client = self._client(name)
        async with client.turn:
            await self._disconnect(client)
            self._note(client, "down")

    async def drop(self, name: str) -> None:
        """The concentrator falls silent, and nobody tells the client."""
        client = self._client(name)
        async with client.turn:
            self._tell(messages.Silence(name, is_silent=True))
            self._note(client, "dropped")

    async def rekey(self, name: str, pause: float) -> None:
        """The session ends; the next one begins after ``pause`` seconds, and until then packets wait.

        Raises DescriptionError when the VPN is not up.
        """
        client = self._client(name)
        if client.status != "up":
            raise DescriptionError(f"{name} is {client.status}", remedy=f"connect it: lab.vpns[{name!r}]")
        if not 0 <= pause <= 3600:
            raise DescriptionError(f"a pause of {pause:g} s", remedy="give 0 to 3600 seconds")
        self._tell(messages.Renew(name, round(pause * _SECOND)))
        self._note(client, f"rekeys, pausing {pause:g} s" if pause else "rekeys")

    async def reconnect(self, name: str, addresses: Sequence[str]) -> None:
        """Disconnect and connect, with other ``addresses`` when there are any. Raises LabError,
        WorldError."""
        client = self._client(name)
        if addresses:
            own = tuple(addresses)
            _check(list(address_problems(("vpns", name, "ends", LAPTOP), own)))
            client.vpn = msgspec.structs.replace(client.vpn, ends=client.vpn.ends | {LAPTOP: own})
        async with client.turn:
            await self._disconnect(client)
            self._note(client, "down")
            self._tell(messages.Silence(name, is_silent=False))
            await self._connect(client)

    async def set(self, name: str, changes: dict[str, Any]) -> None:
        """Change settings, by their names in `Vpn`; at once, if it is up. Raises DescriptionError."""
        client = self._client(name)
        fields = set(Vpn.__struct_fields__) - FIXED
        for unknown in changes.keys() - fields:
            there_are = ", ".join(sorted(fields))
            raise DescriptionError(f"{name} has no setting {unknown!r}", remedy=f"there are {there_are}")
        try:
            vpn = msgspec.convert(msgspec.to_builtins(client.vpn) | changes, Vpn)
        except msgspec.ValidationError as error:
            raise DescriptionError(f"{name}: {error}", remedy="see guestnet.world.described.vpn") from error
        _check(list(setting_problems(("vpns", name), vpn)))
        async with client.turn:
            client.vpn = vpn
            self._tell(messages.Tune(name, _ns(vpn.keepalive), _ns(vpn.rekey), frag_needed=vpn.frag_needed))
            await asyncio.to_thread(self._setup.set_both_ends, client)
            if client.is_trying:
                await asyncio.to_thread(self._setup.protect, client)
            if client.status == "up":
                await asyncio.to_thread(self._setup.apply, client)
                self._resolve(client)
                self._bring(client)
            shown = ", ".join(f"{key}={value!r}" for key, value in changes.items())
            self._note(client, f"set {shown}")

    def networks_changed(self) -> None:
        """The laptop is in other networks now: policies that speak of them follow."""
        for client in self._clients.values():
            if client.vpn.kill_switch or client.vpn.block_local:
                self._own(self._follow(client))

    # Inside

    def _client(self, name: str) -> Client:
        if name not in self._clients:
            there = ", ".join(self._clients) or "none: this world has no [vpns]"
            raise DescriptionError(f"there is no VPN {name!r}", remedy=f"there are {there}")
        return self._clients[name]

    async def _choose(self) -> None:
        """Which transport each gets, and prepare these. Raises CapabilityMissing, EnvironmentMissing."""
        wanted = {name: client.vpn.transport for name, client in self._clients.items()}
        has_wireguard = set(wanted.values()) != {"udp"} and await asyncio.to_thread(wireguard.is_there)
        best = "wireguard" if has_wireguard else "udp"
        self._chosen = {name: best if kind == "auto" else kind for name, kind in wanted.items()}
        if not has_wireguard and "wireguard" in self._chosen.values():
            name = next(name for name, kind in self._chosen.items() if kind == "wireguard")
            raise CapabilityMissing(
                f"the VPN {name} is to be WireGuard, which this machine's kernel has not",
                remedy='as root, run: modprobe wireguard; or choose transport = "auto"',
            )
        for kind in set(self._chosen.values()):
            await self._kinds[kind].prepare()

    def _tell(self, command: messages.Command) -> None:
        self._kinds[self._chosen[command.name]].tell(command)

    async def _begin(self, client: Client) -> None:
        """Connect when the lab starts: a concentrator that does not answer is tried on."""
        async with client.turn:
            client.status = "connecting"
            await asyncio.to_thread(self._setup.protect, client)
            # Where no network is, nobody can answer.
            patience = CONNECT_TIMEOUT if await asyncio.to_thread(self._setup.local_networks) else 0.0
            with contextlib.suppress(TimeoutError):
                await self._ask(client, patience)
                await self._come_up(client)
                return
            self._note(client, "connecting")

    async def _connect(self, client: Client) -> None:
        if client.status == "up":
            return
        try:
            await self._ask(client, CONNECT_TIMEOUT)
        except TimeoutError as error:
            await self._disconnect(client)
            vpn = client.vpn
            raise LabError(
                f"the VPN {client.name} can't connect: {vpn.endpoint} port {vpn.port} does not answer",
                remedy="see whether the laptop's uplink gets there",
            ) from error
        await self._come_up(client)

    async def _ask(self, client: Client, patience: float) -> None:
        """Get a session. Raises TimeoutError after ``patience`` seconds; then the client tries on."""
        client.established = asyncio.get_running_loop().create_future()
        await asyncio.to_thread(self._setup.try_on, client)
        self._tell(messages.Connect(client.name))
        try:
            async with asyncio.timeout(patience):
                await client.established
        finally:
            client.established = None

    async def _come_up(self, client: Client) -> None:
        await asyncio.to_thread(self._setup.apply, client, anew=True)
        self._resolve(client)
        client.status = "up"
        self._note(client, "up")
        self._bring(client)

    def _bring(self, client: Client) -> None:
        """Say which networks it brings, everything excepted."""
        routes = [route for route in client.vpn.routes if ip_network(route).prefixlen]
        own = [str(ip_interface(each).network) for each in client.vpn.ends[LAPTOP]]
        self._brought(f"VPN {client.name}", [*own, *routes])

    async def _disconnect(self, client: Client) -> None:
        self._tell(messages.Disconnect(client.name))
        client.status = "down"
        client.source = ""
        self._resolver.clear_vpn(client.name)
        await asyncio.to_thread(self._setup.take_away, client)

    def _changed(self, report: messages.Changed) -> None:
        """What a transport tells."""
        client = self._clients[report.name]
        client.source = report.source
        waiting = client.established
        if report.news == "established" and waiting is not None and not waiting.done():
            waiting.set_result(None)
        elif report.news == "established":
            self._own(self._found(client))
        elif report.news == "lost":
            self._own(self._lost(client))
        else:
            self._note(client, "rekeyed")

    async def _follow(self, client: Client) -> None:
        async with client.turn:
            if client.status != "down":
                await asyncio.to_thread(self._setup.protect, client)

    async def _lost(self, client: Client) -> None:
        async with client.turn:
            if client.status != "up":
                return
            client.status = "lost"
            self._resolver.clear_vpn(client.name)
            await asyncio.to_thread(self._setup.take_away, client)
            self._note(client, "lost")

    async def _found(self, client: Client) -> None:
        async with client.turn:
            if client.is_trying:
                await self._come_up(client)

    def _own(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            what = f"a VPN's client failed ({type(error).__name__}: {error})"
            self._on_fault(
                error if isinstance(error, GuestnetError) else LabError(what, remedy="see lab.log")
            )

    def _resolve(self, client: Client) -> None:
        vpn = client.vpn

        async def seen(_: str, addresses: Sequence[str]) -> None:
            if client.status == "up":
                await asyncio.to_thread(self._setup.route_hosts, client, addresses)

        if vpn.domains or vpn.names:
            self._resolver.set_vpn(
                client.name, vpn.resolvers, vpn.domains, routed=vpn.names, seen=seen if vpn.names else None
            )
        else:
            self._resolver.clear_vpn(client.name)

    # What happens

    def _note(self, client: Client, change: str) -> None:
        up = client.status == "up"
        self._recorder.event(
            VpnChanged(
                at=self._clock.now(),
                vpn=client.name,
                change=change,
                addresses=list(client.vpn.ends[LAPTOP]) if up else [],
            )
        )


def _check(found: list[Problem]) -> None:
    if found:
        raise WorldError(found[0])


def _ns(seconds: float) -> int:
    return round(seconds * _SECOND)
