"""What can't be in a world's captive portals."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from guestnet.world.described.model import LAPTOP, Host, Link
from guestnet.world.described.place import Place, Problem, is_address, is_network, on_link
from guestnet.world.described.portal import Portal
from guestnet.world.described.server import Server
from guestnet.world.described.server_problems import is_domain

PORTS: Final = {53: "the resolver", 80: "its pages", 443: "its pages over TLS", 8053: "forged names"}
"""What an access point's own addresses are for."""

_MAX_TTL: Final = 2**31 - 1
"""RFC 2181 section 8."""
_MAX_SESSION: Final = 1e9
_ADDRESS_RULE: Final = "write it as 203.0.113.10 or 2001:db8::10"


def portal_problems(
    portals: dict[str, Portal], hosts: dict[str, Host], links: dict[str, Link], servers: dict[str, Server]
) -> Iterator[Problem]:
    """Everything impossible in ``portals``."""
    seen: dict[str, str] = {}
    for name, portal in portals.items():
        path: Place = ("portals", name)
        if name in servers:
            yield Problem(path, "a server has this name too", "choose another one: both have access logs")
        if portal.host in seen:
            allowed = "give each portal a host of its own"
            yield Problem((*path, "host"), f"{seen[portal.host]} is on {portal.host} already", allowed)
        seen[portal.host] = name
        yield from _place_problems(path, portal, hosts, links, servers)
        yield from way_problems(path, portal)
        for index, resolver in enumerate(portal.resolvers):
            if not is_address(resolver):
                yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", _ADDRESS_RULE)
        known = {record.name.lower() for server in servers.values() for record in server.records}
        for index, garden in enumerate(portal.garden):
            if not is_network(garden) and garden.lower() not in known:
                allowed = "give a name that a server of the world has a record of, an address or a prefix"
                yield Problem((*path, "garden", index), f"there is no {garden!r}", allowed)


def _place_problems(
    path: Place, portal: Portal, hosts: dict[str, Host], links: dict[str, Link], servers: dict[str, Server]
) -> Iterator[Problem]:
    host = hosts.get(portal.host)
    if host is None:
        allowed = "give one of " + ", ".join(sorted(hosts))
        yield Problem((*path, "host"), f"there is no host {portal.host!r}", allowed)
        return
    if portal.host == LAPTOP or not host.forward:
        yield Problem((*path, "host"), f"{portal.host} is no access point", "give a host with forward = true")
    link = links.get(portal.link)
    if link is None or portal.host not in link.ends:
        of_host = [name for name, each in links.items() if portal.host in each.ends]
        allowed = "give one of " + ", ".join(sorted(of_host))
        yield Problem((*path, "link"), f"{portal.host} has no link {portal.link!r}", allowed)
        return
    own = link.ends[portal.host]
    if not any(is_address(each.partition("/")[0], version=4) for each in own):
        allowed = f"give {portal.host} one in links.{portal.link}.ends"
        yield Problem((*path, "link"), "an access point needs an IPv4 address there", allowed)
    taken = {ip_address(each.partition("/")[0]) for each in own if is_address(each.partition("/")[0])}
    for server_name, server in servers.items():
        used = {ip_address(each) for each in server.addresses if is_address(each)}
        if server.host == portal.host and server.port in PORTS and used & taken:
            what = f"{server_name} has the port of {PORTS[server.port]}"
            yield Problem((*path, "host"), what, "give that server another address")
    for index, address in enumerate(portal.pool):
        if not is_address(address, version=4) or not any(on_link(address, each) for each in own):
            allowed = f"give an address in the prefix of {portal.host}'s"
            yield Problem((*path, "pool", index), f"{address!r} is not on {portal.link}", allowed)
    if len(portal.pool) not in (0, 2):
        what = f"a pool has two ends, not {len(portal.pool)}"
        yield Problem((*path, "pool"), what, "give its first and its last address")
    elif all(is_address(each, version=4) for each in portal.pool):
        ends = [int(ip_address(each)) for each in portal.pool]
        if ends != sorted(ends):
            what = f"{portal.pool[1]} is before {portal.pool[0]}"
            yield Problem((*path, "pool", 1), what, "give its first and its last address")


def way_problems(path: Place, portal: Portal) -> Iterator[Problem]:
    """Everything impossible in how ``portal`` behaves."""
    if not is_domain(portal.name) or "." not in portal.name or is_address(portal.name):
        allowed = "write it as portal.example, no dot at its end"
        yield Problem((*path, "name"), f"{portal.name!r} is no domain name", allowed)
    if not 0 <= portal.ttl <= _MAX_TTL:
        yield Problem((*path, "ttl"), f"a TTL of {portal.ttl} s can't be", f"give 0 to {_MAX_TTL}")
    if not 0 <= portal.session <= _MAX_SESSION:
        what = f"a session of {portal.session:g} s can't be"
        yield Problem((*path, "session"), what, f"give 0 to {_MAX_SESSION:g}")
    if portal.account and not re.fullmatch(r"[^:\s]+:\S+", portal.account):
        yield Problem((*path, "account"), f"{portal.account!r} is no account", 'write it as "user:password"')
