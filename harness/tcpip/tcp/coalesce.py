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

from harness.tcpip.tcp.sequence import MASK
from harness.wire import ethernet
from harness.wire.ipv4 import Ipv4, Protocol
from harness.wire.run import Run
from harness.wire.tcp import Flags, Segment
from harness.wire.train import Train

_IP: Final = struct.Struct("!BBHHHBBH4s4s")
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


def _varying(*fields: tuple[int, int]) -> NDArray[np.uint32]:
    """A mask over IPv4 and TCP header, as 32-bit words: zero in these octets, and in the bit of PSH."""
    octets = np.full(_PLAIN + _STAMPED, 0xFF, np.uint8)
    for start, end in fields:
        octets[start:end] = 0
    octets[_PLAIN + 13] = 0xFF ^ _PSH
    return octets.view(np.uint32)


# Identification, header checksum, sequence number, TCP checksum, TSval and TSecr.
_FIXED: Final = _varying((4, 6), (10, 12), (24, 28), (36, 38), (44, 52))


def coalesce(run: Run, at: int) -> tuple[Ipv4, Segment] | None:
    """The packets that begin at octet ``at`` of each frame as one: the first's header, all payload.

    Every checksum was verified. None when they are anything but segments of one connection in order.
    """
    size = run.length - at
    if size < _PLAIN + _STAMPED:
        return None
    first = run[0][at:]
    bits, tos, total, identification, fragment, ttl, protocol, _, source, destination = _IP.unpack_from(first)
    if bits != 0x45 or total != size or protocol != Protocol.TCP or fragment not in (0, _DONT_FRAGMENT):
        return None
    source_port, destination_port, seq, ack, bits, window, _, _, options, value, echo = _TCP.unpack_from(
        first, _PLAIN
    )
    header = bits >> 10 & 60
    if header == _PLAIN:
        stamps = None
    elif header == _STAMPED and options == _ALIGNED_TIMESTAMPS:
        stamps = value, echo
    else:
        return None
    length = size - _PLAIN - header
    if bits & 511 & ~_PSH != _ACK or length <= 0 or length % 4:
        return None
    payload = _checked(run, at, _PLAIN + header, length)
    if payload is None:
        return None
    packet = Ipv4(source, destination, protocol, payload, ttl, identification, bool(fragment), tos=tos)
    return packet, Segment(
        source_port, destination_port, seq, ack, Flags(_ACK), window, payload, timestamps=stamps
    )


def merge(train: Train) -> tuple[Ipv4, Segment] | None:
    """``coalesce`` for a train: nobody has to check what was never cut."""
    first = train.head
    bits, tos, _, identification, fragment, ttl, protocol, _, source, destination = _IP.unpack_from(
        first, ethernet.HEADER
    )
    if bits != 0x45 or protocol != Protocol.TCP or fragment not in (0, _DONT_FRAGMENT):
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
    packet = Ipv4(source, destination, protocol, train.payload, ttl, identification, bool(fragment), tos=tos)
    return packet, Segment(
        source_port, destination_port, seq, ack, Flags(_ACK), window, train.payload, timestamps=stamps
    )


def _checked(run: Run, at: int, headers: int, length: int) -> memoryview | None:
    """All payload in one piece, if the headers belong together and the checksums are right."""
    heads = np.ascontiguousarray(run.matrix(at, at + headers))
    words = heads.view(np.uint32)
    if ((words[1:] ^ words[:-1]) & _FIXED[: headers // 4]).any():
        return None
    numbers = heads.view(">u4")
    seq = numbers[:, 6].astype(np.int64)
    if ((seq[1:] - seq[:-1] - length) & MASK).any():
        return None
    if headers == _PLAIN + _STAMPED:
        value = numbers[:, 11].astype(np.int64)
        if ((value[1:] - value[:-1]) & MASK).max() >= 1 << 31:
            return None
    payload = np.ascontiguousarray(run.matrix(at + headers, at + headers + length))
    # Sums in the machine's byte order: whether one is a multiple of 65535 does not depend on it.
    pairs = heads.view("<u2")
    if (pairs[:, :10].sum(axis=1, dtype=np.uint64) % 65535).any():
        return None
    pseudo = (Protocol.TCP << 8) + int.from_bytes((headers - _PLAIN + length).to_bytes(2, "little"), "big")
    sums = pairs[:, 6:].sum(axis=1, dtype=np.uint64)
    sums += payload.view("<u4").sum(axis=1, dtype=np.uint64)
    if ((sums + np.uint64(pseudo)) % 65535).any():
        return None
    return payload.reshape(-1).data
