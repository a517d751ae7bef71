"""The laptop's ways out while a lab runs: up, down, renumbered, from one to the other.

What a desktop's network manager does: an uplink that comes up gets its addresses, a default route of its
metric and its other routes; the resolver is that of the best uplink that is up. One that goes down loses all
of it, and its interface goes down with it. Connections that were made by way of it stay as they are: their
packets have an address that is not the laptop's any more, so the kernel sends none, and they end when their
timers do. New ones take what is there, or fail at once (ENETUNREACH) when nothing is.

Of several uplinks that are up, each keeps its own connections, as laptops' systems do (the strong end
system model of RFC 1122 section 3.3.4.2): a rule for its addresses leads to a table with its routes. Linux
alone would send a connection's packets by the new best route with the old source.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError, LabError
from guestnet.core.events import UplinkChanged
from guestnet.core.recorder import Recorder
from guestnet.edge.clock import LabClock
from guestnet.system import netlink
from guestnet.world.described.model import LAPTOP, Route, Uplink
from guestnet.world.described.overlap import networks_of
from guestnet.world.described.place import is_address, is_interface, on_link
from guestnet.world.described.states import UplinkState
from guestnet.world.described.uplink_problems import link_of, metric_of
from guestnet.world.described.world import World
from guestnet.world.laptop.resolving import LaptopResolver

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_CARRIER: Final = 10.0
_POLL: Final = 0.001
_FAMILIES: Final = {4: 2, 6: 10}
_FIRST_RULE: Final = 31000
"""After those of VPNs, before the main table's (32766)."""
_FIRST_TABLE: Final = 30000
_MAIN: Final = 254
_UNICAST: Final = 1
"""RT_TABLE_MAIN and RTN_UNICAST of linux/rtnetlink.h."""

Brought = Callable[[str, Sequence[str]], None]
"""Told when an uplink comes up, with its name and the networks that it brings."""


class Uplinks:
    """The uplinks of ``world``, whose interfaces are there, and down. All verbs are safe to call at once.

    ``on_change`` is called when a verb is through, or has failed on its way.
    """

    def __init__(
        self,
        world: World,
        resolver: LaptopResolver,
        recorder: Recorder,
        clock: LabClock,
        brought: Brought,
        on_change: Callable[[], None],
    ) -> None:
        self._world = world
        self._resolver = resolver
        self._recorder = recorder
        self._clock = clock
        self._brought = brought
        self._on_change = on_change
        self._states = {name: _described(world, name, uplink) for name, uplink in world.uplinks.items()}
        self._turn = asyncio.Lock()

    @property
    def states(self) -> list[UplinkState]:
        """All of them, in the order of the description."""
        return list(self._states.values())

    async def start(self) -> None:
        """Bring up those that are described so. Raises LabError, DescriptionError."""
        async with self._verb():
            for name, uplink in self._world.uplinks.items():
                if uplink.up:
                    await self._up(name)

    async def up(self, name: str) -> None:
        """Connect ``name``: returns when packets can go. Of one that is up, what it lost comes back."""
        self._state(name)
        async with self._verb():
            await self._up(name)

    async def down(self, name: str) -> None:
        """Disconnect ``name``: addresses and routes are gone when this returns."""
        self._state(name)
        async with self._verb():
            await self._down(name)

    async def roam(self, name: str | None) -> None:
        """Leave all other uplinks, then connect ``name``; with None the laptop is offline."""
        if name is not None:
            self._state(name)
        async with self._verb():
            for other, state in self._states.items():
                if other != name and state.up:
                    await self._down(other)
            if name is not None and not self._states[name].up:
                await self._up(name)

    async def renumber(
        self, name: str, addresses: Sequence[str], gateways: Sequence[str] | None = None
    ) -> None:
        """The network of ``name`` gives it other ``addresses``, with prefix lengths; those of a version that
        is not among them stay. Without ``gateways`` it keeps the ones that it can still reach.

        Raises DescriptionError for what can't be.
        """
        self._state(name)
        async with self._verb():
            was = self._states[name]
            versions = {_version(address) for address in addresses}
            kept = [address for address in was.addresses if _version(address) not in versions]
            new = (*addresses, *kept)
            ways = tuple(
                gateway
                for gateway in (was.gateways if gateways is None else gateways)
                if is_address(gateway) and any(on_link(gateway, address) for address in new)
            )
            if gateways is not None and len(ways) != len(gateways):
                raise DescriptionError(
                    f"a gateway of {', '.join(gateways)} is in none of {', '.join(new)}",
                    remedy="give gateways in the prefixes of the addresses",
                )
            self._states[name] = msgspec.structs.replace(was, addresses=new, gateways=ways)
            if was.up:
                gone = [address for address in was.addresses if address not in new]
                await asyncio.to_thread(self._apply, name, gone)
                self._changed(name, "renumbered")

    @contextlib.asynccontextmanager
    async def _verb(self) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            finally:
                self._on_change()

    def _state(self, name: str) -> UplinkState:
        if name not in self._states:
            there = ", ".join(self._states) or "none: this world has no [uplinks]"
            raise DescriptionError(f"there is no uplink {name!r}", remedy=f"there are {there}")
        return self._states[name]

    async def _up(self, name: str) -> None:
        await asyncio.to_thread(self._apply, name, ())
        self._states[name] = msgspec.structs.replace(self._states[name], up=True)
        self._changed(name, "up")

    async def _down(self, name: str) -> None:
        await asyncio.to_thread(self._take_away, name)
        self._states[name] = msgspec.structs.replace(self._states[name], up=False)
        self._changed(name, "down")

    def _changed(self, name: str, change: Literal["up", "down", "renumbered"]) -> None:
        state = self._states[name]
        up = sorted((each for each in self._states.values() if each.up), key=lambda each: each.metric)
        resolvers = next((each.resolvers for each in up if each.resolvers), ())
        self._resolver.set_uplink(resolvers)
        self._recorder.event(
            UplinkChanged(
                at=self._clock.now(),
                uplink=name,
                change=change,
                addresses=list(state.addresses) if state.up else [],
                resolvers=list(resolvers),
            )
        )
        if state.up:
            self._brought(f"uplink {name}", [*networks_of(state.addresses, self._world.uplinks[name].routes)])

    # In a thread, because netlink is blocking; it is one of the laptop's namespace, as all of this process.

    def _apply(self, name: str, gone: Iterable[str]) -> None:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        state = self._states[name]
        with IPRoute() as routes:
            index = _index(routes, state.link)
            try:
                routes.link("set", index=index, state="up")
                for address in gone:
                    routes.addr("del", index=index, **netlink.address(ip_interface(address)))
                for address in state.addresses:
                    told = netlink.address(ip_interface(address))
                    routes.addr("replace", index=index, **told, rt_priority=state.metric)
                if gone:
                    _forget_gateways(routes, index)
                ways = [Route(to="default", via=gateway) for gateway in state.gateways]
                for route in (*ways, *self._world.uplinks[name].routes):
                    routes.route("replace", **_route(route, index, state.metric))
                if len(self._states) > 1:
                    self._keep_apart(routes, name, index, ways)
            except NetlinkError as error:
                raise DescriptionError(
                    f"the kernel refuses what the uplink {name} has ({error})",
                    remedy=f"see uplinks.{name} in the profile",
                ) from error
            _wait_for_carrier(routes, index, name)

    def _keep_apart(self, routes: "IPRoute", name: str, index: int, ways: Iterable[Route]) -> None:
        state, number = self._states[name], list(self._states).index(name)
        _drop_rules(routes, number)
        routes.flush_routes(table=_FIRST_TABLE + number)
        own = [Route(to=network) for network in networks_of(state.addresses)]
        for route in (*own, *ways, *self._world.uplinks[name].routes):
            routes.route("replace", **_route(route, index, state.metric) | {"table": _FIRST_TABLE + number})
        for address in state.addresses:
            source = ip_interface(address).ip
            routes.rule(
                "add", family=_FAMILIES[source.version], priority=_FIRST_RULE + number,
                table=_FIRST_TABLE + number, src=str(source), src_len=source.max_prefixlen,
            )  # fmt: skip

    def _take_away(self, name: str) -> None:
        from pyroute2 import IPRoute

        with IPRoute() as routes:
            index = _index(routes, self._states[name].link)
            _drop_rules(routes, list(self._states).index(name))
            routes.link("set", index=index, state="down")
            routes.flush_addr(index=index)


def _described(world: World, name: str, uplink: Uplink) -> UplinkState:
    link = link_of(name, uplink)
    return UplinkState(
        name=name,
        kind=uplink.kind,
        link=link,
        up=False,
        addresses=world.links[link].ends[LAPTOP],
        gateways=uplink.gateways,
        resolvers=uplink.resolvers,
        metric=metric_of(uplink),
    )


def _version(address: str) -> int:
    if "/" not in address or not is_interface(address):
        raise DescriptionError(
            f"{address!r} is no address with a prefix length", remedy="write it as 192.168.1.10/24"
        )
    return ip_interface(address).version


def _index(routes: "IPRoute", link: str) -> int:
    for index in routes.link_lookup(ifname=link):
        return int(index)
    raise LabError(
        f"the laptop has no interface {link} any more", remedy="see what scenario or guest removed it"
    )



def _route(route: Route, index: int, metric: int) -> dict[str, Any]:
    described: dict[str, Any] = {"dst": route.to, "type": route.kind, "priority": metric}
    if route.to == "default":
        described["dst"] = "::/0" if ":" in route.via else "0.0.0.0/0"
    if route.kind == "unicast":
        described["oif"] = index
    return described | ({"gateway": route.via} if route.via else {})


def _drop_rules(routes: "IPRoute", number: int) -> None:
    for family in _FAMILIES.values():
        routes.flush_rules(family=family, priority=_FIRST_RULE + number)


def _forget_gateways(routes: "IPRoute", index: int) -> None:
    """Default routes by the interface; with its old addresses their next hops may have gone."""
    for family in _FAMILIES.values():
        for route in routes.get_default_routes(family=family):
            in_main = route.get_attr("RTA_TABLE") == _MAIN and route["type"] == _UNICAST
            if in_main and route.get_attr("RTA_OIF") == index:
                routes.route(
                    "del", family=family, dst="0.0.0.0/0" if family == 2 else "::/0", oif=index,
                    priority=route.get_attr("RTA_PRIORITY"),
                )  # fmt: skip


def _wait_for_carrier(routes: "IPRoute", index: int, name: str) -> None:
    until = time.monotonic() + _CARRIER
    while True:
        (link,) = routes.get_links(index)
        if link.get_attr("IFLA_OPERSTATE") in ("UP", "UNKNOWN"):
            return
        if time.monotonic() > until:
            raise LabError(f"the uplink {name} has no carrier", remedy="bring the other end of its link up")
        time.sleep(_POLL)
