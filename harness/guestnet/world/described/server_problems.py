"""What can't be in the servers of a world."""

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import msgspec

from guestnet.world.described.place import Place, Problem, is_address
from guestnet.world.described.server import KINDS, Record, Server, has_tls

DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)
"""A domain name, without the last dot."""

_ADDRESS_RULE: Final = "write it as 203.0.113.10 or 2001:db8::10"
_NAME_RULE: Final = "write it as shop.example, no dot at its end"

_NUMBER: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|\d{1,4})"


def server_problems(
    path: Place, server: Server, owned: list[IPv4Address | IPv6Address], before: dict[str, Server]
) -> Iterator[Problem]:
    """Everything impossible in ``server``, whose host has the addresses ``owned``; ``before`` are the servers
    described before it."""
    yield from _listening_problems((*path, "addresses"), server, owned)
    if not 1 <= server.port <= 65535:
        yield Problem((*path, "port"), f"there is no port {server.port}", "give 1 to 65535")
    for other_name, other in before.items():
        if (other.host, other.port) == (server.host, server.port) and _meet(other, server):
            allowed = "choose another port or address"
            yield Problem((*path, "port"), f"{other_name} listens there already", allowed)
            break
    for field in msgspec.structs.fields(Server):
        kinds = sorted(kind for kind, each in KINDS.items() if field.name in each.keys)
        value = getattr(server, field.name)
        if kinds and server.kind not in kinds and value not in ((), {}, None, 0, ""):
            what = f"a server of kind {server.kind!r} has no {field.name}"
            only = " and ".join(map(repr, kinds))
            yield Problem((*path, field.name), what, f"only kind {only} has")
    for index, record in enumerate(server.records):
        yield from _record_problems((*path, "records", index), record)
    yield from _alias_problems((*path, "records"), server)
    yield from _option_problems(path, server)


def _option_problems(path: Place, server: Server) -> Iterator[Problem]:
    for place, names in (("faults", list(server.faults)), ("names", list(server.names))):
        for index, name in enumerate(names):
            where = (*path, place, name if place == "faults" else index)
            is_certified = place == "names" and (is_address(name) or is_domain(name.removeprefix("*.")))
            if not is_certified and not is_domain(name):
                yield Problem(where, f"{name!r} is no domain name", _NAME_RULE)
    if server.names and not has_tls(server):
        yield Problem((*path, "names"), "names are those of a certificate", 'write certificate = "valid" too')
    if server.octets < 0:
        yield Problem((*path, "octets"), f"{server.octets} octets can't be sent", "give 0 or more")
    if not abs(server.offset) <= 1e9:
        yield Problem((*path, "offset"), f"{server.offset:g} s are too many", "give 1e9 seconds at most")
    if server.login and not re.fullmatch(r"[!-9;-~]+:[!-~]+", server.login):
        yield Problem((*path, "login"), f"{server.login!r} is no login", 'write it as "user:password"')
    for index, resolver in enumerate(server.resolvers):
        if not is_address(resolver):
            yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", _ADDRESS_RULE)


def is_domain(text: str) -> bool:
    """Whether ``text`` is a domain name written without its last dot."""
    return DOMAIN.fullmatch(text) is not None


def _listening_problems(
    path: Place, server: Server, owned: list[IPv4Address | IPv6Address]
) -> Iterator[Problem]:
    if not server.addresses:
        yield Problem(path, "a server listens somewhere", "give an address of its host")
    seen: set[IPv4Address | IPv6Address] = set()
    for index, text in enumerate(server.addresses):
        if not is_address(text):
            yield Problem((*path, index), f"{text!r} is no address", _ADDRESS_RULE)
        elif (address := ip_address(text)) not in owned and not address.is_loopback:
            allowed = "give one of " + ", ".join(["127.0.0.1", "::1", *map(str, owned)])
            yield Problem((*path, index), f"{server.host} does not own {address}", allowed)
        elif address in seen:
            yield Problem((*path, index), f"{address} is there twice", "leave it out")
        else:
            seen.add(address)


def _record_problems(path: Place, record: Record) -> Iterator[Problem]:
    is_wild = record.name.startswith("*.") and record.type in ("A", "AAAA")
    if not is_domain(record.name.removeprefix("*.") if is_wild else record.name):
        yield Problem((*path, "name"), f"{record.name!r} is no domain name", _NAME_RULE)
    fits, allowed = _VALUES[record.type]
    if not fits(record.value):
        yield Problem((*path, "value"), f"{record.value!r} is no value of a {record.type} record", allowed)


def _alias_problems(path: Place, server: Server) -> Iterator[Problem]:
    aliases = {
        record.name.lower(): record.value.lower() for record in server.records if record.type == "CNAME"
    }
    for index, record in enumerate(server.records):
        name, seen = record.name.lower(), set[str]()
        while record.type == "CNAME" and name in aliases and name not in seen:
            seen.add(name)
            name = aliases[name]
        if name in seen:
            what = f"{record.name} is an alias of itself in the end"
            yield Problem((*path, index, "value"), what, "let aliases end at a name that is none")


def _is_text(text: str) -> bool:
    return len(text.encode()) <= 255 and text.isprintable()


def _numbers_and_name(count: int) -> Callable[[str], bool]:
    form = re.compile(rf"(?:{_NUMBER} ){{{count}}}(\S+)")

    def fits(text: str) -> bool:
        found = form.fullmatch(text)
        return found is not None and is_domain(found[1])

    return fits


_VALUES: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "A": (lambda text: is_address(text, version=4), "give an IPv4 address"),
    "AAAA": (lambda text: is_address(text, version=6), "give an IPv6 address"),
    "CNAME": (is_domain, "give a domain name"),
    "NS": (is_domain, "give a domain name"),
    "PTR": (is_domain, "give a domain name"),
    "TXT": (_is_text, "give printable text of at most 255 octets"),
    "MX": (_numbers_and_name(1), 'give preference and name, as "10 mail.example"'),
    "SRV": (_numbers_and_name(3), 'give priority, weight, port and name, as "0 5 443 shop.example"'),
}


def _meet(one: Server, other: Server) -> bool:
    """Whether two servers have an address in common."""
    mine, theirs = (
        {ip_address(text) for text in each.addresses if is_address(text)} for each in (one, other)
    )
    return bool(mine & theirs)
