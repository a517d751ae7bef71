"""IPv6 (RFC 8200): the header, and the extension headers between it and what it carries.

Addresses are plain ``bytes`` of sixteen octets, called ``Ip6``, for the reasons that ``wire.ipv4`` gives.

``parse`` walks along the extension headers (hop-by-hop options, routing, fragment, destination options)
and keeps them in order; ``protocol`` and ``payload`` are what comes after. The walk ends early at a piece of
a fragmented packet, whose payload may begin anywhere. A header out of its place (hop-by-hop options that are
not first, a second fragment header) is taken for an upper layer that nobody knows (RFC 8200 4, 4.1).
"""

import struct
from enum import IntEnum
from ipaddress import IPv6Address
from typing import Final, TypeAlias

from msgspec import Struct

from guestnet.core.errors import DescriptionError
from guestnet.wire.octets import Octets, malformed, require, view

Ip6: TypeAlias = bytes
"""An IPv6 address: sixteen octets in network order."""

HEADER: Final = 40
MIN_MTU: Final = 1280
"""Every link takes packets of this size (RFC 8200 5)."""
MAX_EXTENSIONS: Final = 8
"""Extension headers of one packet that are looked at; honest ones have two or three (RFC 8504 5.3)."""
UNSPECIFIED: Final[Ip6] = bytes(16)
LOOPBACK: Final[Ip6] = bytes(15) + b"\1"
ALL_NODES: Final[Ip6] = bytes.fromhex("ff020000000000000000000000000001")
ALL_ROUTERS: Final[Ip6] = bytes.fromhex("ff020000000000000000000000000002")
_HEADER: Final = struct.Struct("!LHBB16s16s")
_FRAGMENT: Final = struct.Struct("!BxHL")
_SOLICITED_NODE: Final = bytes.fromhex("ff0200000000000000000001ff")


class NextHeader(IntEnum):
    """Values of the next header field that are extension headers, and the one for nothing (IANA)."""

    HOP_BY_HOP = 0
    ROUTING = 43
    FRAGMENT = 44
    NONE = 59
    DESTINATION_OPTIONS = 60


_CHAINED: Final = frozenset({0, 43, 44, 60})


class Extension(Struct, frozen=True):
    """An extension header; ``body`` is what follows its first two octets: six octets, or eight more, …"""

    kind: int
    body: bytes

    def __len__(self) -> int:
        """Octets in the packet."""
        return 2 + len(self.body)


class Fragment(Struct, frozen=True):
    """The fragment header (RFC 8200 4.5); ``offset`` in octets."""

    offset: int
    more: bool
    identification: int

    def __len__(self) -> int:
        """Octets in the packet."""
        return 8

    @property
    def is_atomic(self) -> bool:
        """Whether it is the only piece: a packet that was not fragmented (RFC 6946)."""
        return self.offset == 0 and not self.more


class Ipv6(Struct, frozen=True):
    """One packet, whole or a fragment.

    ``reassembled`` is not on the wire: it came in fragments, so its sender does not mind them. The properties
    are what IPv4 has too, under its names, for those to whom both are the same.
    """

    source: Ip6
    destination: Ip6
    protocol: int
    payload: Octets
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    extensions: tuple[Extension | Fragment, ...] = ()
    reassembled: bool = False

    @property
    def ttl(self) -> int:
        """The hop limit."""
        return self.hop_limit

    @property
    def tos(self) -> int:
        """The traffic class: DSCP and ECN."""
        return self.traffic_class

    @property
    def dont_fragment(self) -> bool:
        """True unless its sender has fragmented it: nobody else may."""
        return not self.reassembled

    @property
    def fragment(self) -> Fragment | None:
        """The fragment header, if there is one."""
        return next((one for one in self.extensions if isinstance(one, Fragment)), None)

    @property
    def is_fragment(self) -> bool:
        """True for every piece of a fragmented packet; False for an atomic fragment (RFC 6946)."""
        fragment = self.fragment if self.extensions else None
        return fragment is not None and not fragment.is_atomic

    @property
    def fragment_offset(self) -> int:
        """In octets; 0 without a fragment header."""
        fragment = self.fragment
        return fragment.offset if fragment is not None else 0

    @property
    def more_fragments(self) -> bool:
        """Of the fragment header."""
        fragment = self.fragment
        return fragment is not None and fragment.more

    @property
    def identification(self) -> int:
        """Of the fragment header; 0 without one."""
        fragment = self.fragment
        return fragment.identification if fragment is not None else 0

    @property
    def header_length(self) -> int:
        """Octets before the payload, extension headers included."""
        return HEADER + sum(map(len, self.extensions))


def ip6(text: str) -> Ip6:
    """From ``"fd65:6775:6573:7400::1"``. Raises DescriptionError, also for an address with a zone."""
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise DescriptionError(
            f"{text!r} is no IPv6 address", remedy="write it as fd65:6775:6573:7400::1"
        ) from error
    if address.scope_id is not None:
        raise DescriptionError(f"{text!r} has a zone", remedy="write the address without what follows the %")
    return address.packed


def show_ip6(address: Ip6) -> str:
    """``"fd65:6775:6573:7400::1"``: RFC 5952."""
    return str(IPv6Address(address))


def is_multicast(address: Ip6) -> bool:
    """ff00::/8 (RFC 4291 2.7)."""
    return address[0] == 0xFF


def is_link_local(address: Ip6) -> bool:
    """fe80::/10 (RFC 4291 2.5.6)."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def solicited_node(address: Ip6) -> Ip6:
    """The multicast address at which the owner of ``address`` is asked for (RFC 4291 2.7.1)."""
    return _SOLICITED_NODE + address[13:]


def group_mac(address: Ip6) -> bytes:
    """Where a multicast address goes on ethernet (RFC 2464 7)."""
    return b"\x33\x33" + address[12:]


def parse(data: Octets, *, wire_length: int | None = None) -> Ipv6:
    """Raises WireError on a bad version or length, too many extension headers, or one that does not fit.

    What follows the payload length (ethernet padding) is cut off. ``wire_length`` is how many octets there
    were before a capture cut them: then the payload is what is left.
    """
    octets = view(data)
    require(octets, HEADER, "ipv6 header")
    word, length, protocol, hop_limit, source, destination = _HEADER.unpack_from(octets)
    if word >> 28 != 6:
        raise malformed("ipv6 version", 0, f"{word >> 28} is not 6")
    end = HEADER + length
    there = len(octets) if wire_length is None else wire_length
    if end > there:
        raise malformed("ipv6 payload length", 4, f"{length} is more than there are ({there - HEADER})")
    at = HEADER
    extensions: tuple[Extension | Fragment, ...] = ()
    if protocol in _CHAINED:
        protocol, extensions, at = walk(octets[:end], protocol, HEADER)
    return Ipv6(
        source,
        destination,
        protocol,
        octets[at:end],
        hop_limit,
        word >> 20 & 0xFF,
        word & 0xFFFFF,
        extensions,
    )


def walk(
    octets: memoryview, protocol: int, at: int, *, fragmentable: bool = False
) -> tuple[int, tuple[Extension | Fragment, ...], int]:
    """The extension headers from ``at`` on, of which ``protocol`` is the first, if it is one.

    ``fragmentable``: it is the part of a packet that was fragmented, where some may not be any more. Returns
    the protocol and the place of what comes after them. Raises WireError.
    """
    found: list[Extension | Fragment] = []
    fragmented = fragmentable
    start = at
    while protocol in _CHAINED:
        if (protocol == NextHeader.HOP_BY_HOP and (fragmentable or at > start)) or (
            protocol == NextHeader.FRAGMENT and fragmented
        ):
            break
        if len(found) >= MAX_EXTENSIONS:
            raise malformed("ipv6 extension header", at, f"more than {MAX_EXTENSIONS} of them")
        require(octets, at + 8, "ipv6 extension header")
        following = octets[at]
        if protocol == NextHeader.FRAGMENT:
            fragmented = True
            _, bits, identification = _FRAGMENT.unpack_from(octets, at)
            fragment = Fragment(bits & 0xFFF8, bool(bits & 1), identification)
            found.append(fragment)
            protocol, at = following, at + 8
            if not fragment.is_atomic:
                break
            continue
        end = at + 8 + 8 * octets[at + 1]
        require(octets, end, "ipv6 extension header")
        found.append(Extension(protocol, bytes(octets[at + 2 : end])))
        protocol, at = following, end
    return protocol, tuple(found), at


def header(packet: Ipv6, payload_length: int) -> bytes:
    """The headers of ``packet`` with a payload of that many octets. Raises ValueError when it is too long."""
    chain = b""
    following = packet.protocol
    for one in reversed(packet.extensions):
        if isinstance(one, Fragment):
            if one.offset % 8:
                raise ValueError(f"a fragment offset of {one.offset} is no multiple of 8")
            chain = _FRAGMENT.pack(following, one.offset | one.more, one.identification) + chain
            following = NextHeader.FRAGMENT
        else:
            if len(one) % 8:
                raise ValueError(f"an extension header of {len(one)} octets is no multiple of 8")
            chain = bytes((following, len(one) // 8 - 1)) + one.body + chain
            following = one.kind
    length = len(chain) + payload_length
    if length > 65535:
        raise ValueError(f"an IPv6 payload of {length} octets is too long")
    word = 6 << 28 | packet.traffic_class << 20 | packet.flow_label
    return _HEADER.pack(word, length, following, packet.hop_limit, packet.source, packet.destination) + chain


def emit(packet: Ipv6) -> bytes:
    """The packet. Raises ValueError when it cannot be written."""
    return header(packet, len(packet.payload)) + packet.payload


def show(packet: Ipv6) -> str:
    """``IP6 fe80::1 > ff02::1: 58, hlim 255, length 48``, and the fragment when it is one."""
    fragment = packet.fragment
    cut = ""
    if fragment is not None:
        more = "+" if fragment.more else ""
        cut = f", frag id {fragment.identification} {fragment.offset}:{len(packet.payload)}{more}"
    addresses = f"{show_ip6(packet.source)} > {show_ip6(packet.destination)}"
    return f"IP6 {addresses}: {packet.protocol}, hlim {packet.hop_limit}{cut}, length {len(packet.payload)}"
