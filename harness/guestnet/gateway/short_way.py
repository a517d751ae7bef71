"""The short way of a frame: one small TCP segment that is just what its flow expects (header prediction).

Requests and answers are nearly all like that, and what we take for them is a good part of their round trip.
So a frame that comes alone is read by one ``struct``, from the ethernet header to the timestamps; addresses
and ports, which lie side by side, are the key of its flow; a checksum is one division. Whatever is unusual in
any way - no such flow, options, fragments, marks, a wrong checksum - is left to the plain way, untouched.
"""

import struct
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.port import Frame
from guestnet.gateway.commands import Send
from guestnet.gateway.interface import CE, Interface
from guestnet.gateway.tcp_flows import TcpFlows
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import view

# Of the transport's fields: what is between them does not matter, or is in the checksum.
_IPV4: Final = struct.Struct("!6s6sHBBH2xHBB2x12sLLHH4xLLL")
_IPV6: Final = struct.Struct("!6s6sHLHBB36sLLHH4xLLL")
_ETHERNET: Final = 14
_ADDRESSES4: Final = 26
_TCP4: Final = 34
_ADDRESSES6: Final = 22
_TCP6: Final = 54
_LARGEST: Final = 768
"""Octets of a frame: for a larger one numpy is quicker at the checksum."""
_VERSION: Final = 0x45
"""IPv4 without options."""
_DONT_FRAGMENT: Final = 0x4000
_PSH: Final = 0x08
_STAMPED_ACK: Final = 32 << 10 | 0x10
"""Data offset and flags of a segment with timestamps alone."""
_ALIGNED_TIMESTAMPS: Final = 0x0101080A


class ShortWay:
    """Of one gateway, to its TCP flows."""

    def __init__(self, mac: Mac, interface: Interface, tcp: TcpFlows) -> None:
        self._mac = bytes(mac)
        self._interface = interface
        self._tcp = tcp

    def take(self, frame: Frame, now: int) -> Send | None:
        """What to do about ``frame``. None, and nothing was done: it has to go the plain way."""
        length = len(frame)
        if not _IPV4.size < length <= _LARGEST:
            return None
        kind = frame[12] << 8 | frame[13]
        if kind == EtherType.IPV4:
            return self._take4(view(frame), length, now)
        if kind == EtherType.IPV6 and length > _IPV6.size:
            return self._take6(view(frame), length, now)
        return None

    def _take4(self, frame: memoryview, length: int, now: int) -> Send | None:
        (
            to, mac, _, version, tos, total, fragment, ttl, protocol, key, seq, ack, bits, window, options,
            value, echo,
        ) = _IPV4.unpack_from(frame)  # fmt: skip
        if (
            to != self._mac
            or version != _VERSION
            or total != length - _ETHERNET
            or protocol != Protocol.TCP
            or bits & ~_PSH != _STAMPED_ACK
            or options != _ALIGNED_TIMESTAMPS
            or ttl <= 1
            or fragment & ~_DONT_FRAGMENT
            or tos & CE == CE
            or int.from_bytes(frame[_ETHERNET:_TCP4], "big") % 65535
            or not _is_whole(frame[_ADDRESSES4:], length - _TCP4)
            or not self._interface.is_holder(key[:4], mac)
        ):
            return None
        payload = frame[_IPV4.size :]
        return self._tcp.expected(key, seq, ack, window, (value, echo), payload, tos, now)

    def _take6(self, frame: memoryview, length: int, now: int) -> Send | None:
        (
            to, mac, _, word, size, protocol, hops, key, seq, ack, bits, window, options, value, echo,
        ) = _IPV6.unpack_from(frame)  # fmt: skip
        if (
            to != self._mac
            or word >> 28 != 6
            or size != length - _TCP6
            or protocol != Protocol.TCP
            or bits & ~_PSH != _STAMPED_ACK
            or options != _ALIGNED_TIMESTAMPS
            or hops <= 1
            or word >> 20 & CE == CE
            or not _is_whole(frame[_ADDRESSES6:], size)
            or not self._interface.is_holder(key[:16], mac)
        ):
            return None
        payload = frame[_IPV6.size :]
        tos = word >> 20 & 0xFF
        return self._tcp.expected(key, seq, ack, window, (value, echo), payload, tos, now)


def _is_whole(octets: memoryview, length: int) -> bool:
    """Whether the checksum of a segment of ``length`` octets is right, its addresses being before it."""
    number = int.from_bytes(octets, "big")
    if length & 1:
        number <<= 8
    return (number + Protocol.TCP + length) % 65535 == 0
