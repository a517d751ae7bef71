"""What can't be in a world: every impossible value with its place, what is wrong and what is allowed."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface, ip_network
from typing import Final

from guestnet.world.described.model import LAPTOP, Host, Link, Route, Uplink
from guestnet.world.described.nat64 import nat64_problems
from guestnet.world.described.place import Place, Problem, is_address, is_interface, is_network, on_link
from guestnet.world.described.portal_problems import portal_problems
from guestnet.world.described.server import Server
from guestnet.world.described.server_problems import server_problems
from guestnet.world.described.tables import Tables
from guestnet.world.described.uplink_problems import forwarding_problems, link_of, uplink_problems
from guestnet.world.described.vpn_problems import vpn_problems

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,14}")
"""Of what becomes an interface, or a name in a namespace."""
_WORLD_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

MIN_MTU6: Final = 1280
"""Every link that carries IPv6 takes packets of this size (RFC 8200 section 5)."""


def problems(world: Tables) -> Iterator[Problem]:
    """Everything impossible in ``world``, in the order of reading."""
    hosts, links, servers = world.hosts, world.links, world.servers
    if not _WORLD_NAME.fullmatch(world.name):
        allowed = "write 1 to 32 lower-case letters, digits and '-', with no '-' first"
        yield Problem(("name",), f"{world.name!r} is no name", allowed)
    if LAPTOP not in hosts:
        yield Problem(
            ("hosts",), "there is no laptop", f"describe a host called {LAPTOP!r}: the stack runs on it"
        )
    yield from _name_problems("hosts", hosts)
    yield from _name_problems("links", links)
    yield from _name_problems("servers", servers)
    yield from _name_problems("uplinks", world.uplinks)
    for link_name, link in links.items():
        yield from _link_problems(link_name, link, hosts)
    for host_name, host in hosts.items():
        yield from _host_problems(host_name, host, links)
        yield from forwarding_problems(host_name, host, links)
    yield from uplink_problems(world.uplinks, hosts, links)
    yield from _uplink_route_problems(world.uplinks, links)
    yield from _name_problems("nat64", world.nat64)
    yield from nat64_problems(world.nat64, hosts, links)
    yield from _name_problems("vpns", world.vpns)
    yield from _name_problems("portals", world.portals)
    yield from vpn_problems(world.vpns, hosts, links)
    for server_name, server in servers.items():
        yield from _server_problems(server_name, server, hosts, links, servers)
    yield from portal_problems(world.portals, hosts, links, servers)


def addresses(
    host: str, hosts: dict[str, Host], links: dict[str, Link]
) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """Every address of ``host`` that can be read: its own, then its links'."""
    own = hosts[host].addresses if host in hosts else ()
    linked = [address for link in links.values() for address in link.ends.get(host, ())]
    return tuple(ip_interface(each) for each in (*own, *linked) if is_interface(each))


_ADDRESS_RULE: Final = "write it as 203.0.113.10 or 2001:db8::10"
_NAME_RULE: Final = "write 1 to 15 lower-case letters, digits and '-', with a letter first"


def _name_problems(table: str, names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield Problem((table, name), f"{name!r} is no name", _NAME_RULE)
        elif table in ("links", "vpns") and name == "lo":
            yield Problem(
                (table, name), "'lo' is the loopback interface of every host", "choose another name"
            )
        elif (table, name) == ("servers", "servers"):
            yield Problem((table, name), "'servers' is what they are called together", "choose another name")


def _link_problems(name: str, link: Link, hosts: dict[str, Host]) -> Iterator[Problem]:
    path: Place = ("links", name)
    if len(link.ends) != 2:
        yield Problem(
            (*path, "ends"), f"a link has two ends, not {len(link.ends)}", "name the two hosts that it joins"
        )
    if not 576 <= link.mtu <= 65535:
        yield Problem((*path, "mtu"), f"an MTU of {link.mtu} bytes can't be", "give 576 to 65535")
    elif link.mtu < MIN_MTU6 and any(
        is_address(each.partition("/")[0], version=6) for ends in link.ends.values() for each in ends
    ):
        allowed = f"give {MIN_MTU6} to 65535, or no IPv6 addresses"
        yield Problem((*path, "mtu"), f"IPv6 needs more than an MTU of {link.mtu} bytes", allowed)
    seen: dict[IPv4Address | IPv6Address, str] = {}
    for host, addresses in link.ends.items():
        if host not in hosts:
            yield _unknown_host((*path, "ends", host), host, hosts)
        for index, address in enumerate(addresses):
            if "/" not in address or not is_interface(address):
                yield Problem(
                    (*path, "ends", host, index),
                    f"{address!r} is no address with a prefix length",
                    "write it as 192.168.1.10/24 or 2001:db8:1::10/64",
                )
            elif (owner := seen.setdefault(ip_interface(address).ip, host)) != host:
                what = f"{address} is the address of {owner} already"
                yield Problem((*path, "ends", host, index), what, "give each end one of its own")
            else:
                yield from _scope_problems((*path, "ends", host, index), address)


def _host_problems(name: str, host: Host, links: dict[str, Link]) -> Iterator[Problem]:
    path: Place = ("hosts", name)
    for index, address in enumerate(host.addresses):
        if not is_interface(address):
            yield Problem((*path, "addresses", index), f"{address!r} is no address", _ADDRESS_RULE)
        else:
            yield from _scope_problems((*path, "addresses", index), address)
    for index, resolver in enumerate(host.resolvers):
        if not is_address(resolver):
            yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", _ADDRESS_RULE)
        else:
            yield from _scope_problems((*path, "resolvers", index), resolver)
    if host.resolvers and name != LAPTOP:
        yield Problem((*path, "resolvers"), f"{name} is not the laptop", "give resolvers to the laptop only")
    for index, route in enumerate(host.routes):
        yield from _route_problems((*path, "routes", index), name, route, links)


def _route_problems(path: Place, host: str, route: Route, links: dict[str, Link]) -> Iterator[Problem]:
    if route.to != "default" and not is_network(route.to):
        yield Problem(
            (*path, "to"),
            f"{route.to!r} is no prefix",
            "write 'default' or a prefix without host bits, as 10.0.0.0/8 or 2001:db8::/32",
        )
    elif route.to != "default" and is_address(route.via, version=10 - ip_network(route.to).version):
        yield Problem(
            (*path, "via"), f"{route.via} is no next hop to {route.to}", "give an address of the same family"
        )
        return
    if route.kind != "unicast":
        if route.via:
            yield Problem((*path, "via"), f"a route of kind {route.kind!r} goes nowhere", "leave 'via' out")
        return
    if not route.via:
        yield Problem((*path, "to"), "the route has no next hop", "give 'via' an address of a neighbour")
    elif not is_address(route.via):
        yield Problem((*path, "via"), f"{route.via!r} is no address", _ADDRESS_RULE)
    elif not any(
        on_link(route.via, address) for link in links.values() for address in link.ends.get(host, ())
    ):
        yield Problem(
            (*path, "via"),
            f"{route.via} is on none of {host}'s links",
            "give an address in the prefix of one of them",
        )


def _uplink_route_problems(uplinks: dict[str, Uplink], links: dict[str, Link]) -> Iterator[Problem]:
    for name, uplink in uplinks.items():
        own = {link: links[link] for link in (link_of(name, uplink),) if link in links}
        for index, route in enumerate(uplink.routes):
            yield from _route_problems(("uplinks", name, "routes", index), LAPTOP, route, own)


def _server_problems(
    name: str, server: Server, hosts: dict[str, Host], links: dict[str, Link], servers: dict[str, Server]
) -> Iterator[Problem]:
    path: Place = ("servers", name)
    if server.host not in hosts:
        yield _unknown_host((*path, "host"), server.host, hosts)
        return
    owned = [each.ip for each in addresses(server.host, hosts, links)]
    names = list(servers)
    before = {other: servers[other] for other in names[: names.index(name)]}
    yield from server_problems(path, server, owned, before)


def _unknown_host(path: Place, host: str, hosts: dict[str, Host]) -> Problem:
    return Problem(path, f"there is no host {host!r}", "give one of " + ", ".join(sorted(hosts)))


def _scope_problems(path: Place, text: str) -> Iterator[Problem]:
    """An address is one machine's; a link-local one of IPv6 means something only together with an interface
    (RFC 4007 section 6)."""
    address = ip_interface(text).ip
    kind = ""
    if address.is_multicast:
        kind = "a multicast address"
    elif address.is_unspecified:
        kind = "no machine's address"
    elif address.version == 6 and address.is_link_local:
        kind = "a link-local address"
    if kind:
        yield Problem(path, f"{address} is {kind}", "give a unicast address of wider scope")
