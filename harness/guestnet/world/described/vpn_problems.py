"""What can't be in the VPNs of a world."""

import math
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import Final

from guestnet.world.described.model import LAPTOP, Host, Link
from guestnet.world.described.place import Place, Problem, is_address, is_interface, is_network
from guestnet.world.described.vpn import ALL, Vpn

MTU: Final = range(1280, 1421)
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*"
)
_SECONDS: Final = (0.05, 86400.0)


def vpn_problems(vpns: dict[str, Vpn], hosts: dict[str, Host], links: dict[str, Link]) -> Iterator[Problem]:
    """Everything impossible in ``vpns``, in the order of reading."""
    listening: dict[tuple[str, int], str] = {}
    for name, vpn in vpns.items():
        path: Place = ("vpns", name)
        if name in links:
            yield Problem(path, f"there is a link {name!r} already", "choose another name")
        yield from _end_problems(path, vpn, hosts)
        yield from _endpoint_problems(path, vpn, hosts, links)
        other = listening.setdefault((vpn.endpoint, vpn.port), name)
        if other != name:
            yield Problem((*path, "port"), f"{other} listens there already", "choose another port")
        yield from setting_problems(path, vpn)


def setting_problems(path: Place, vpn: Vpn) -> Iterator[Problem]:
    """Everything impossible in what can be changed in a running lab."""
    if vpn.mtu not in MTU:
        allowed = f"give {MTU[0]} to {MTU[-1]}"
        yield Problem((*path, "mtu"), f"an MTU of {vpn.mtu} bytes can't be", allowed)
    for index, route in enumerate(vpn.routes):
        if not is_network(route):
            allowed = "write a prefix without host bits, as 10.20.0.0/16, or 0.0.0.0/0 for everything"
            yield Problem((*path, "routes", index), f"{route!r} is no prefix", allowed)
        elif is_address(vpn.endpoint) and _goes_round(route, vpn.endpoint):
            allowed = "leave the endpoint out, or give 0.0.0.0/0 or ::/0, which do that"
            yield Problem((*path, "routes", index), "the tunnel would go through itself", allowed)
    for index, resolver in enumerate(vpn.resolvers):
        if not is_address(resolver):
            allowed = "write it as 10.20.0.53 or 2001:db8::53"
            yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", allowed)
    for key in ("domains", "names"):
        for index, name in enumerate(getattr(vpn, key)):
            if not _DOMAIN.fullmatch(name) and (key, name) != ("domains", ALL):
                allowed = "write it as corp.example, no dot at its end" + (
                    ", or . for all" if key == "domains" else ""
                )
                yield Problem((*path, key, index), f"{name!r} is no domain name", allowed)
    if vpn.domains and not vpn.resolvers:
        yield Problem((*path, "domains"), "nobody resolves them", "give resolvers")
    if vpn.resolvers and not vpn.domains:
        yield Problem((*path, "resolvers"), "they resolve nothing", 'give domains, or "." for all')
    for key in ("rekey", "keepalive"):
        seconds = getattr(vpn, key)
        if not math.isfinite(seconds) or not _SECONDS[0] <= seconds <= _SECONDS[1]:
            allowed = f"give {_SECONDS[0]:g} to {_SECONDS[1]:g}"
            yield Problem((*path, key), f"{seconds:g} s can't be", allowed)


def _goes_round(route: str, endpoint: str) -> bool:
    network = ip_network(route)
    return network.prefixlen > 0 and ip_address(endpoint) in network


def address_problems(path: Place, addresses: tuple[str, ...]) -> Iterator[Problem]:
    """Everything impossible in the addresses of one end."""
    for index, address in enumerate(addresses):
        if "/" not in address or not is_interface(address):
            allowed = "write it as 10.20.255.2/24 or 2001:db8:20::2/64"
            yield Problem((*path, index), f"{address!r} is no address with a prefix length", allowed)
        elif (one := ip_interface(address)).is_link_local or one.is_multicast:
            yield Problem((*path, index), f"{address} is not of wide scope", "give a unicast address")
    if not addresses:
        yield Problem(path, "an end without an address", "give it one inside the tunnel")


def _end_problems(path: Place, vpn: Vpn, hosts: dict[str, Host]) -> Iterator[Problem]:
    for host, addresses in vpn.ends.items():
        if host not in hosts:
            allowed = "give one of " + ", ".join(sorted(hosts))
            yield Problem((*path, "ends", host), f"there is no host {host!r}", allowed)
        yield from address_problems((*path, "ends", host), addresses)
    if len(vpn.ends) != 2 or LAPTOP not in vpn.ends:
        allowed = f"name {LAPTOP!r} and the concentrator"
        yield Problem((*path, "ends"), "a VPN has two ends, and one is the laptop", allowed)


def _endpoint_problems(
    path: Place, vpn: Vpn, hosts: dict[str, Host], links: dict[str, Link]
) -> Iterator[Problem]:
    if not 1 <= vpn.port <= 65535:
        yield Problem((*path, "port"), f"there is no port {vpn.port}", "give 1 to 65535")
    if not is_address(vpn.endpoint):
        allowed = "write it as 198.51.100.20 or 2001:db8:51::20"
        yield Problem((*path, "endpoint"), f"{vpn.endpoint!r} is no address", allowed)
    elif len(vpn.ends) == 2 and LAPTOP in vpn.ends and vpn.gateway in hosts:
        linked = [each for link in links.values() for each in link.ends.get(vpn.gateway, ())]
        texts = (*hosts[vpn.gateway].addresses, *linked)
        owned = [ip_interface(each).ip for each in texts if is_interface(each)]
        if ip_address(vpn.endpoint) not in owned:
            allowed = "give one of " + ", ".join(map(str, owned)) if owned else "give that host an address"
            yield Problem((*path, "endpoint"), f"{vpn.gateway} does not own {vpn.endpoint}", allowed)
