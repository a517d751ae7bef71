"""ICMP for IPv4 (RFC 792, RFC 1122 3.2.2, RFC 1191, RFC 1812 5.2.7)."""

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

from guestnet.wire import checksum
from guestnet.wire.octets import Octets, malformed, require, view

HEADER: Final = 8
_HEADER: Final = struct.Struct("!BBHL")


class Type(IntEnum):
    """Message types (RFC 792, RFC 1256, RFC 950)."""

    ECHO_REPLY = 0
    DESTINATION_UNREACHABLE = 3
    SOURCE_QUENCH = 4
    REDIRECT = 5
    ECHO_REQUEST = 8
    ROUTER_ADVERTISEMENT = 9
    ROUTER_SOLICITATION = 10
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12
    TIMESTAMP = 13
    TIMESTAMP_REPLY = 14


class Unreachable(IntEnum):
    """Codes of destination unreachable (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1)."""

    NET = 0
    HOST = 1
    PROTOCOL = 2
    PORT = 3
    FRAGMENTATION_NEEDED = 4
    SOURCE_ROUTE_FAILED = 5
    NET_UNKNOWN = 6
    HOST_UNKNOWN = 7
    SOURCE_HOST_ISOLATED = 8
    NET_PROHIBITED = 9
    HOST_PROHIBITED = 10
    NET_TOS = 11
    HOST_TOS = 12
    COMMUNICATION_PROHIBITED = 13
    PRECEDENCE_VIOLATION = 14
    PRECEDENCE_CUTOFF = 15


class TimeExceeded(IntEnum):
    """Codes of time exceeded (RFC 792)."""

    TTL = 0
    REASSEMBLY = 1


ERRORS: Final = frozenset(
    {
        Type.DESTINATION_UNREACHABLE,
        Type.SOURCE_QUENCH,
        Type.REDIRECT,
        Type.TIME_EXCEEDED,
        Type.PARAMETER_PROBLEM,
    }
)
"""Messages about a packet, which they quote: never answered by another error (RFC 1122 3.2.2)."""

_SHOW_UNREACHABLE: Final = {
    Unreachable.NET: "net unreachable",
    Unreachable.HOST: "host unreachable",
    Unreachable.PROTOCOL: "protocol unreachable",
    Unreachable.PORT: "port unreachable",
    Unreachable.NET_PROHIBITED: "net prohibited",
    Unreachable.HOST_PROHIBITED: "host prohibited",
    Unreachable.COMMUNICATION_PROHIBITED: "administratively prohibited",
}


class Icmp(Struct, frozen=True):
    """One message. ``rest`` is the second 32-bit word of the header: its meaning depends on the type."""

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
        """Next-hop MTU of fragmentation needed (RFC 1191 4); 0 when an old router did not say."""
        return self.rest & 0xFFFF

    @property
    def is_error(self) -> bool:
        """True for a message that quotes a packet."""
        return self.type in ERRORS


def echo_request(identifier: int, sequence: int, payload: Octets = b"") -> Icmp:
    """A ping."""
    return Icmp(Type.ECHO_REQUEST, 0, identifier << 16 | sequence, payload)


def echo_reply(identifier: int, sequence: int, payload: Octets = b"") -> Icmp:
    """The answer to a ping: the same identifier, sequence and payload."""
    return Icmp(Type.ECHO_REPLY, 0, identifier << 16 | sequence, payload)


def unreachable(code: int, quote: Octets, *, mtu: int = 0) -> Icmp:
    """Destination unreachable about the packet that ``quote`` begins; ``mtu`` for fragmentation needed."""
    return Icmp(Type.DESTINATION_UNREACHABLE, code, mtu, quote)


def time_exceeded(code: int, quote: Octets) -> Icmp:
    """Time exceeded (TTL or reassembly) about the packet that ``quote`` begins."""
    return Icmp(Type.TIME_EXCEEDED, code, 0, quote)


def parse(data: Octets, *, verify: bool = True) -> Icmp:
    """Raises WireError on a short header or a wrong checksum; ``verify=False`` skips the latter."""
    octets = view(data)
    require(octets, HEADER, "icmp header")
    kind, code, _, rest = _HEADER.unpack_from(octets)
    if verify and not checksum.is_valid(octets):
        raise malformed("icmp checksum", 2, "wrong")
    return Icmp(kind, code, rest, octets[HEADER:])


def emit(message: Icmp) -> bytes:
    """The message with its checksum."""
    initial = checksum.ones_sum(message.payload)
    zeroed = _HEADER.pack(message.type, message.code, 0, message.rest)
    value = checksum.internet(zeroed, initial)
    return _HEADER.pack(message.type, message.code, value, message.rest) + message.payload


def show(message: Icmp) -> str:
    """``ICMP echo request, id 1, seq 2, length 64``; an unreachable names its code."""
    length = HEADER + len(message.payload)
    if message.type in (Type.ECHO_REQUEST, Type.ECHO_REPLY):
        word = "request" if message.type == Type.ECHO_REQUEST else "reply"
        return f"ICMP echo {word}, id {message.identifier}, seq {message.sequence}, length {length}"
    if message.type == Type.DESTINATION_UNREACHABLE:
        if message.code == Unreachable.FRAGMENTATION_NEEDED:
            return f"ICMP unreachable - need to frag (mtu {message.mtu}), length {length}"
        names = {int(code): text for code, text in _SHOW_UNREACHABLE.items()}
        return f"ICMP {names.get(message.code, f'unreachable, code {message.code}')}, length {length}"
    if message.type == Type.TIME_EXCEEDED:
        word = "in-transit" if message.code == TimeExceeded.TTL else "reassembly"
        return f"ICMP time exceeded {word}, length {length}"
    return f"ICMP type {message.type}, code {message.code}, length {length}"
