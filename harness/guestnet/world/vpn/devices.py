"""The tunnel's interfaces, and the addresses, routes and rules that a client gives the laptop: netlink.

The laptop gets what ``wg-quick`` would give it. A route for everything is in a table of its own; a rule sends
all packets there that have not the mark of the tunnel's datagrams, and another one before it lets more
specific routes of the main table go first. Other routes are in the main table. A client that disconnects, or
has lost the concentrator, takes its interface down, and all routes by it go. What makes the interfaces is the
transport (`guestnet.world.vpn.transport`).

All functions block: they are for a thread that runs nothing else meanwhile.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Final

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.system import netlink
from guestnet.world.described.model import LAPTOP
from guestnet.world.described.vpn import Vpn
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.vpn.client import Numbers

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_FIB_RULE_INVERT: Final = 0x2
_RT_TABLE_MAIN: Final = 254
_RTPROT_STATIC: Final = 4
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_DEFAULT: Final = {4: "0.0.0.0/0", 6: "::/0"}


def bring_up(namespaces: Namespaces, host: str, name: str, addresses: Iterable[str], mtu: int) -> None:
    """The interface is up and has these addresses."""
    from pyroute2 import IPRoute

    with namespaces.inside(host), IPRoute() as routes:
        index = index_of(routes, name)
        routes.link("set", index=index, mtu=mtu, state="up")
        routes.flush_addr(index=index)
        for text in addresses:
            told = netlink.address(ip_interface(text))
            refusable(f"{host}: {text} on {name}", partial(routes.addr, "add", index=index, **told))


def take_up(namespaces: Namespaces, name: str) -> None:
    """The laptop's interface is up, and nothing goes by it yet."""
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        routes.link("set", index=index_of(routes, name), state="up")


def take_down(namespaces: Namespaces, name: str, numbers: Numbers) -> None:
    """The laptop's interface is down, and everything that goes by it is gone."""
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        _drop_rules(routes, numbers)
        index = index_of(routes, name)
        routes.link("set", index=index, state="down")
        routes.flush_addr(index=index)


def set_mtu(namespaces: Namespaces, host: str, name: str, mtu: int) -> None:
    """Of the interface."""
    from pyroute2 import IPRoute

    with namespaces.inside(host), IPRoute() as routes:
        routes.link("set", index=index_of(routes, name), mtu=mtu)


def add_routes(namespaces: Namespaces, name: str, vpn: Vpn, numbers: Numbers) -> None:
    """The routes of ``vpn`` and their rules, in place of those before; the interface is up."""
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        index = index_of(routes, name)
        _drop_rules(routes, numbers)
        for family in _FAMILIES.values():
            routes.flush_routes(family=family, oif=index, proto=_RTPROT_STATIC)
            routes.flush_routes(family=family, oif=index, table=numbers.mark)
        for prefix in vpn.routes:
            if ip_network(prefix).prefixlen:
                _add_route(routes, index, prefix, _RT_TABLE_MAIN)
        for version in sorted(vpn.full):
            _add_route(routes, index, _DEFAULT[version], numbers.mark)
            family = _FAMILIES[version]
            routes.rule(
                "add", family=family, priority=numbers.priority, table=_RT_TABLE_MAIN,
                FRA_SUPPRESS_PREFIXLEN=0,
            )  # fmt: skip
            routes.rule(
                "add", family=family, priority=numbers.priority + 1, table=numbers.mark,
                fwmark=numbers.mark, flags=_FIB_RULE_INVERT,
            )  # fmt: skip


def route_hosts(namespaces: Namespaces, name: str, addresses: Iterable[str]) -> None:
    """Send what is for ``addresses`` into the tunnel."""
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        index = index_of(routes, name)
        for address in addresses:
            _add_route(routes, index, str(ip_network(address)), _RT_TABLE_MAIN)


def local_networks(namespaces: Namespaces, uplinks: Iterable[str]) -> list[str]:
    """The networks that the laptop is in by its ``uplinks`` now."""
    from pyroute2 import IPRoute

    found = []
    with namespaces.inside(LAPTOP), IPRoute() as routes:
        for uplink in uplinks:
            for index in routes.link_lookup(ifname=uplink):
                for address in routes.get_addr(index=index):
                    text = f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}"
                    found.append(str(ip_interface(text).network))
    return found


def index_of(routes: "IPRoute", name: str) -> int:
    """Of the interface ``name``."""
    (index,) = routes.link_lookup(ifname=name)
    return int(index)


def _add_route(routes: "IPRoute", index: int, prefix: str, table: int) -> None:
    arguments: dict[str, Any] = {"dst": prefix, "oif": index, "table": table, "proto": _RTPROT_STATIC}
    if ":" in prefix:
        # Without one it would get 1024, and lose to the routes of uplinks.
        arguments["priority"] = 1
    # Beside one that is there: a network that the laptop is in itself, like its guests', stays where it is.
    refusable(f"{LAPTOP}: route to {prefix}", partial(routes.route, "append", **arguments), errno.EEXIST)


def _drop_rules(routes: "IPRoute", numbers: Numbers) -> None:
    for family in _FAMILIES.values():
        for priority in (numbers.priority, numbers.priority + 1):
            routes.flush_rules(family=family, priority=priority)


def refusable(what: str, act: Callable[[], object], harmless: int = 0) -> None:
    """``act``, which is ``what`` when the kernel refuses it. Raises EnvironmentMissing, DescriptionError."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        act()
    except NetlinkError as error:
        if error.code == harmless:
            return
        reason = os.strerror(error.code)
        if error.code == errno.EOPNOTSUPP:
            raise EnvironmentMissing(
                f"this kernel can't do {what!r} ({reason})", remedy="as root, run: modprobe veth"
            ) from error
        raise DescriptionError(f"the kernel refuses {what!r} ({reason})", remedy="change the VPN") from error
