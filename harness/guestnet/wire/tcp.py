"""TCP segments (RFC 9293 3.1, RFC 7323 options, RFC 2018 SACK, RFC 3168 ECN flags)."""

import struct
from enum import IntFlag
from typing import Final

from msgspec import Struct

from guestnet.wire import checksum
from guestnet.wire.ip import IpAddress, show_ip
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import Octets, malformed, require, view

HEADER: Final = 20
MAX_OPTIONS: Final = 40
_HEADER: Final = struct.Struct("!HHLLHHHH")
_TIMESTAMPS: Final = struct.Struct("!LL")
# NOP NOP kind length (RFC 7323 appendix A): what nearly every segment carries.
_ALIGNED_TIMESTAMPS: Final = 0x0101080A


class Flags(IntFlag):
    """Control bits. Arithmetic on an IntFlag is slow: hot code takes ``int(segment.flags)`` once."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80
    NS = 0x100


_FLAGS: Final = [Flags(value) for value in range(512)]
_LETTERS: Final = (
    (0x02, "S"),
    (0x01, "F"),
    (0x04, "R"),
    (0x08, "P"),
    (0x20, "U"),
    (0x40, "E"),
    (0x80, "W"),
    (0x10, "."),
)


class Segment(Struct, frozen=True):
    """One segment. ``sack`` are (left edge, right edge) pairs, ``timestamps`` (TSval, TSecr).

    ``window`` is the field as sent: not scaled. ``other_options`` are (kind, value) in order.
    """

    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: Flags
    window: int
    payload: Octets = b""
    urgent: int = 0
    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    sack: tuple[tuple[int, int], ...] = ()
    timestamps: tuple[int, int] | None = None
    other_options: tuple[tuple[int, bytes], ...] = ()

    @property
    def length(self) -> int:
        """SEG.LEN of RFC 9293 3.3.1: octets of payload, and one for each of SYN and FIN."""
        return len(self.payload) + (self.flags & 1) + (self.flags >> 1 & 1)


def parse(data: Octets, source: IpAddress | None = None, destination: IpAddress | None = None) -> Segment:
    """Raises WireError on a bad data offset, option or checksum (checked when the addresses are given)."""
    octets = view(data)
    require(octets, HEADER, "tcp header")
    source_port, destination_port, seq, ack, bits, window, _, urgent = _HEADER.unpack_from(octets)
    header = bits >> 10 & 60
    if header < HEADER:
        raise malformed("tcp data offset", 12, f"{header} octets are fewer than {HEADER}")
    require(octets, header, "tcp options")
    if (
        source is not None
        and destination is not None
        and not checksum.is_whole(octets, source, destination, Protocol.TCP)
    ):
        raise malformed("tcp checksum", 16, "wrong")
    flags = _FLAGS[bits & 511]
    payload = octets[header:]
    if header == HEADER:
        return Segment(source_port, destination_port, seq, ack, flags, window, payload, urgent)
    if header == 32 and int.from_bytes(octets[20:24], "big") == _ALIGNED_TIMESTAMPS:
        stamps = _TIMESTAMPS.unpack_from(octets, 24)
        return Segment(
            source_port,
            destination_port,
            seq,
            ack,
            flags,
            window,
            payload,
            urgent,
            None,
            None,
            False,
            (),
            stamps,
        )
    options = _parse_options(octets[:header])
    return Segment(source_port, destination_port, seq, ack, flags, window, payload, urgent, *options)


_Options = tuple[
    int | None,
    int | None,
    bool,
    tuple[tuple[int, int], ...],
    tuple[int, int] | None,
    tuple[tuple[int, bytes], ...],
]


def _parse_options(header: memoryview) -> _Options:
    mss: int | None = None
    window_scale: int | None = None
    sack_permitted = False
    sack: tuple[tuple[int, int], ...] = ()
    timestamps: tuple[int, int] | None = None
    other: list[tuple[int, bytes]] = []
    at = HEADER
    while at < len(header):
        kind = header[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        length = header[at + 1] if at + 1 < len(header) else 0
        if length < 2 or at + length > len(header):
            raise malformed("tcp option length", at + 1, f"option {kind} of {length} octets does not fit")
        value = header[at + 2 : at + length]
        if length not in _LENGTHS.get(kind, (length,)):
            raise malformed("tcp option length", at + 1, f"option {kind} cannot have {length} octets")
        if kind == 2:
            mss = int.from_bytes(value, "big")
        elif kind == 3:
            window_scale = value[0]
        elif kind == 4:
            sack_permitted = True
        elif kind == 5:
            edges = struct.unpack(f"!{len(value) // 4}L", value)
            sack = tuple(zip(edges[::2], edges[1::2], strict=True))
        elif kind == 8:
            timestamps = _TIMESTAMPS.unpack(value)
        else:
            other.append((kind, bytes(value)))
        at += length
    return mss, window_scale, sack_permitted, sack, timestamps, tuple(other)


_LENGTHS: Final = {2: (4,), 3: (3,), 4: (2,), 5: (10, 18, 26, 34), 8: (10,)}


def emit_options(segment: Segment) -> bytes:
    """The option octets, aligned as Linux does it unless they fit only without. ValueError beyond 40."""
    if segment.timestamps is not None and not (
        segment.sack or segment.sack_permitted or segment.mss is not None or segment.window_scale is not None
    ) and not segment.other_options:  # fmt: skip
        return b"\1\1\x08\x0a" + _TIMESTAMPS.pack(*segment.timestamps)
    out = _pack_options(segment, b"\1")
    if len(out) > MAX_OPTIONS:
        out = _pack_options(segment, b"")
    if len(out) > MAX_OPTIONS:
        raise ValueError(f"{len(out)} octets of TCP options are more than {MAX_OPTIONS}")
    return bytes(out)


def _pack_options(segment: Segment, nop: bytes) -> bytearray:
    """``nop``: what options are aligned with, a no-operation or nothing."""
    out = bytearray()
    if segment.mss is not None:
        out += b"\2\4" + segment.mss.to_bytes(2, "big")
    if segment.sack_permitted:
        out += b"\4\2" if segment.timestamps is not None else nop + nop + b"\4\2"
    elif segment.timestamps is not None:
        out += nop + nop
    if segment.timestamps is not None:
        out += b"\x08\x0a" + _TIMESTAMPS.pack(*segment.timestamps)
    if segment.window_scale is not None:
        out += nop + bytes((3, 3, segment.window_scale))
    if segment.sack:
        edges = [edge for block in segment.sack for edge in block]
        out += nop + nop + bytes((5, 2 + 4 * len(edges))) + struct.pack(f"!{len(edges)}L", *edges)
    for kind, value in segment.other_options:
        out += bytes((kind, 2 + len(value))) + value
    out += bytes(-len(out) % 4)
    return out


def emit(segment: Segment, source: IpAddress, destination: IpAddress) -> bytes:
    """The segment with its checksum."""
    options = emit_options(segment)
    payload = segment.payload
    header = _HEADER.pack(
        segment.source_port, segment.destination_port, segment.seq, segment.ack,
        (HEADER + len(options)) << 10 | segment.flags, segment.window, 0, segment.urgent,
    ) + options  # fmt: skip
    initial = checksum.pseudo_sum(source, destination, Protocol.TCP, len(header) + len(payload))
    value = checksum.internet(header, initial + checksum.ones_sum(payload))
    return b"".join((header[:16], value.to_bytes(2, "big"), header[18:], payload))


def show_flags(flags: int) -> str:
    """``S.`` for SYN and ACK, ``none`` for no flag: tcpdump's letters."""
    return "".join(letter for bit, letter in _LETTERS if flags & bit) or "none"


def show(
    segment: Segment,
    source: IpAddress | None = None,
    destination: IpAddress | None = None,
    length: int | None = None,
) -> str:
    """``10.0.0.1.80 > 10.0.0.2.4000: Flags [P.], seq 1:6, ack 9, win 502, length 5``, with its options.

    ``length`` is that of the payload when a capture cut it.
    """
    left = f"{show_ip(source)}." if source is not None else ""
    right = f"{show_ip(destination)}." if destination is not None else ""
    parts = [f"Flags [{show_flags(segment.flags)}]"]
    length = len(segment.payload) if length is None else length
    if length:
        parts.append(f"seq {segment.seq}:{(segment.seq + length) & 0xFFFFFFFF}")
    elif segment.flags & 7:
        parts.append(f"seq {segment.seq}")
    if segment.flags & 0x10:
        parts.append(f"ack {segment.ack}")
    parts.append(f"win {segment.window}")
    if segment.flags & 0x20:
        parts.append(f"urg {segment.urgent}")
    if options := _show_options(segment):
        parts.append(f"options [{','.join(options)}]")
    parts.append(f"length {length}")
    return f"{left}{segment.source_port} > {right}{segment.destination_port}: {', '.join(parts)}"


def _show_options(segment: Segment) -> list[str]:
    texts = []
    if segment.mss is not None:
        texts.append(f"mss {segment.mss}")
    if segment.sack_permitted:
        texts.append("sackOK")
    if segment.timestamps is not None:
        value, echo = segment.timestamps
        texts.append(f"TS val {value} ecr {echo}")
    if segment.window_scale is not None:
        texts.append(f"wscale {segment.window_scale}")
    if segment.sack:
        texts.append("sack " + "".join(f"{{{left}:{right}}}" for left, right in segment.sack))
    texts += [f"opt-{kind}:{value.hex()}" for kind, value in segment.other_options]
    return texts
