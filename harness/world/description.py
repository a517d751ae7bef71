"""The model of a world: frozen, the same whether it was written in Python or in TOML.

A `World` is hosts and the links between them. A link's interface has the link's name on both of its
hosts. `problems` says what can't be: every impossible value with its place, what is wrong and what is
allowed; constructing a `World` raises `WorldError` for the first of them.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Final, Literal, NamedTuple

import msgspec

from harness.core.errors import DescriptionError

LAPTOP: Final = "laptop"
"""The host whose network namespace is the lab process's own: the stack's sockets live there."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,14}")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)

RouteKind = Literal["unicast", "unreachable", "blackhole", "prohibit"]
"""What the kernel does with a packet that takes the route: send it on, answer with ICMP host unreachable
(`EHOSTUNREACH`; in IPv6 "no route", `ENETUNREACH`), drop it in silence, answer with ICMP administratively
prohibited (`EACCES`). Of both errors Linux sends a peer five at once and one a second after that, in all
namespaces."""

ServerKind = Literal["http", "echo", "half-close", "dns"]
RecordType = Literal["A", "AAAA", "CNAME", "TXT"]

Families = Literal["both", "ipv4", "ipv6"]
"""The IP versions that a laptop has a network for."""

MIN_MTU6: Final = 1280
"""Every link that carries IPv6 takes packets of this size (RFC 8200 section 5)."""

Place = tuple[str | int, ...]
"""Where in a description, from the top: ``("hosts", "laptop", "routes", 0, "via")``."""


class Problem(NamedTuple):
    """A value that can't be: where it is, what is wrong with it, and what is allowed there."""

    path: Place
    what: str
    allowed: str


class WorldError(DescriptionError):
    """The description says something impossible; ``path`` is the place in it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{dotted(problem.path)}: {problem.what}", remedy=problem.allowed)
        self.problem = problem


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of a host: ``to`` is a prefix or "default", ``via`` the address of a neighbour on a link."""

    to: str
    via: str = ""
    kind: RouteKind = "unicast"


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine. ``addresses`` are its own beside those of its links; ``forward`` makes it a router.

    ``resolvers`` are written into the resolv.conf of the laptop; other hosts have none.
    """

    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    forward: bool = False
    resolvers: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link between two hosts. ``ends`` maps each to the addresses with prefix length of its interface."""

    ends: dict[str, tuple[str, ...]]
    mtu: int = 1500


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DNS resource record; ``name`` is absolute, written without the last dot."""

    name: str
    type: RecordType
    value: str


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server on ``host``, which must own all ``addresses``; it listens on the same port of each.

    ``records`` are what a server of kind "dns" is authoritative for; it answers NXDOMAIN to all else.
    """

    kind: ServerKind
    host: str
    addresses: tuple[str, ...]
    port: int
    records: tuple[Record, ...] = ()


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything around the stack. Raises WorldError when it can't be."""

    name: str
    hosts: dict[str, Host]
    links: dict[str, Link] = {}
    servers: dict[str, Server] = {}

    def __post_init__(self) -> None:
        for problem in problems(self.name, self.hosts, self.links, self.servers):
            raise WorldError(problem)

    def addresses_of(self, host: str) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Every address of ``host``: its own (/32 or /128 unless given), then its links'."""
        return _addresses(host, self.hosts, self.links)

    def with_laptop(self, families: Families) -> "World":
        """The same world around a laptop that has addresses, routes and resolvers of these families only.

        Its loopback keeps both, as every Linux does; so do the servers on it. Raises WorldError.
        """
        if families == "both":
            return self
        version = 4 if families == "ipv4" else 6
        laptop = self.hosts[LAPTOP]
        laptop = msgspec.structs.replace(
            laptop,
            addresses=_of(version, laptop.addresses),
            routes=tuple(route for route in laptop.routes if _of(version, (route.via or route.to,))),
            resolvers=_of(version, laptop.resolvers),
        )
        links = {
            name: msgspec.structs.replace(
                link,
                ends={
                    host: _of(version, addresses) if host == LAPTOP else addresses
                    for host, addresses in link.ends.items()
                },
            )
            for name, link in self.links.items()
        }
        return msgspec.structs.replace(self, hosts=self.hosts | {LAPTOP: laptop}, links=links)


def _of(version: int, addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(address for address in addresses if ip_interface(address).version == version)


def dotted(path: Place) -> str:
    """``path`` as people write it: ``hosts.laptop.routes[0].via``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def problems(
    name: str, hosts: dict[str, Host], links: dict[str, Link], servers: dict[str, Server]
) -> Iterator[Problem]:
    """Everything impossible in a world of these parts, in the order of reading."""
    if not _NAME.fullmatch(name):
        yield Problem(("name",), f"{name!r} is no name", _NAME_RULE)
    if LAPTOP not in hosts:
        yield Problem(
            ("hosts",), "there is no laptop", f"describe a host called {LAPTOP!r}: the stack runs on it"
        )
    yield from _name_problems("hosts", hosts)
    yield from _name_problems("links", links)
    yield from _name_problems("servers", servers)
    for link_name, link in links.items():
        yield from _link_problems(link_name, link, hosts)
    for host_name, host in hosts.items():
        yield from _host_problems(host_name, host, hosts, links)
    for server_name, server in servers.items():
        yield from _server_problems(server_name, server, hosts, links, servers)


_ADDRESS_RULE: Final = "write it as 203.0.113.10 or 2001:db8::10"
_NAME_RULE: Final = "write 1 to 15 lower-case letters, digits and '-', with a letter first"


def _name_problems(
    table: str, names: dict[str, Host] | dict[str, Link] | dict[str, Server]
) -> Iterator[Problem]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield Problem((table, name), f"{name!r} is no name", _NAME_RULE)
        elif table == "links" and name == "lo":
            yield Problem(
                (table, name), "'lo' is the loopback interface of every host", "choose another name"
            )


def _link_problems(name: str, link: Link, hosts: dict[str, Host]) -> Iterator[Problem]:
    path: Place = ("links", name)
    if len(link.ends) != 2:
        yield Problem(
            (*path, "ends"), f"a link has two ends, not {len(link.ends)}", "name the two hosts that it joins"
        )
    if not 576 <= link.mtu <= 65535:
        yield Problem((*path, "mtu"), f"an MTU of {link.mtu} bytes can't be", "give 576 to 65535")
    elif link.mtu < MIN_MTU6 and any(
        _is_address(each.partition("/")[0], version=6) for ends in link.ends.values() for each in ends
    ):
        allowed = f"give {MIN_MTU6} to 65535, or no IPv6 addresses"
        yield Problem((*path, "mtu"), f"IPv6 needs more than an MTU of {link.mtu} bytes", allowed)
    for host, addresses in link.ends.items():
        if host not in hosts:
            yield _unknown_host((*path, "ends", host), host, hosts)
        for index, address in enumerate(addresses):
            if "/" not in address or not _is_interface(address):
                yield Problem(
                    (*path, "ends", host, index),
                    f"{address!r} is no address with a prefix length",
                    "write it as 192.168.1.10/24 or 2001:db8:1::10/64",
                )
            else:
                yield from _scope_problems((*path, "ends", host, index), address)


def _host_problems(
    name: str, host: Host, hosts: dict[str, Host], links: dict[str, Link]
) -> Iterator[Problem]:
    path: Place = ("hosts", name)
    for index, address in enumerate(host.addresses):
        if not _is_interface(address):
            yield Problem((*path, "addresses", index), f"{address!r} is no address", _ADDRESS_RULE)
        else:
            yield from _scope_problems((*path, "addresses", index), address)
    for index, resolver in enumerate(host.resolvers):
        if not _is_address(resolver):
            yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", _ADDRESS_RULE)
        else:
            yield from _scope_problems((*path, "resolvers", index), resolver)
    if host.resolvers and name != LAPTOP:
        yield Problem((*path, "resolvers"), f"{name} is not the laptop", "give resolvers to the laptop only")
    for index, route in enumerate(host.routes):
        yield from _route_problems((*path, "routes", index), name, route, links)


def _route_problems(path: Place, host: str, route: Route, links: dict[str, Link]) -> Iterator[Problem]:
    if route.to != "default" and not _is_network(route.to):
        yield Problem(
            (*path, "to"),
            f"{route.to!r} is no prefix",
            "write 'default' or a prefix without host bits, as 10.0.0.0/8 or 2001:db8::/32",
        )
    elif route.to != "default" and _is_address(route.via, version=10 - ip_network(route.to).version):
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
    elif not _is_address(route.via):
        yield Problem((*path, "via"), f"{route.via!r} is no address", _ADDRESS_RULE)
    elif not any(
        _on_link(route.via, address) for link in links.values() for address in link.ends.get(host, ())
    ):
        yield Problem(
            (*path, "via"),
            f"{route.via} is on none of {host}'s links",
            "give an address in the prefix of one of them",
        )


def _server_problems(
    name: str, server: Server, hosts: dict[str, Host], links: dict[str, Link], servers: dict[str, Server]
) -> Iterator[Problem]:
    path: Place = ("servers", name)
    if server.host not in hosts:
        yield _unknown_host((*path, "host"), server.host, hosts)
        return
    yield from _listening_problems((*path, "addresses"), server, hosts, links)
    if not 1 <= server.port <= 65535:
        yield Problem((*path, "port"), f"there is no port {server.port}", "give 1 to 65535")
    for other_name, other in servers.items():
        if other_name == name:
            break
        if (other.host, other.port) == (server.host, server.port) and _meet(other, server):
            yield Problem(
                (*path, "port"), f"{other_name} listens there already", "choose another port or address"
            )
            break
    if server.records and server.kind != "dns":
        yield Problem(
            (*path, "records"), f"a server of kind {server.kind!r} has no records", "only kind 'dns' has"
        )
    for index, record in enumerate(server.records):
        yield from _record_problems((*path, "records", index), record)


def _listening_problems(
    path: Place, server: Server, hosts: dict[str, Host], links: dict[str, Link]
) -> Iterator[Problem]:
    if not server.addresses:
        yield Problem(path, "a server listens somewhere", "give an address of its host")
    owned = [each.ip for each in _addresses(server.host, hosts, links)]
    for index, text in enumerate(server.addresses):
        if not _is_address(text):
            yield Problem((*path, index), f"{text!r} is no address", _ADDRESS_RULE)
        elif (address := ip_address(text)) not in owned and not address.is_loopback:
            allowed = "give one of " + ", ".join(["127.0.0.1", "::1", *map(str, owned)])
            yield Problem((*path, index), f"{server.host} does not own {address}", allowed)


def _record_problems(path: Place, record: Record) -> Iterator[Problem]:
    if not _DOMAIN.fullmatch(record.name):
        yield Problem(
            (*path, "name"),
            f"{record.name!r} is no domain name",
            "write it as shop.example, no dot at its end",
        )
    right, allowed = {
        "A": (_is_address(record.value, version=4), "give an IPv4 address"),
        "AAAA": (_is_address(record.value, version=6), "give an IPv6 address"),
        "CNAME": (_DOMAIN.fullmatch(record.value) is not None, "give a domain name"),
        "TXT": (
            len(record.value.encode()) <= 255 and record.value.isprintable(),
            "give printable text of at most 255 octets",
        ),
    }[record.type]
    if not right:
        yield Problem((*path, "value"), f"{record.value!r} is no value of a {record.type} record", allowed)


def _unknown_host(path: Place, host: str, hosts: dict[str, Host]) -> Problem:
    return Problem(path, f"there is no host {host!r}", "give one of " + ", ".join(sorted(hosts)))


def _addresses(
    host: str, hosts: dict[str, Host], links: dict[str, Link]
) -> tuple[IPv4Interface | IPv6Interface, ...]:
    own = hosts[host].addresses if host in hosts else ()
    linked = [address for link in links.values() for address in link.ends.get(host, ())]
    return tuple(ip_interface(each) for each in (*own, *linked) if _is_interface(each))


def _is_address(text: str, version: int | None = None) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return version is None or address.version == version


def _meet(one: Server, other: Server) -> bool:
    """Whether two servers have an address in common."""
    mine, theirs = (
        {ip_address(text) for text in each.addresses if _is_address(text)} for each in (one, other)
    )
    return bool(mine & theirs)


def _scope_problems(path: Place, text: str) -> Iterator[Problem]:
    """A link-local address means something only together with an interface (RFC 4007 section 6)."""
    address = ip_interface(text).ip
    if address.version == 6 and (address.is_link_local or address.is_multicast):
        kind = "a link-local" if address.is_link_local else "a multicast"
        yield Problem(path, f"{address} is {kind} address", "give a unicast address of wider scope")


def _is_interface(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _on_link(address: str, interface: str) -> bool:
    # An address of one family is in no network of the other.
    return _is_interface(interface) and ip_address(address) in ip_interface(interface).network
