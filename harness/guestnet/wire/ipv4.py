"""IPv4 (RFC 791, RFC 1122 3.2.1, RFC 6864).

Addresses in the structs of the hot formats are plain ``bytes`` of four octets, called ``Ip4``: they are
cut from the frame and pasted into the pseudo header as they are, hash and compare at C speed, and cost
40 ns where ``ipaddress.IPv4Address`` costs a microsecond. ``ip4`` and ``show_ip4`` are for people.
"""

import struct
from enum import IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

from guestnet.core.errors import DescriptionError
from guestnet.wire import checksum
from guestnet.wire.octets import Octets, malformed, require, view

Ip4: TypeAlias = bytes
"""An IPv4 address: four octets in network order."""

HEADER: Final = 20
ANY: Final[Ip4] = bytes(4)
BROADCAST: Final[Ip4] = b"\xff" * 4
_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
_DONT_FRAGMENT: Final = 0x4000
_MORE_FRAGMENTS: Final = 0x2000


class Protocol(IntEnum):
    """Values of the protocol field (IANA)."""

    ICMP = 1
    IGMP = 2
    TCP = 6
    UDP = 17
    IPV6 = 41
    ICMPV6 = 58


def ip4(text: str) -> Ip4:
    """From ``"192.168.65.1"``. Raises DescriptionError."""
    parts = text.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
        return bytes(map(int, parts))
    raise DescriptionError(
        f"{text!r} is no IPv4 address", remedy="write four numbers of 0 to 255, as 192.168.65.1"
    )


def show_ip4(address: Ip4) -> str:
    """``"192.168.65.1"``."""
    return ".".join(map(str, address))


class Ipv4(Struct, frozen=True):
    """One packet, whole or a fragment; ``fragment_offset`` in octets; ``tos`` holds DSCP and ECN."""

    source: Ip4
    destination: Ip4
    protocol: int
    payload: Octets
    ttl: int = 64
    identification: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0
    tos: int = 0
    options: bytes = b""

    @property
    def is_fragment(self) -> bool:
        """True for every piece of a fragmented packet, the first and the last too."""
        return self.more_fragments or self.fragment_offset > 0


def parse(data: Octets, *, wire_length: int | None = None, verify: bool = True) -> Ipv4:
    """Raises WireError on a bad version, length or checksum, or a fragment that ends beyond 65,535 octets.

    What follows the total length (ethernet padding) is cut off. ``wire_length`` is how many octets there
    were before a capture cut them: then the payload is what is left. ``verify=False`` skips the checksum.
    """
    octets = view(data)
    require(octets, HEADER, "ipv4 header")
    first, tos, total, identification, fragment, ttl, protocol, _, source, destination = _HEADER.unpack_from(
        octets
    )
    header = (first & 15) * 4
    if first >> 4 != 4:
        raise malformed("ipv4 version", 0, f"{first >> 4} is not 4")
    if header < HEADER:
        raise malformed("ipv4 header length", 0, f"{header} octets are fewer than {HEADER}")
    if total < header:
        raise malformed("ipv4 total length", 2, f"{total} is less than the header's {header}")
    if total > (len(octets) if wire_length is None else wire_length):
        raise malformed(
            "ipv4 total length", 2, f"{total} is more than there are ({wire_length or len(octets)})"
        )
    require(octets, header, "ipv4 options")
    # ``checksum.is_valid`` of what is not all zeros, in one step: every packet comes here.
    if verify and int.from_bytes(octets[:header], "big") % 65535:
        raise malformed("ipv4 header checksum", 10, "wrong")
    offset = (fragment & 0x1FFF) * 8
    if offset + total - header > 65535:
        raise malformed("ipv4 fragment offset", 6, f"{offset} and {total - header} octets end beyond 65535")
    return Ipv4(
        source, destination, protocol, octets[header:total], ttl, identification,
        bool(fragment & _DONT_FRAGMENT), bool(fragment & _MORE_FRAGMENTS), offset, tos,
        bytes(octets[HEADER:header]) if header > HEADER else b"",
    )  # fmt: skip


def header(packet: Ipv4, payload_length: int) -> bytes:
    """The header, checksummed, of ``packet`` with a payload of that many octets."""
    options = packet.options + bytes(-len(packet.options) % 4)
    length = HEADER + len(options)
    if length > 60 or length + payload_length > 65535:
        raise ValueError(
            f"an IPv4 packet of {length} octets of header and {payload_length} of payload is too long"
        )
    if packet.fragment_offset % 8:
        raise ValueError(f"a fragment offset of {packet.fragment_offset} is no multiple of 8")
    fragment = (
        packet.fragment_offset >> 3
        | (_DONT_FRAGMENT if packet.dont_fragment else 0)
        | (_MORE_FRAGMENTS if packet.more_fragments else 0)
    )
    return checksummed(
        _HEADER.pack(
            0x40 | length >> 2, packet.tos, length + payload_length, packet.identification, fragment,
            packet.ttl, packet.protocol, 0, packet.source, packet.destination,
        )
        + options
    )  # fmt: skip


def checksummed(zeroed: bytes) -> bytes:
    """A header whose checksum field is zero, with the field filled in."""
    return b"".join((zeroed[:10], checksum.internet(zeroed).to_bytes(2, "big"), zeroed[12:]))


def emit(packet: Ipv4) -> bytes:
    """The packet; options are padded to a multiple of four. Raises ValueError when it cannot be written."""
    return header(packet, len(packet.payload)) + packet.payload


def show(packet: Ipv4) -> str:
    """``IP 192.168.65.3 > 192.168.65.1: UDP (17), ttl 64, length 48``, and the fragment when it is one."""
    name = str(packet.protocol)
    if packet.protocol in _KNOWN:
        name = f"{Protocol(packet.protocol).name} ({packet.protocol})"
    fragment = ""
    if packet.is_fragment:
        more = "+" if packet.more_fragments else ""
        fragment = f", frag id {packet.identification} {packet.fragment_offset}:{len(packet.payload)}{more}"
    addresses = f"{show_ip4(packet.source)} > {show_ip4(packet.destination)}"
    return f"IP {addresses}: {name}, ttl {packet.ttl}{fragment}, length {len(packet.payload)}"


_KNOWN: Final = frozenset(Protocol)
