"""The VPNs of a running world: their clients on the laptop, as a scenario or the network drives them.

A client that is told to connect asks the concentrator for a session first; once it has one it brings its
interface up and sets policies, routes and resolvers, in this order, so that nothing gets around them. When
the concentrator does not answer any more, the client finds that out by itself (`harness.world.vpn.session`),
takes all of that away but the kill switch, and goes on trying.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any, Final, Protocol

import msgspec

from harness.core.errors import DescriptionError, GuestnetError, LabError
from harness.core.events import VpnChanged
from harness.core.recorder import Recorder
from harness.core.rng import stream
from harness.edge.clock import LabClock
from harness.world import nft
from harness.world.description import World
from harness.world.links.diversion import End
from harness.world.model import LAPTOP
from harness.world.namespaces import Namespaces
from harness.world.place import Problem, WorldError
from harness.world.resolving import LaptopResolver
from harness.world.vpn import devices, messages, policy
from harness.world.vpn.client import Client, Status
from harness.world.vpn.devices import Numbers
from harness.world.vpn.model import Vpn
from harness.world.vpn.problems import address_problems, setting_problems
from harness.world.vpn.process import TunnelProcess

CONNECT_TIMEOUT: Final = 5.0
_SECOND: Final = 1_000_000_000

Brought = Callable[[str, Sequence[str]], None]
"""Told when a VPN comes up, with its name and the networks that it brings."""


class Attach(Protocol):
    """Told that a VPN has its devices, as of `harness.world.links.running.Links.attach`."""

    async def __call__(self, name: str, far: End, *, are_peers: bool) -> None:
        """``far`` is the device at the other end than the laptop's."""


class VpnState(msgspec.Struct, frozen=True, kw_only=True):
    """A VPN now. ``source`` is the address and port that the concentrator last saw the laptop at."""

    name: str
    status: Status
    settings: Vpn
    source: str = ""


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
        on_fault: Callable[[GuestnetError], None],
        brought: Brought,
        attach: Attach,
    ) -> None:
        self._world = world
        self._resolver = resolver
        self._recorder = recorder
        self._clock = clock
        self._seed = seed
        self._on_fault = on_fault
        self._brought = brought
        self._attach = attach
        self._clients = {
            name: Client(name, vpn, Numbers(number)) for number, (name, vpn) in enumerate(world.vpns.items())
        }
        self._uplinks = [name for name, link in world.links.items() if LAPTOP in link.ends]
        self._process = TunnelProcess(self._changed, self._ended)
        self._namespaces = Namespaces()
        self._hidden = -1
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> dict[str, int]:
        """Of the tunnel process."""
        return {} if self._process.pid is None else {"tunnels": self._process.pid}

    @property
    def states(self) -> list[VpnState]:
        """All of them, in the order of the description."""
        return [
            VpnState(name=client.name, status=client.status, settings=client.vpn, source=client.source)
            for client in self._clients.values()
        ]

    async def prepare(self) -> None:
        """Start what needs no world. Raises EnvironmentMissing."""
        if self._clients:
            nft.find_nft()
            await self._process.prepare()

    async def start(self, namespaces: Namespaces) -> None:
        """Make all tunnels, and connect those that are described so.

        Raises EnvironmentMissing, DescriptionError, LabError.
        """
        if not self._clients:
            return
        self._namespaces = namespaces
        await asyncio.to_thread(self._build)
        self._namespaces.add_hidden(devices.HIDDEN.name, self._hidden)
        for client in self._clients.values():
            far = End(devices.HIDDEN.name, client.numbers.device(is_gateway=False))
            await self._attach(client.name, far, are_peers=True)
        await self._process.open([self._order(client) for client in self._clients.values()])
        for client in self._clients.values():
            if client.vpn.up:
                await self.connect(client.name)

    async def stop(self) -> None:
        """End the process. The interfaces go with their namespaces. Idempotent."""
        await self._process.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._hidden >= 0:
            os.close(self._hidden)
            self._hidden = -1

    # What a user or a network does

    async def connect(self, name: str) -> None:
        """Connect; of one that was dropped or lost, the concentrator answers again. Raises LabError."""
        client = self._client(name)
        async with client.turn:
            self._process.tell(messages.Silence(name, is_silent=False))
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
            self._process.tell(messages.Silence(name, is_silent=True))
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
        self._process.tell(messages.Renew(name, round(pause * _SECOND)))
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
            self._process.tell(messages.Silence(name, is_silent=False))
            await self._connect(client)

    async def set(self, name: str, changes: dict[str, Any]) -> None:
        """Change settings, by their names in `Vpn`; at once, if it is up. Raises DescriptionError."""
        client = self._client(name)
        fields = set(Vpn.__struct_fields__) - {"ends", "endpoint", "port", "up", "impair"}
        for unknown in changes.keys() - fields:
            there_are = ", ".join(sorted(fields))
            raise DescriptionError(f"{name} has no setting {unknown!r}", remedy=f"there are {there_are}")
        try:
            vpn = msgspec.convert(msgspec.to_builtins(client.vpn) | changes, Vpn)
        except msgspec.ValidationError as error:
            raise DescriptionError(f"{name}: {error}", remedy="see harness.world.vpn.model") from error
        _check(list(setting_problems(("vpns", name), vpn)))
        async with client.turn:
            client.vpn = vpn
            self._process.tell(
                messages.Tune(name, _ns(vpn.keepalive), _ns(vpn.rekey), frag_needed=vpn.frag_needed)
            )
            await asyncio.to_thread(self._set_both_ends, client)
            if client.status == "up":
                await asyncio.to_thread(self._apply, client)
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

    def _build(self) -> None:
        self._hidden = devices.make_hidden()
        for client in self._clients.values():
            devices.make_devices(self._namespaces, self._hidden, client.name, client.vpn, client.numbers)
            self._guard_gateway(client)

    def _order(self, client: Client) -> messages.Open:
        vpn, numbers = client.vpn, client.numbers
        laptop, gateway = (
            messages.Side(
                namespace=str(self._namespaces.path(host)),
                mac=numbers.mac(is_gateway),
                addresses=vpn.ends[vpn.gateway if host == LAPTOP else LAPTOP],
                device=numbers.device(is_gateway),
            )
            for is_gateway, host in ((False, LAPTOP), (True, vpn.gateway))
        )
        rng = stream(self._seed, "vpn", client.name)
        return messages.Open(
            client.name, laptop, gateway, str(devices.HIDDEN), vpn.endpoint, vpn.port, numbers.mark,
            rng.randbytes(32).hex(), rng.getrandbits(63), _ns(vpn.keepalive), _ns(vpn.rekey),
            frag_needed=vpn.frag_needed,
        )  # fmt: skip

    async def _connect(self, client: Client) -> None:
        if client.status == "up":
            return
        client.established = asyncio.get_running_loop().create_future()
        self._process.tell(messages.Connect(client.name))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await client.established
        except TimeoutError as error:
            await self._disconnect(client)
            vpn = client.vpn
            raise LabError(
                f"the VPN {client.name} can't connect: {vpn.endpoint} port {vpn.port} does not answer",
                remedy="see whether the laptop's uplink gets there",
            ) from error
        finally:
            client.established = None
        await self._come_up(client)

    async def _come_up(self, client: Client) -> None:
        await asyncio.to_thread(self._apply, client, anew=True)
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
        self._process.tell(messages.Disconnect(client.name))
        client.status = "down"
        client.source = ""
        self._resolver.clear_vpn(client.name)
        await asyncio.to_thread(self._take_away, client)

    def _changed(self, report: messages.Changed) -> None:
        """What the tunnel process tells."""
        client = self._clients[report.name]
        client.source = report.source
        if report.news == "established" and client.established is not None:
            if not client.established.done():
                client.established.set_result(None)
        elif report.news == "established":
            self._own(self._found(client))
        elif report.news == "lost":
            self._own(self._lost(client))
        else:
            self._note(client, "rekeyed")

    async def _follow(self, client: Client) -> None:
        async with client.turn:
            if client.status != "down":
                await asyncio.to_thread(self._protect, client)

    async def _lost(self, client: Client) -> None:
        async with client.turn:
            if client.status != "up":
                return
            client.status = "lost"
            self._resolver.clear_vpn(client.name)
            await asyncio.to_thread(self._take_away, client)
            self._note(client, "lost")

    async def _found(self, client: Client) -> None:
        async with client.turn:
            if client.status == "lost":
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
                await asyncio.to_thread(devices.route_hosts, self._namespaces, client.name, addresses)

        if vpn.domains or vpn.names:
            self._resolver.set_vpn(
                client.name, vpn.resolvers, vpn.domains, routed=vpn.names, seen=seen if vpn.names else None
            )
        else:
            self._resolver.clear_vpn(client.name)

    # In a thread

    def _apply(self, client: Client, *, anew: bool = False) -> None:
        vpn = client.vpn
        if anew:
            devices.bring_up(self._namespaces, LAPTOP, client.name, vpn.ends[LAPTOP], vpn.mtu)
        self._protect(client, is_up=True)
        devices.add_routes(self._namespaces, client.name, vpn, client.numbers)

    def _take_away(self, client: Client) -> None:
        self._protect(client)
        devices.take_down(self._namespaces, client.name, client.numbers)

    def _protect(self, client: Client, *, is_up: bool = False) -> None:
        is_up = is_up or client.status == "up"
        if client.status == "down" and not is_up:
            rules = policy.no_rules(client.name)
        else:
            local = devices.local_networks(self._namespaces, self._uplinks)
            rules = policy.laptop_rules(
                client.name, client.vpn, mark=client.numbers.mark, uplinks=self._uplinks, local=local,
                is_up=is_up,
            )  # fmt: skip
        nft.load(self._namespaces, LAPTOP, rules, what=f"the policies of the VPN {client.name}")

    def _set_both_ends(self, client: Client) -> None:
        for host in client.vpn.ends:
            devices.set_mtu(self._namespaces, host, client.name, client.vpn.mtu)
        self._guard_gateway(client, always=True)

    def _guard_gateway(self, client: Client, *, always: bool = False) -> None:
        if always or not client.vpn.frag_needed:
            rules = policy.gateway_rules(client.name, client.vpn)
            what = f"the concentrator of the VPN {client.name}"
            nft.load(self._namespaces, client.vpn.gateway, rules, what=what)

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

    def _ended(self, reason: str) -> None:
        self._on_fault(LabError(f"the world broke: {reason}", remedy="see lab.log"))


def _check(found: list[Problem]) -> None:
    if found:
        raise WorldError(found[0])


def _ns(seconds: float) -> int:
    return round(seconds * _SECOND)
