"""Whether the guests' networks overlap with what the laptop is connected to.

A guest that sends to an address of its own subnet looks for a neighbour. So of a network out there that
overlaps with it, guests reach nothing: they have to be renumbered, or somebody has to be told.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from itertools import chain
from typing import Final, NamedTuple

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import LAPTOP, Route
from guestnet.world.described.place import is_network
from guestnet.world.described.uplink_problems import link_of
from guestnet.world.described.world import World

AUTO: Final = "auto"
SUBNET: Final = "192.168.65.0/24"
PREFIX: Final = "fd65:6775:6573:7400::/64"
_OTHERS: Final = ("192.168.64.0/18", "172.24.0.0/13", "10.192.0.0/10")
"""Where another subnet is looked for, in this order."""
_OTHER_PREFIXES: Final = 64


class Network(NamedTuple):
    """A network of the laptop: what brings it, as people write it, and its prefix."""

    of: str
    prefix: str


class Subnets(NamedTuple):
    """Of the guests. ``because`` of these networks they are not the usual ones."""

    ipv4: str
    ipv6: str
    because: tuple[Network, ...] = ()


def networks_of(addresses: Iterable[str], routes: Iterable[Route] = ()) -> Iterator[str]:
    """The prefixes that an interface with ``addresses`` and ``routes`` leads to, default routes excepted."""
    for address in addresses:
        network = ip_interface(address).network
        if network.prefixlen < network.max_prefixlen:
            yield str(network)
    for route in routes:
        if route.kind == "unicast" and route.to != "default" and ip_network(route.to).prefixlen:
            yield route.to


def networks(world: World, *, at_start: bool = False) -> list[Network]:
    """All that the laptop of ``world`` can be connected to, by its links, uplinks, VPNs and own routes; or
    what it is connected to ``at_start``."""
    down = {link_of(name, each) for name, each in world.uplinks.items() if at_start and not each.up}
    found = [
        Network(f"link {name}", each)
        for name, link in world.links.items()
        for each in networks_of(link.ends.get(LAPTOP, ()))
        if name not in down
    ]
    for name, uplink in world.uplinks.items():
        if link_of(name, uplink) not in down:
            found += [Network(f"uplink {name}", each) for each in networks_of((), uplink.routes)]
    for name, vpn in world.vpns.items():
        if vpn.up or not at_start:
            inside = networks_of(vpn.ends.get(LAPTOP, ()), [Route(to=each) for each in vpn.routes])
            found += [Network(f"VPN {name}", each) for each in inside]
    found += [Network("the laptop's routes", each) for each in networks_of((), world.hosts[LAPTOP].routes)]
    return found


def overlapping(subnets: Sequence[str], found: Iterable[Network]) -> list[Network]:
    """Those of ``found`` that overlap with one of ``subnets``."""
    return [each for each in found if any(_overlap(each.prefix, subnet) for subnet in subnets)]


def choose(wanted: str, found: Sequence[Network]) -> Subnets:
    """The guests' networks: ``wanted`` (`AUTO`, or an IPv4 prefix that must be it) beside ``found``.

    With `AUTO` they are the usual ones, or where these overlap others of the same size that do not. Raises
    DescriptionError when ``wanted`` overlaps, is no prefix, or when nothing is free.
    """
    if wanted != AUTO and not (is_network(wanted) and ip_network(wanted).version == 4):
        raise DescriptionError(
            f"subnet: {wanted!r} is no IPv4 prefix", remedy=f"write it as {SUBNET}, or auto"
        )
    if wanted == AUTO:
        ipv4 = _free(SUBNET, _candidates(), found)
    elif met := overlapping((wanted,), found):
        raise DescriptionError(
            f"subnet: the guests' {wanted} overlaps {met[0].prefix} of {met[0].of}",
            remedy='give a subnet that does not, or "auto"',
        )
    else:
        ipv4 = wanted
    ipv6 = _free(PREFIX, _ipv6_candidates(), found)
    usual = (SUBNET if wanted == AUTO else wanted, PREFIX)
    return Subnets(ipv4, ipv6, tuple(overlapping(usual, found)))


def _free(usual: str, others: Iterable[str], found: Sequence[Network]) -> str:
    for candidate in chain((usual,), others):
        if not overlapping((candidate,), found):
            return candidate
    raise DescriptionError(
        f"no prefix is free for the guests instead of {usual}", remedy="leave one free in the world"
    )


def _candidates() -> Iterator[str]:
    for block in _OTHERS:
        yield from map(str, IPv4Network(block).subnets(new_prefix=24))


def _ipv6_candidates() -> Iterator[str]:
    first = IPv6Network(PREFIX)
    for number in range(1, _OTHER_PREFIXES):
        yield str(IPv6Network((int(first.network_address) + (number << 64), 64)))


def _overlap(one: str, other: str) -> bool:
    left, right = ip_network(one), ip_network(other)
    if isinstance(left, IPv4Network) and isinstance(right, IPv4Network):
        return left.overlaps(right)
    return isinstance(left, IPv6Network) and isinstance(right, IPv6Network) and left.overlaps(right)
