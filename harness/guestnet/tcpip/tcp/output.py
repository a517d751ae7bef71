"""Segments as octets: the plain way to write each kind, and the one place where a run of data is cut.

The checksum is the ones' complement of the sum modulo 65535, and 2^16 is 1 modulo 65535: so a whole
32-bit field may be added as one number, and everything that the segments of a batch share is summed once.
"""

import struct
from typing import Final

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp.config import Endpoint
from guestnet.tcpip.tcp.sequence import MASK
from guestnet.wire import checksum, tcp
from guestnet.wire.ip import IpAddress
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import Octets
from guestnet.wire.tcp import Flags, Segment

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
ECE: Final = 0x40
CWR: Final = 0x80

_PLAIN: Final = struct.Struct("!HHLLHHHH")
_STAMPED: Final = struct.Struct("!HHLLHHHHLLL")
_NOP_NOP_TIMESTAMPS: Final = 0x0101080A


class Template:
    """What the segments of one batch have in common. ``timestamps`` is (TSval, TSecr) or None.

    ``flags`` are in all of them: ACK, and ECE while congestion is echoed.
    """

    __slots__ = (
        "ack", "addresses_sum", "destination_port", "flags", "header", "source_port", "sum", "timestamps",
        "window",
    )  # fmt: skip

    def __init__(
        self, addresses_sum: int, source_port: int, destination_port: int, ack: int, window: int,
        timestamps: tuple[int, int] | None, flags: int = ACK,
    ) -> None:  # fmt: skip
        self.addresses_sum = addresses_sum
        self.flags = flags
        self.source_port = source_port
        self.destination_port = destination_port
        self.ack = ack
        self.window = window
        self.timestamps = timestamps
        self.header = 20 if timestamps is None else 32
        self.sum = addresses_sum + source_port + destination_port + ack + window + (self.header << 10)
        if timestamps is not None:
            self.sum += _NOP_NOP_TIMESTAMPS + timestamps[0] + timestamps[1]

    def segment(self, seq: int, flags: int, payload: Octets = b"") -> bytes:
        """One segment: ``seq`` as on the wire, ``flags`` beside those of all."""
        header = self.header
        flags |= self.flags
        length = header + len(payload)
        total = self.sum + seq + flags + length
        if payload:
            total += checksum.ones_sum(payload)
        check = checksum.fold(total) ^ 0xFFFF
        head = self.head(seq, flags, check)
        return b"".join((head, payload)) if payload else head

    def head(self, seq: int, flags: int, check: int) -> bytes:
        """The header with the checksum ``check``."""
        bits = self.header << 10 | flags
        if self.timestamps is None:
            return _PLAIN.pack(
                self.source_port, self.destination_port, seq, self.ack, bits, self.window, check, 0
            )
        return _STAMPED.pack(
            self.source_port, self.destination_port, seq, self.ack, bits, self.window, check, 0,
            _NOP_NOP_TIMESTAMPS, *self.timestamps,
        )  # fmt: skip


def segment_run(template: Template, seq: int, data: memoryview, size: int, last_flags: int) -> list[Octets]:
    """``data`` from ``seq`` on as segments of at most ``size`` octets; the last one gets ``last_flags`` too.

    The plain way. A faster one has to give the same octets.
    """
    segments: list[Octets] = []
    last = len(data) - size
    for at in range(0, max(len(data), 1), size):
        flags = 0 if at < last else last_flags
        segments.append(template.segment((seq + at) & MASK, flags, data[at : at + size]))
    return segments


class Emitter:
    """Writes the segments of one connection."""

    __slots__ = ("_addresses_sum", "_offset", "local", "remote", "timestamps")

    def __init__(self, local: Endpoint, remote: Endpoint, timestamp_offset: int) -> None:
        self.local = local
        self.remote = remote
        self.timestamps = False
        self._offset = timestamp_offset
        self._addresses_sum = checksum.pseudo_sum(local.address, remote.address, Protocol.TCP, 0)

    def clock(self, now: int) -> int:
        """The timestamp clock: milliseconds (RFC 7323 5.4) from an offset of the connection's own."""
        return (now // MILLISECOND + self._offset) & MASK

    def template(self, ack: int, window: int, now: int, echo: int, flags: int = ACK) -> Template:
        """For segments sent now; ``echo`` is the peer's timestamp."""
        stamps = (self.clock(now), echo) if self.timestamps else None
        return Template(
            self._addresses_sum, self.local.port, self.remote.port, ack & MASK, window, stamps, flags
        )

    def segment(
        self, seq: int, ack: int, window: int, flags: int, payload: Octets, now: int, echo: int
    ) -> bytes:
        """``template(…).segment(…)`` for one small segment with timestamps."""
        local, remote = self.local[1], self.remote[1]
        length = len(payload)
        bits = 32 << 10 | flags
        seq, ack = seq & MASK, ack & MASK
        value = (now // MILLISECOND + self._offset) & MASK
        number = int.from_bytes(payload, "big")
        if length & 1:
            number <<= 8
        number += (
            self._addresses_sum + local + remote + seq + ack + bits + window + 32 + length
            + _NOP_NOP_TIMESTAMPS + value + echo
        )  # fmt: skip
        # Never all zeros, so that a multiple of 65535 is all ones and its complement zero.
        check = 65535 - number % 65535
        head = _STAMPED.pack(
            local, remote, seq, ack, bits, window, check % 65535, 0, _NOP_NOP_TIMESTAMPS, value, echo
        )
        return b"".join((head, payload))

    def syn(
        self, seq: int, ack: int | None, window: int, *, mss: int, window_scale: int | None,
        sack_permitted: bool, timestamps: tuple[int, int] | None, ecn: bool = False,
    ) -> bytes:  # fmt: skip
        """SYN, or with an ``ack`` SYN-ACK. ``ecn``: it is an ECN-setup one (RFC 3168 6.1.1)."""
        flags = Flags.SYN if ack is None else Flags.SYN | Flags.ACK
        if ecn:
            flags |= Flags.ECE | Flags.CWR if ack is None else Flags.ECE
        return tcp.emit(
            Segment(
                self.local.port, self.remote.port, seq & MASK, 0 if ack is None else ack & MASK,
                flags, window,
                mss=mss, window_scale=window_scale, sack_permitted=sack_permitted, timestamps=timestamps,
            ),
            self.local.address, self.remote.address,
        )  # fmt: skip

    def ack(self, seq: int, template: Template, blocks: list[tuple[int, int]]) -> bytes:
        """A pure ACK, with as many SACK ``blocks`` as fit: 4, or 3 beside timestamps."""
        if not blocks:
            return template.segment(seq & MASK, 0)
        fitting = blocks[: 3 if template.timestamps is not None else 4]
        return tcp.emit(
            Segment(
                self.local.port, self.remote.port, seq & MASK, template.ack, Flags(template.flags),
                template.window,
                sack=tuple((left & MASK, right & MASK) for left, right in fitting),
                timestamps=template.timestamps,
            ),
            self.local.address, self.remote.address,
        )  # fmt: skip

    def rst(self, seq: int, ack: int | None) -> bytes:
        """<SEQ=seq><CTL=RST>, or with an ``ack`` <SEQ=seq><ACK=ack><CTL=RST,ACK>."""
        flags = Flags.RST if ack is None else Flags.RST | Flags.ACK
        number = 0 if ack is None else ack & MASK
        return tcp.emit(
            Segment(self.local.port, self.remote.port, seq & MASK, number, flags, 0),
            self.local.address,
            self.remote.address,
        )


def reset_for(segment: Segment, source: IpAddress, destination: IpAddress) -> bytes | None:
    """The RST that answers a segment of no connection (RFC 9293 3.10.7.1); None for a RST.

    ``source`` and ``destination`` are the segment's; the answer goes the other way.
    """
    flags = int(segment.flags)
    if flags & RST:
        return None
    if flags & ACK:
        answer = Segment(segment.destination_port, segment.source_port, segment.ack, 0, Flags.RST, 0)
    else:
        ack = (segment.seq + segment.length) & MASK
        answer = Segment(segment.destination_port, segment.source_port, 0, ack, Flags.RST | Flags.ACK, 0)
    return tcp.emit(answer, destination, source)
