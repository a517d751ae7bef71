"""What the words of a filter mean: a check of ``Headers`` for each. ``language`` has the grammar."""

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name

from guestnet.link.filter.headers import IPV4, IPV6, TCP, UDP, Check, Headers
from guestnet.wire import frame as layers
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Protocol

Field = Callable[[Headers], int]
Relation = Callable[[int, int], bool]
Side = Literal["from", "to", "either"]

_FIN, _SYN, _RST, _PSH, _ACK, _URG, _ECE, _CWR = (1 << bit for bit in range(8))
_ARP: Final = int(EtherType.ARP)
_ICMP: Final = int(Protocol.ICMP)
_ICMPV6: Final = int(Protocol.ICMPV6)
_DNS: Final = frozenset({53, 5353})
_DHCP: Final = frozenset({67, 68})
_DHCPV6: Final = frozenset({546, 547})
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


# Combinations


def all_of(checks: Sequence[Check]) -> Check:
    """That all of ``checks`` hold."""
    if len(checks) == 2:
        one, other = checks
        return lambda headers: one(headers) and other(headers)
    return lambda headers: all(check(headers) for check in checks)


def any_of(checks: Sequence[Check]) -> Check:
    """That one of ``checks`` holds."""
    return lambda headers: any(check(headers) for check in checks)


def negation(check: Check) -> Check:
    """That ``check`` does not hold."""
    return lambda headers: not check(headers)


# Fields


def comparison(field: Field, relation: Relation, number: int) -> Check:
    """``field`` in ``relation`` to ``number``; never holds where the field is not there."""

    def check(headers: Headers) -> bool:
        value = field(headers)
        return value >= 0 and relation(value, number)

    return check


def _window(headers: Headers) -> int:
    at = headers.transport
    if not at or headers.protocol != TCP:
        return -1
    return int.from_bytes(headers.frame[at + 14 : at + 16], "big")


FIELDS: Final[dict[str, Field]] = {
    "size": lambda headers: len(headers.frame),
    "length": lambda headers: headers.length if headers.data else -1,
    "ttl": lambda headers: headers.ttl if headers.source else -1,
    "dscp": lambda headers: headers.tos >> 2 if headers.source else -1,
    "ecn": lambda headers: headers.tos & 3 if headers.source else -1,
    "window": _window,
}
RELATIONS: Final[dict[str, Relation]] = {
    "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


# Ends


def host(network: IPv4Network | IPv6Network, side: Side) -> Check:
    """An IP address in ``network``."""
    inside = _inside(network)
    if side == "from":
        return lambda headers: inside(headers.source)
    if side == "to":
        return lambda headers: inside(headers.destination)
    return lambda headers: inside(headers.source) or inside(headers.destination)


def ports(least: int, most: int, side: Side) -> Check:
    """A port of TCP or UDP."""
    if side == "from":
        return lambda headers: least <= headers.source_port <= most
    if side == "to":
        return lambda headers: least <= headers.destination_port <= most
    return lambda headers: least <= headers.source_port <= most or least <= headers.destination_port <= most


def end(network: IPv4Network | IPv6Network, least: int, most: int, side: Side) -> Check:
    """Address and port of the same end."""
    source = all_of([host(network, "from"), ports(least, most, "from")])
    destination = all_of([host(network, "to"), ports(least, most, "to")])
    if side == "either":
        return any_of([source, destination])
    return source if side == "from" else destination


def mac(address: bytes, side: Side) -> Check:
    """An ethernet address."""
    if side == "from":
        return lambda headers: headers.frame[6:12] == address
    if side == "to":
        return lambda headers: headers.frame[:6] == address
    return lambda headers: address in (bytes(headers.frame[:6]), bytes(headers.frame[6:12]))


def _inside(network: IPv4Network | IPv6Network) -> Callable[[bytes], bool]:
    first = network.network_address.packed
    octets = len(first)
    if network.prefixlen == network.max_prefixlen:
        return lambda address: address == first
    shift = network.max_prefixlen - network.prefixlen
    wanted = int(network.network_address) >> shift

    def check(address: bytes) -> bool:
        return len(address) == octets and int.from_bytes(address, "big") >> shift == wanted

    return check


# Words


def _ethertype(value: int) -> Check:
    return lambda headers: headers.ethertype == value


def _protocol(value: int) -> Check:
    return lambda headers: headers.protocol == value


def _flags(mask: int, value: int) -> Check:
    return lambda headers: headers.flags & mask == value and headers.protocol == TCP and headers.transport > 0


def _on_ports(wanted: frozenset[int], *protocols: int) -> Check:
    def check(headers: Headers) -> bool:
        return headers.protocol in protocols and (
            headers.source_port in wanted or headers.destination_port in wanted
        )

    return check


def _message(icmp: int | None, icmpv6: int | None, code: int | None = None) -> Check:
    """Of one of these types; ``code`` of the ICMP message."""

    def check(headers: Headers) -> bool:
        at = headers.transport
        if not at:
            return False
        if headers.protocol == _ICMP:
            frame = headers.frame
            return frame[at] == icmp and (code is None or (at + 1 < headers.end and frame[at + 1] == code))
        return headers.protocol == _ICMPV6 and headers.frame[at] == icmpv6

    return check


def _dhcp(kind: int) -> Check:
    is_dhcp = _on_ports(_DHCP, UDP)

    def check(headers: Headers) -> bool:
        if not is_dhcp(headers):
            return False
        message = layers.decode(headers.frame).dhcp
        return message is not None and message.type == kind

    return check


def _payload_of_dns(headers: Headers) -> bytes:
    """The message of a UDP datagram from or to a port of DNS; empty if it is none."""
    if headers.protocol != UDP or not (headers.source_port in _DNS or headers.destination_port in _DNS):
        return b""
    payload = bytes(headers.frame[headers.data : headers.end])
    return payload if len(payload) >= 12 else b""


def _dns(is_answer: bool) -> Check:
    def check(headers: Headers) -> bool:
        payload = _payload_of_dns(headers)
        return len(payload) > 0 and (payload[2] >> 7 == 1) is is_answer

    return check


def question(name: str) -> Check:
    """A DNS message with a question about ``name``."""
    wanted = dns.name.from_text(name)

    def check(headers: Headers) -> bool:
        payload = _payload_of_dns(headers)
        if not payload:
            return False
        try:
            message = dns.message.from_wire(payload, question_only=True)
        except dns.exception.DNSException:
            return False
        return any(rrset.name == wanted for rrset in message.question)

    return check


def is_domain(text: str) -> bool:
    """Whether ``text`` is a domain name."""
    return _DOMAIN.fullmatch(text) is not None


def _group(headers: Headers) -> bool:
    return len(headers.frame) > 0 and headers.frame[0] & 1 == 1


def _broadcast(headers: Headers) -> bool:
    return headers.frame[:6] == b"\xff" * 6


WORDS: Final[dict[str, Check]] = {
    "arp": _ethertype(_ARP),
    "ip": lambda headers: headers.ethertype in (IPV4, IPV6),
    "ipv4": _ethertype(IPV4),
    "ipv6": _ethertype(IPV6),
    "tcp": _protocol(TCP),
    "udp": _protocol(UDP),
    "icmp": _protocol(_ICMP),
    "icmpv6": _protocol(_ICMPV6),
    "dns": _on_ports(_DNS, UDP, TCP),
    "dhcp": _on_ports(_DHCP, UDP),
    "dhcpv6": _on_ports(_DHCPV6, UDP),
    "syn": _flags(_SYN | _ACK, _SYN),
    "syn-ack": _flags(_SYN | _ACK, _SYN | _ACK),
    "fin": _flags(_FIN, _FIN),
    "rst": _flags(_RST, _RST),
    "psh": _flags(_PSH, _PSH),
    "urg": _flags(_URG, _URG),
    "ece": _flags(_ECE, _ECE),
    "cwr": _flags(_CWR, _CWR),
    "data": lambda headers: headers.protocol == TCP and headers.length > 0,
    "ack": all_of([_flags(_ACK | _SYN | _FIN | _RST, _ACK), lambda headers: headers.length == 0]),
    "echo-request": _message(8, 128),
    "echo-reply": _message(0, 129),
    "unreachable": _message(3, 1),
    "time-exceeded": _message(11, 3),
    "frag-needed": _message(3, None, 4),
    "packet-too-big": _message(None, 2),
    "too-big": _message(3, 2, 4),
    "router-solicitation": _message(None, 133),
    "router-advertisement": _message(None, 134),
    "neighbour-solicitation": _message(None, 135),
    "neighbour-advertisement": _message(None, 136),
    "query": _dns(is_answer=False),
    "answer": _dns(is_answer=True),
    "fragment": lambda headers: headers.is_fragment,
    "broadcast": _broadcast,
    "multicast": lambda headers: _group(headers) and not _broadcast(headers),
} | {
    f"dhcp-{name}": _dhcp(number)
    for number, name in enumerate(
        ("discover", "offer", "request", "decline", "ack", "nak", "release", "inform"), start=1
    )
}  # fmt: skip

_OTHER: Final = ("and", "or", "not", "from", "to", "host", "net", "port", "name", *FIELDS)


def suggestion(word: str) -> str:
    """What may have been meant by ``word``."""
    close = difflib.get_close_matches(word, [*WORDS, *_OTHER], n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return "see guestnet.link.filter.language for the words"
