"""What a NAT64 is made of, and what can't be."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import Final

import msgspec

from guestnet.world.described.model import LAPTOP, Host, Link
from guestnet.world.described.place import Place, Problem, is_address, is_network

WELL_KNOWN: Final = "64:ff9b::/96"
"""RFC 6052 section 2.1."""


class Nat64(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A translator on ``host``, which must not forward: its kernel drops what the translator takes.

    A router sends it by routes what is for ``prefix`` (IPv6) and for ``pool`` (IPv4): each IPv6 client gets
    an address of the pool, and the router, or one behind it, does NAT for these. On the addresses ``dns64``
    of the host is a resolver that asks ``resolvers``, and makes AAAA records in ``prefix`` for names that
    have A records alone.
    """

    host: str
    prefix: str = WELL_KNOWN
    pool: str = "192.168.254.0/24"
    dns64: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()


def nat64_problems(
    nat64s: dict[str, Nat64], hosts: dict[str, Host], links: dict[str, Link]
) -> Iterator[Problem]:
    """Everything impossible in ``nat64s``, in the order of reading."""
    for name, nat64 in nat64s.items():
        path: Place = ("nat64", name)
        if nat64.host not in hosts or nat64.host == LAPTOP:
            allowed = "give one of " + ", ".join(sorted(hosts.keys() - {LAPTOP}))
            yield Problem((*path, "host"), f"there is no router {nat64.host!r}", allowed)
            continue
        if hosts[nat64.host].forward:
            yield Problem(
                (*path, "host"), f"{nat64.host} forwards packets itself", "give it a host of its own"
            )
        if not is_network(nat64.prefix) or not _is_prefix(nat64.prefix):
            yield Problem(
                (*path, "prefix"), f"{nat64.prefix!r} is no IPv6 prefix of 96 bits", f"give {WELL_KNOWN}"
            )
        if not is_network(nat64.pool) or not isinstance(_network(nat64.pool), IPv4Network):
            yield Problem(
                (*path, "pool"), f"{nat64.pool!r} is no IPv4 prefix", "write it as 192.168.254.0/24"
            )
        own = [each for link in links.values() for each in link.ends.get(nat64.host, ())]
        if {ip_interface(each).version for each in own} != {4, 6}:
            yield Problem(
                (*path, "host"), f"{nat64.host} has no link with both versions of IP", "give it one"
            )
        owned = {str(ip_interface(each).ip) for each in (*own, *hosts[nat64.host].addresses)}
        for index, address in enumerate(nat64.dns64):
            if address not in owned:
                allowed = "give one of " + ", ".join(sorted(owned))
                yield Problem((*path, "dns64", index), f"{nat64.host} does not own {address}", allowed)
        for index, resolver in enumerate(nat64.resolvers):
            if not is_address(resolver):
                allowed = "write it as 203.0.113.53 or 2001:db8::53"
                yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", allowed)
        if nat64.dns64 and not nat64.resolvers:
            yield Problem((*path, "dns64"), "it has nobody to ask", "give it resolvers")


def _network(text: str) -> IPv4Network | IPv6Network:
    return IPv6Network(text) if ":" in text else IPv4Network(text)


def _is_prefix(text: str) -> bool:
    network = _network(text)
    return network.version == 6 and network.prefixlen == 96
