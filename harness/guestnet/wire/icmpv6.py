"""ICMPv6 (RFC 4443): echo, and errors about packets. ``wire.ndp`` reads the messages of neighbour discovery.

Its checksum covers the pseudo header (RFC 4443 2.3): so addresses are needed to read and to write it.
"""

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

from guestnet.wire import checksum
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.ipv6 import Ip6
from guestnet.wire.octets import Octets, malformed, require, view

HEADER: Final = 8
_HEADER: Final = struct.Struct("!BBHL")


class Type(IntEnum):
    """Message types (RFC 4443, RFC 4861, RFC 2710, RFC 3810)."""

    DESTINATION_UNREACHABLE = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAMETER_PROBLEM = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    MULTICAST_LISTENER_QUERY = 130
    MULTICAST_LISTENER_REPORT = 131
    MULTICAST_LISTENER_DONE = 132
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOUR_SOLICITATION = 135
    NEIGHBOUR_ADVERTISEMENT = 136
    REDIRECT = 137
    MULTICAST_LISTENER_REPORT_2 = 143


class Unreachable(IntEnum):
    """Codes of destination unreachable (RFC 4443 3.1)."""

    NO_ROUTE = 0
    PROHIBITED = 1
    BEYOND_SCOPE = 2
    ADDRESS = 3
    PORT = 4
    SOURCE_POLICY = 5
    REJECT_ROUTE = 6


class TimeExceeded(IntEnum):
    """Codes of time exceeded (RFC 4443 3.3)."""

    HOP_LIMIT = 0
    REASSEMBLY = 1


class ParameterProblem(IntEnum):
    """Codes of parameter problem (RFC 4443 3.4, RFC 7112 4)."""

    FIELD = 0
    NEXT_HEADER = 1
    OPTION = 2
    INCOMPLETE_CHAIN = 3


_SHOW_UNREACHABLE: Final = {
    Unreachable.NO_ROUTE: "no route",
    Unreachable.PROHIBITED: "administratively prohibited",
    Unreachable.BEYOND_SCOPE: "beyond scope",
    Unreachable.ADDRESS: "address unreachable",
    Unreachable.PORT: "port unreachable",
    Unreachable.SOURCE_POLICY: "source address failed policy",
    Unreachable.REJECT_ROUTE: "reject route",
}
_SHOW_OTHER: Final = {
    Type.MULTICAST_LISTENER_QUERY: "multicast listener query",
    Type.MULTICAST_LISTENER_REPORT: "multicast listener report",
    Type.MULTICAST_LISTENER_DONE: "multicast listener done",
    Type.MULTICAST_LISTENER_REPORT_2: "multicast listener report v2",
    Type.ROUTER_SOLICITATION: "router solicitation",
    Type.ROUTER_ADVERTISEMENT: "router advertisement",
    Type.NEIGHBOUR_SOLICITATION: "neighbour solicitation",
    Type.NEIGHBOUR_ADVERTISEMENT: "neighbour advertisement",
    Type.REDIRECT: "redirect",
}


class Icmpv6(Struct, frozen=True):
    """One message. ``rest`` is the second 32-bit word of the message: its meaning depends on the type."""

    type: int
    code: int
    rest: int
    payload: Octets

    @property
    def identifier(self) -> int:
        """Of an echo."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """Of an echo."""
        return self.rest & 0xFFFF

    @property
    def mtu(self) -> int:
        """Of packet too big: that of the next hop."""
        return self.rest

    @property
    def pointer(self) -> int:
        """Of parameter problem: the octet of the packet that is wrong."""
        return self.rest

    @property
    def is_error(self) -> bool:
        """True for a message that quotes a packet: never answered by another error (RFC 4443 2.1, 2.4)."""
        return self.type < 128


def echo_request(identifier: int, sequence: int, payload: Octets = b"") -> Icmpv6:
    """A ping."""
    return Icmpv6(Type.ECHO_REQUEST, 0, identifier << 16 | sequence, payload)


def echo_reply(identifier: int, sequence: int, payload: Octets = b"") -> Icmpv6:
    """The answer to a ping: the same identifier, sequence and payload."""
    return Icmpv6(Type.ECHO_REPLY, 0, identifier << 16 | sequence, payload)


def unreachable(code: int, quote: Octets) -> Icmpv6:
    """Destination unreachable about the packet that ``quote`` begins."""
    return Icmpv6(Type.DESTINATION_UNREACHABLE, code, 0, quote)


def packet_too_big(mtu: int, quote: Octets) -> Icmpv6:
    """The packet that ``quote`` begins is too big for a link with ``mtu``."""
    return Icmpv6(Type.PACKET_TOO_BIG, 0, mtu, quote)


def time_exceeded(code: int, quote: Octets) -> Icmpv6:
    """Time exceeded (hop limit or reassembly) about the packet that ``quote`` begins."""
    return Icmpv6(Type.TIME_EXCEEDED, code, 0, quote)


def parse(data: Octets, source: Ip6 | None = None, destination: Ip6 | None = None) -> Icmpv6:
    """Raises WireError on a short header or a wrong checksum (checked when the addresses are given)."""
    octets = view(data)
    require(octets, HEADER, "icmpv6 header")
    kind, code, _, rest = _HEADER.unpack_from(octets)
    if source is not None and destination is not None:
        initial = checksum.pseudo_sum(source, destination, Protocol.ICMPV6, len(octets))
        if not checksum.is_valid(octets, initial):
            raise malformed("icmpv6 checksum", 2, "wrong")
    return Icmpv6(kind, code, rest, octets[HEADER:])


def emit(message: Icmpv6, source: Ip6, destination: Ip6) -> bytes:
    """The message with its checksum."""
    length = HEADER + len(message.payload)
    initial = checksum.pseudo_sum(source, destination, Protocol.ICMPV6, length)
    initial += checksum.ones_sum(message.payload)
    zeroed = _HEADER.pack(message.type, message.code, 0, message.rest)
    value = checksum.internet(zeroed, initial)
    return _HEADER.pack(message.type, message.code, value, message.rest) + message.payload


def show(message: Icmpv6) -> str:
    """``ICMP6 echo request, id 1, seq 2, length 64``; an unreachable names its code."""
    length = HEADER + len(message.payload)
    kind, code = message.type, message.code
    if kind in (Type.ECHO_REQUEST, Type.ECHO_REPLY):
        word = "request" if kind == Type.ECHO_REQUEST else "reply"
        text = f"echo {word}, id {message.identifier}, seq {message.sequence}"
    elif kind == Type.DESTINATION_UNREACHABLE:
        names = {int(one): name for one, name in _SHOW_UNREACHABLE.items()}
        text = f"unreachable - {names.get(code, f'code {code}')}"
    elif kind == Type.PACKET_TOO_BIG:
        text = f"packet too big, mtu {message.mtu}"
    elif kind == Type.TIME_EXCEEDED:
        text = f"time exceeded {'in-transit' if code == TimeExceeded.HOP_LIMIT else 'reassembly'}"
    elif kind == Type.PARAMETER_PROBLEM:
        text = f"parameter problem, code {code}, octet {message.pointer}"
    else:
        names = {int(one): name for one, name in _SHOW_OTHER.items()}
        text = names.get(kind, f"type {kind}, code {code}")
    return f"ICMP6 {text}, length {length}"
