"""IP/ICMP translation (RFC 7915): an IPv6 packet made an IPv4 packet, and the other way round.

Goal: what a NAT64 (RFC 6146) does to packets, but for its table of ports: who translates gives each IPv6
client an IPv4 address of its own (`Addresses`), and an ordinary NAT44 behind it lets them share one.

- The translator is a router: the hop limit goes down by one, and at its end an error goes back.
- TCP and UDP checksums are corrected by what changes in the pseudo header (RFC 1624); that of ICMPv6 covers a
  pseudo header and that of ICMP does not, so these are made anew. A UDP datagram over IPv4 without a checksum
  gets one.
- An IPv6 header is 20 octets longer: with "don't fragment" set, who sends too much is told (`mtu` less 20);
  without it, packets become fragments of 1,280 octets.
- Errors are translated with the packet that they quote, as far as it is there. What has no counterpart
  (multicast listeners, redirects, options, routing headers with segments left) is dropped.

Addresses follow RFC 6052 with a /96 prefix.
"""

import struct
from typing import Final, NamedTuple, Protocol

import msgspec

from guestnet.wire import checksum, icmp, icmpv6, ipv4, ipv6
from guestnet.wire.ipv4 import Ip4, Ipv4
from guestnet.wire.ipv4 import Protocol as Number
from guestnet.wire.ipv6 import Extension, Fragment, Ip6, Ipv6
from guestnet.wire.octets import Octets

PREFIX_LENGTH: Final = 96
GROWTH: Final = ipv6.HEADER - ipv4.HEADER
"""Octets by which a packet becomes longer as IPv6."""
_MAY_FRAGMENT: Final = 1260
"""An IPv4 packet of at most this size may be fragmented further on (RFC 7915 section 5.1)."""
_LARGEST: Final = 65535
"""Octets of an IPv4 packet, also when its fragments are put together (RFC 791 section 3.1)."""
_CHECKSUM_AT: Final = {Number.TCP: 16, Number.UDP: 6}
_QUOTED4: Final = 548
"""Octets of a packet that an ICMP error quotes, so that the error has 576 (RFC 1812 section 4.3.2.3)."""
_WORDS: Final = struct.Struct("!BBHL")

_ECHO_TO_6: Final = {
    icmp.Type.ECHO_REQUEST: icmpv6.Type.ECHO_REQUEST,
    icmp.Type.ECHO_REPLY: icmpv6.Type.ECHO_REPLY,
}
_ECHO_TO_4: Final = {six: four for four, six in _ECHO_TO_6.items()}
_UNREACHABLE_TO_6: Final = {
    **dict.fromkeys((0, 1, 5, 6, 7, 8, 11, 12), icmpv6.Unreachable.NO_ROUTE),
    **dict.fromkeys((9, 10, 13, 15), icmpv6.Unreachable.PROHIBITED),
    3: icmpv6.Unreachable.PORT,
}
_UNREACHABLE_TO_4: Final = {0: 1, 1: 10, 2: 1, 3: 1, 4: 3}


class Addresses(Protocol):
    """Who is who: every answer may be None, for an address that has no counterpart."""

    def to_ip4(self, address: Ip6) -> Ip4 | None:
        """The IPv4 address of an IPv6 one."""

    def to_ip6(self, address: Ip4) -> Ip6 | None:
        """The IPv6 address of an IPv4 one."""


class Translated(NamedTuple):
    """``onward`` are packets of the other version, ``back`` errors of the same version to the sender."""

    onward: tuple[bytes, ...] = ()
    back: tuple[bytes, ...] = ()


class Translator:
    """Translates by ``addresses``; errors of its own come from ``own4`` and ``own6``.

    ``mtu``: of the IPv6 network, in octets of packet.
    """

    def __init__(self, addresses: Addresses, own4: Ip4, own6: Ip6, mtu: int) -> None:
        self._addresses = addresses
        self._own4 = own4
        self._own6 = own6
        self._mtu = mtu

    def six_to_four(self, octets: Octets) -> Translated:
        """An IPv6 packet as IPv4. Raises WireError for what is none."""
        packet = ipv6.parse(octets)
        if packet.hop_limit <= 1:
            return Translated(back=self._error6(packet, octets, icmpv6.Type.TIME_EXCEEDED, 0, 0))
        return Translated(self._six_to_four(packet, packet.hop_limit - 1))

    def four_to_six(self, octets: Octets) -> Translated:
        """An IPv4 packet as IPv6. Raises WireError for what is none."""
        packet = ipv4.parse(octets)
        if packet.ttl <= 1:
            return Translated(back=self._error4(packet, octets, icmp.Type.TIME_EXCEEDED, 0, 0))
        translated = self._four_to_six(packet, packet.ttl - 1)
        if translated is None:
            return Translated()
        if len(translated.payload) + translated.header_length <= self._limit(packet):
            return Translated((ipv6.emit(translated),))
        if packet.dont_fragment:
            code, rest = icmp.Unreachable.FRAGMENTATION_NEEDED, self._mtu - GROWTH
            return Translated(
                back=self._error4(packet, octets, icmp.Type.DESTINATION_UNREACHABLE, code, rest)
            )
        return Translated(tuple(map(ipv6.emit, _fragments(translated, packet))))

    def _limit(self, packet: Ipv4) -> int:
        return self._mtu if packet.dont_fragment else min(self._mtu, ipv6.MIN_MTU)

    # IPv6 to IPv4

    def _six_to_four(self, packet: Ipv6, ttl: int, *, quoted: bool = False) -> tuple[bytes, ...]:
        source = self._addresses.to_ip4(packet.source)
        destination = self._addresses.to_ip4(packet.destination)
        if source is None or destination is None or any(map(_has_segments_left, packet.extensions)):
            return ()
        protocol, payload = self._payload_to_4(packet, source, destination, quoted)
        if payload is None:
            return ()
        piece = packet.fragment
        whole = ipv4.HEADER + len(payload)
        if packet.fragment_offset + whole > _LARGEST:
            return ()
        translated = Ipv4(
            source, destination, protocol, payload, ttl,
            identification=piece.identification & 0xFFFF if piece else 0,
            dont_fragment=piece is None and whole > _MAY_FRAGMENT,
            more_fragments=packet.more_fragments,
            fragment_offset=packet.fragment_offset,
            tos=packet.traffic_class,
        )  # fmt: skip
        return (ipv4.emit(translated),)

    def _payload_to_4(
        self, packet: Ipv6, source: Ip4, destination: Ip4, quoted: bool
    ) -> tuple[int, bytes | None]:
        if packet.protocol != Number.ICMPV6:
            return packet.protocol, _corrected(
                packet, packet.source + packet.destination, source + destination
            )
        if packet.is_fragment or len(packet.payload) < icmpv6.HEADER:
            return packet.protocol, None
        return Number.ICMP, self._icmp_to_4(bytes(packet.payload), quoted)

    def _icmp_to_4(self, message: bytes, quoted: bool) -> bytes | None:
        kind, code, _, rest = _WORDS.unpack_from(message)
        body = message[icmpv6.HEADER :]
        if kind in _ECHO_TO_4:
            return _icmp4(_ECHO_TO_4[icmpv6.Type(kind)], 0, rest, body)
        if quoted:
            return None
        match kind:
            case icmpv6.Type.DESTINATION_UNREACHABLE if code in _UNREACHABLE_TO_4:
                told = (icmp.Type.DESTINATION_UNREACHABLE, _UNREACHABLE_TO_4[code], 0)
            case icmpv6.Type.PACKET_TOO_BIG:
                mtu = min(max(rest - GROWTH, 68), 0xFFFF)
                told = (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.FRAGMENTATION_NEEDED, mtu)
            case icmpv6.Type.TIME_EXCEEDED:
                told = (icmp.Type.TIME_EXCEEDED, code, 0)
            case icmpv6.Type.PARAMETER_PROBLEM if code == icmpv6.ParameterProblem.NEXT_HEADER:
                told = (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PROTOCOL, 0)
            case _:
                return None
        inner = _cut6(body)
        about = self._six_to_four(inner, inner.hop_limit, quoted=True) if inner is not None else ()
        return _icmp4(*told, about[0][:_QUOTED4]) if about else None

    # IPv4 to IPv6

    def _four_to_six(self, packet: Ipv4, hop_limit: int, *, quoted: bool = False) -> Ipv6 | None:
        source = self._addresses.to_ip6(packet.source)
        destination = self._addresses.to_ip6(packet.destination)
        if source is None or destination is None or packet.options:
            return None
        protocol, payload = self._payload_to_6(packet, source, destination, quoted)
        if payload is None:
            return None
        piece = Fragment(packet.fragment_offset, packet.more_fragments, packet.identification)
        return Ipv6(
            source, destination, protocol, payload, hop_limit, packet.tos,
            extensions=(piece,) if packet.is_fragment else (),
        )  # fmt: skip

    def _payload_to_6(
        self, packet: Ipv4, source: Ip6, destination: Ip6, quoted: bool
    ) -> tuple[int, bytes | None]:
        if packet.protocol != Number.ICMP:
            if _lacks_checksum(packet) and not quoted:
                if packet.is_fragment:
                    return packet.protocol, None
                return packet.protocol, _with_checksum(bytes(packet.payload), source, destination)
            return packet.protocol, _corrected(
                packet, packet.source + packet.destination, source + destination
            )
        if packet.is_fragment or len(packet.payload) < icmp.HEADER:
            return packet.protocol, None
        return Number.ICMPV6, self._icmp_to_6(bytes(packet.payload), source, destination, quoted)

    def _icmp_to_6(self, message: bytes, source: Ip6, destination: Ip6, quoted: bool) -> bytes | None:
        kind, code, _, rest = _WORDS.unpack_from(message)
        body = message[icmp.HEADER :]
        if kind in _ECHO_TO_6:
            return _icmp6(_ECHO_TO_6[icmp.Type(kind)], 0, rest, body, source, destination)
        if quoted:
            return None
        match (kind, code):
            case (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.FRAGMENTATION_NEEDED):
                mtu = max((rest & 0xFFFF or ipv6.MIN_MTU) + GROWTH, ipv6.MIN_MTU)
                told = (icmpv6.Type.PACKET_TOO_BIG, 0, min(mtu, self._mtu))
            case (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PROTOCOL):
                told = (icmpv6.Type.PARAMETER_PROBLEM, icmpv6.ParameterProblem.NEXT_HEADER, 6)
            case (icmp.Type.DESTINATION_UNREACHABLE, _) if code in _UNREACHABLE_TO_6:
                told = (icmpv6.Type.DESTINATION_UNREACHABLE, _UNREACHABLE_TO_6[code], 0)
            case (icmp.Type.TIME_EXCEEDED, _):
                told = (icmpv6.Type.TIME_EXCEEDED, code, 0)
            case _:
                return None
        inner = _cut4(body)
        about = self._four_to_six(inner, inner.ttl, quoted=True) if inner is not None else None
        if about is None:
            return None
        quote = ipv6.emit(about)[: ipv6.MIN_MTU - ipv6.HEADER - icmpv6.HEADER]
        return _icmp6(*told, quote, source, destination)

    # Errors of our own

    def _error6(self, packet: Ipv6, octets: Octets, kind: int, code: int, rest: int) -> tuple[bytes, ...]:
        if packet.protocol == Number.ICMPV6 and bytes(packet.payload[:1]) < b"\x80":
            return ()
        quote = bytes(octets[: ipv6.MIN_MTU - ipv6.HEADER - icmpv6.HEADER])
        message = _icmp6(kind, code, rest, quote, self._own6, packet.source)
        return (ipv6.emit(Ipv6(self._own6, packet.source, Number.ICMPV6, message)),)

    def _error4(self, packet: Ipv4, octets: Octets, kind: int, code: int, rest: int) -> tuple[bytes, ...]:
        is_error = packet.protocol == Number.ICMP and bytes(packet.payload[:1]) not in (b"\0", b"\x08")
        if is_error or packet.fragment_offset:
            return ()
        message = _icmp4(kind, code, rest, bytes(octets[:_QUOTED4]))
        return (ipv4.emit(Ipv4(self._own4, packet.source, Number.ICMP, message)),)


def embedded(prefix: Ip6, address: Ip4) -> Ip6:
    """``address`` within a /96 ``prefix`` (RFC 6052 section 2.2)."""
    return prefix[:12] + address


def _fragments(packet: Ipv6, of: Ipv4) -> list[Ipv6]:
    """``packet`` in pieces that fit into 1,280 octets (RFC 7915 section 4)."""
    room = (ipv6.MIN_MTU - ipv6.HEADER - 8) & ~7
    pieces = []
    for at in range(0, len(packet.payload), room):
        payload = packet.payload[at : at + room]
        more = of.more_fragments or at + len(payload) < len(packet.payload)
        fragment = Fragment(of.fragment_offset + at, more, of.identification)
        pieces.append(msgspec.structs.replace(packet, payload=payload, extensions=(fragment,)))
    return pieces


def _has_segments_left(header: Extension | Fragment) -> bool:
    return isinstance(header, Extension) and header.kind == ipv6.NextHeader.ROUTING and header.body[1] != 0


def _corrected(packet: Ipv4 | Ipv6, old: bytes, new: bytes) -> bytes:
    """The payload with its checksum for the addresses ``new`` in place of ``old``, if it has one."""
    payload = bytes(packet.payload)
    at = _CHECKSUM_AT.get(Number(packet.protocol)) if packet.protocol in set(Number) else None
    if at is None or packet.fragment_offset or len(payload) < at + 2:
        return payload
    was = int.from_bytes(payload[at : at + 2], "big")
    if packet.protocol == Number.UDP and was == 0:
        return payload
    now = checksum.replace(was, old, new)
    if packet.protocol == Number.UDP and now == 0:
        now = 0xFFFF
    return b"".join((payload[:at], now.to_bytes(2, "big"), payload[at + 2 :]))


def _lacks_checksum(packet: Ipv4) -> bool:
    return (
        packet.protocol == Number.UDP and not packet.fragment_offset and bytes(packet.payload[6:8]) == b"\0\0"
    )


def _with_checksum(datagram: bytes, source: Ip6, destination: Ip6) -> bytes:
    pseudo = checksum.pseudo_sum(source, destination, Number.UDP, len(datagram))
    now = checksum.internet(datagram, pseudo) or 0xFFFF
    return b"".join((datagram[:6], now.to_bytes(2, "big"), datagram[8:]))


def _icmp4(kind: int, code: int, rest: int, body: bytes) -> bytes:
    zeroed = _WORDS.pack(kind, code, 0, rest) + body
    return _WORDS.pack(kind, code, checksum.internet(zeroed), rest) + body


def _icmp6(kind: int, code: int, rest: int, body: bytes, source: Ip6, destination: Ip6) -> bytes:
    zeroed = _WORDS.pack(kind, code, 0, rest) + body
    pseudo = checksum.pseudo_sum(source, destination, Number.ICMPV6, len(zeroed))
    return _WORDS.pack(kind, code, checksum.internet(zeroed, pseudo), rest) + body


def _cut4(quote: bytes) -> Ipv4 | None:
    """The packet that an error quotes the beginning of; None when not even its header is there."""
    if len(quote) < ipv4.HEADER or quote[0] >> 4 != 4:
        return None
    return ipv4.parse(quote, wire_length=0xFFFF, verify=False)


def _cut6(quote: bytes) -> Ipv6 | None:
    if len(quote) < ipv6.HEADER or quote[0] >> 4 != 6:
        return None
    return ipv6.parse(quote, wire_length=1 << 17)
