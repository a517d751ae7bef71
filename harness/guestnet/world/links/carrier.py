"""Pulling the cable of a link out: its first end sees no carrier, as if the other machine's plug were out.

A veth device has a carrier while its peer is up, and no other way to lose it. So the far end goes down, and
keeps what a machine would keep whose cable somebody has pulled: its addresses and routes come back with it.
"""

import os
from typing import Any, Final, Self

from guestnet.core.errors import LabError
from guestnet.system.netlink import IFA_F_NODAD
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links.diversion import End

_FAMILIES: Final = (2, 10)
_KERNEL: Final = 2
"""RTPROT_KERNEL of linux/rtnetlink.h: a route that comes with an address."""
_UNICAST: Final = 1
_GLOBAL: Final = 0


class Carrier:
    """What the far ``end`` of a link has while it is down. Both methods are for a thread."""

    def __init__(self, end: End, addresses: list[dict[str, Any]], routes: list[dict[str, Any]]) -> None:
        self._end = end
        self._addresses = addresses
        self._routes = routes

    @classmethod
    def take(cls, namespaces: Namespaces, end: End) -> Self:
        """Take it away. Raises LabError."""
        from pyroute2 import IPRoute

        with namespaces.inside(end.host), IPRoute() as netlink:
            index = _index(netlink, end)
            addresses = [
                {"address": each.get_attr("IFA_ADDRESS"), "prefixlen": each["prefixlen"]}
                for each in netlink.get_addr(index=index, family=10)
                if each["scope"] == _GLOBAL
            ]
            routes = [
                _route(each)
                for family in _FAMILIES
                for each in netlink.get_routes(family=family)
                if each.get_attr("RTA_OIF") == index and each["proto"] != _KERNEL and each["type"] == _UNICAST
            ]
            netlink.link("set", index=index, state="down")
        return cls(end, addresses, routes)

    def give_back(self, namespaces: Namespaces) -> None:
        """Bring it back. Raises LabError."""
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            with namespaces.inside(self._end.host), IPRoute() as netlink:
                index = _index(netlink, self._end)
                netlink.link("set", index=index, state="up")
                for address in self._addresses:
                    netlink.addr("replace", index=index, flags=IFA_F_NODAD, **address)
                for route in self._routes:
                    netlink.route("replace", oif=index, **route)
        except NetlinkError as error:
            raise LabError(
                f"{self._end.device} of {self._end.host} does not get back what it had"
                f" ({os.strerror(error.code)})",
                remedy="see what the scenario changed there meanwhile",
            ) from error


def _index(netlink: Any, end: End) -> int:
    for index in netlink.link_lookup(ifname=end.device):
        return int(index)
    raise LabError(
        f"{end.host} has no interface {end.device} any more", remedy="see what scenario or guest removed it"
    )


def _route(message: Any) -> dict[str, Any]:
    default = "0.0.0.0/0" if message["family"] == 2 else "::/0"
    to = message.get_attr("RTA_DST")
    described: dict[str, Any] = {
        "family": message["family"],
        "dst": default if to is None else f"{to}/{message['dst_len']}",
        "table": message.get_attr("RTA_TABLE") or message["table"],
        "proto": message["proto"],
        "scope": message["scope"],
    }
    for name, key in (("gateway", "RTA_GATEWAY"), ("priority", "RTA_PRIORITY"), ("prefsrc", "RTA_PREFSRC")):
        if (value := message.get_attr(key)) is not None:
            described[name] = value
    return described
