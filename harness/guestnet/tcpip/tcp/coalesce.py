"""Many in-order segments of one connection as one, by numpy: the opposite of ``bulk``.

What a guest sends in bulk are full segments, one after the other, that differ in what differs by rule:
identification, sequence number, timestamps and the checksums; and PSH, which means nothing to us. A run of
those is checked all at once and becomes one ``Segment``. All else comes back as None: then the plain way, one
segment at a time, has to find out what it is. That is never wrong, only slower.

One segment instead of many is the same to a connection that takes them in order: all carry the same ACK and
window, TS.Recent is set by the first (RFC 7323 4.3), TSecr counts only where the ACK moves (RFC 7323 4.1),
and a batch is answered by one ACK in any case.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guestnet.frames.run import Run
from guestnet.frames.train import Train
from guestnet.tcpip.tcp.sequence import MASK
from guestnet.wire import ethernet
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6
from guestnet.wire.octets import Octets
from guestnet.wire.tcp import Flags, Segment

_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!LHBB16s16s")
_TCP: Final = struct.Struct("!HHLLHHHHLLL")
_HEADER: Final = struct.Struct("!HHLLHHHH")
_STAMPS: Final = struct.Struct("!LL")
_PLAIN: Final = 20
_STAMPED: Final = 32
_ALIGNED_TIMESTAMPS: Final = 0x0101080A
_ALIGNED_OCTETS: Final = _ALIGNED_TIMESTAMPS.to_bytes(4, "big")
_DONT_FRAGMENT: Final = 0x4000
_ACK: Final = 0x10
_PSH: Final = 0x08


def _varying(ip_header: int, *fields: tuple[int, int]) -> NDArray[np.uint32]:
    """A mask over IP and TCP header, as 32-bit words: zero in these octets, and in the bit of PSH."""
    octets = np.full(ip_header + _STAMPED, 0xFF, np.uint8)
    for start, end in fields:
        octets[start:end] = 0
    octets[ip_header + 13] = 0xFF ^ _PSH
    return octets.view(np.uint32)


# Sequence number, TCP checksum, TSval and TSecr; in IPv4 before them identification and header checksum.
_FIXED: Final = {
    20: _varying(20, (4, 6), (10, 12), (24, 28), (36, 38), (44, 52)),
    40: _varying(40, (44, 48), (56, 58), (64, 72)),
}


def coalesce(run: Run, at: int) -> tuple[IpPacket, Segment] | None:
    """The packets that begin at octet ``at`` of each frame as one: the first's header, all payload.

    Every checksum was verified. None when they are anything but segments of one connection in order.
    """
    size = run.length - at
    first = run[0][at:]
    ip_header = _plain_header(first, size)
    if not ip_header or size < ip_header + _STAMPED:
        return None
    source_port, destination_port, seq, ack, bits, window, _, _, options, value, echo = _TCP.unpack_from(
        first, ip_header
    )
    header = bits >> 10 & 60
    if header == _PLAIN:
        stamps = None
    elif header == _STAMPED and options == _ALIGNED_TIMESTAMPS:
        stamps = value, echo
    else:
        return None
    length = size - ip_header - header
    if bits & 511 & ~_PSH != _ACK or length <= 0 or length % 4:
        return None
    payload = _checked(run, at, ip_header, header, length)
    if payload is None:
        return None
    return _packet(first, payload), Segment(
        source_port, destination_port, seq, ack, Flags(_ACK), window, payload, timestamps=stamps
    )


def merge(train: Train) -> tuple[IpPacket, Segment] | None:
    """``coalesce`` for a train: nobody has to check what was never cut."""
    head = train.head
    first = head[ethernet.HEADER :]
    ip_header = _plain_header(first, 0)
    if not ip_header or len(first) != ip_header + len(train.header):
        return None
    flags = train.header[13] | train.first_flags | train.last_flags
    if flags & ~_PSH != _ACK or train.header[12] & 1 or not train.payload:
        return None
    stamps = None
    if len(train.header) == _PLAIN + 12 and train.header[20:24] == _ALIGNED_OCTETS:
        stamps = _STAMPS.unpack_from(train.header, 24)
    elif len(train.header) != _PLAIN:
        return None
    source_port, destination_port, seq, ack, _, window, _, _ = _HEADER.unpack_from(train.header)
    return _packet(first, train.payload), Segment(
        source_port, destination_port, seq, ack, Flags(_ACK), window, train.payload, timestamps=stamps
    )


def _plain_header(first: Octets, size: int) -> int:
    """Octets of the IP header before a whole TCP packet of ``size`` octets (0: of any), else 0.

    IPv4 without options, IPv6 without extension headers.
    """
    if len(first) < _IPV4.size:
        return 0
    if first[0] == 0x45:
        _, _, total, _, fragment, _, protocol, _, _, _ = _IPV4.unpack_from(first)
        plain = protocol == Protocol.TCP and fragment in (0, _DONT_FRAGMENT) and size in (0, total)
        return 20 if plain else 0
    if first[0] >> 4 == 6 and len(first) >= _IPV6.size:
        _, length, protocol, _, _, _ = _IPV6.unpack_from(first)
        return 40 if protocol == Protocol.TCP and size in (0, length + 40) else 0
    return 0


def _packet(first: Octets, payload: memoryview) -> IpPacket:
    """With the header at the beginning of ``first``."""
    if first[0] == 0x45:
        _, tos, _, identification, fragment, ttl, protocol, _, source, destination = _IPV4.unpack_from(first)
        return Ipv4(source, destination, protocol, payload, ttl, identification, bool(fragment), tos=tos)
    word, _, protocol, hop_limit, source, destination = _IPV6.unpack_from(first)
    return Ipv6(source, destination, protocol, payload, hop_limit, word >> 20 & 0xFF, word & 0xFFFFF)


def _checked(run: Run, at: int, ip_header: int, tcp_header: int, length: int) -> memoryview | None:
    """All payload in one piece, if the headers belong together and the checksums are right."""
    headers = ip_header + tcp_header
    heads = np.ascontiguousarray(run.matrix(at, at + headers))
    words = heads.view(np.uint32)
    if ((words[1:] ^ words[:-1]) & _FIXED[ip_header][: headers // 4]).any():
        return None
    numbers = heads.view(">u4")
    tcp = ip_header // 4
    seq = numbers[:, tcp + 1].astype(np.int64)
    if ((seq[1:] - seq[:-1] - length) & MASK).any():
        return None
    if tcp_header == _STAMPED:
        value = numbers[:, tcp + 6].astype(np.int64)
        if ((value[1:] - value[:-1]) & 1 << 31).any():
            return None
    payload = np.ascontiguousarray(run.matrix(at + headers, at + headers + length))
    # Sums in the machine's byte order: whether one is a multiple of 65535 does not depend on it.
    pairs = heads.view("<u2")
    if ip_header == 20 and (pairs[:, :10].sum(axis=1, dtype=np.uint64) % 65535).any():
        return None
    pseudo = (Protocol.TCP << 8) + int.from_bytes((tcp_header + length).to_bytes(2, "little"), "big")
    # The addresses are the last that is before the TCP header.
    addresses = 6 if ip_header == 20 else 4
    sums = pairs[:, addresses:].sum(axis=1, dtype=np.uint64)
    sums += payload.view("<u4").sum(axis=1, dtype=np.uint64)
    if ((sums + np.uint64(pseudo)) % 65535).any():
        return None
    return payload.reshape(-1).data
