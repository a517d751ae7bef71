"""The capture file format: pcapng (draft-ietf-opsawg-pcapng), emitted and parsed without any I/O.

We write little-endian sections with nanosecond times. The parser takes what other writers make as well:
both byte orders, any time resolution, several sections, blocks and options that it does not know, and a
file whose last block is missing its end because the writer was killed.

Section numbers below are those of draft-ietf-opsawg-pcapng-02.
"""

import ipaddress
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.core.recorder import Mark
from guestnet.frames.run import Run
from guestnet.frames.train import LARGEST, Train
from guestnet.wire.octets import Octets

Direction = Literal["up", "down"]

ETHERNET: Final = 1
"""LINKTYPE_ETHERNET."""

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_NAMES: Final = 4
_STATISTICS: Final = 5
_PACKET: Final = 6
_MAGIC: Final = 0x1A2B3C4D

_COMMENT: Final = 1
_EPB_FLAGS: Final = 2
_EPB_PACKET_ID: Final = 5
_IF_NAME: Final = 2
_IF_DESCRIPTION: Final = 3
_IF_TSRESOL: Final = 9
_IF_TSOFFSET: Final = 14

# Seen from the guest's side of a link, as tcpdump in the guest would: "up" is outbound (4.3.1, bits 0-1).
_DIRECTION_BITS: Final[dict[Direction, int]] = {"down": 1, "up": 2}
_DIRECTIONS: Final[dict[int, Direction]] = {1: "down", 2: "up"}

_PACKET_HEAD: Final = struct.Struct("<IIIIIII")
_IDENTIFIED: Final = struct.Struct("<HHQII")
"""The end of a block: a packet id, the end of the options, the block's length."""
_MAX_BLOCK: Final = 64 << 20
_END: Final = bytes(4)


class Section(msgspec.Struct, frozen=True):
    """Section Header Block (4.1): a new numbering of interfaces begins."""

    hardware: str = ""
    os: str = ""
    application: str = ""
    comment: str = ""


class Interface(msgspec.Struct, frozen=True):
    """Interface Description Block (4.2). ``resolution``: ticks a second; ``offset``: in seconds."""

    name: str = ""
    description: str = ""
    snaplen: int = 0
    link_type: int = ETHERNET
    resolution: int = 1_000_000_000
    offset: int = 0


class Packet(msgspec.Struct, frozen=True):
    """Enhanced Packet Block (4.3): one frame. ``at`` is nanoseconds since the Unix epoch.

    ``packet_id`` is 0 when it has none.
    """

    interface: int
    at: int
    data: bytes
    wire_length: int
    direction: Direction | None = None
    comment: str = ""
    packet_id: int = 0


class Names(msgspec.Struct, frozen=True):
    """Name Resolution Block (4.5): address text → names."""

    records: dict[str, tuple[str, ...]]


class Statistics(msgspec.Struct, frozen=True):
    """Interface Statistics Block (4.6): frames seen and not kept between ``start`` and ``end`` (ns)."""

    interface: int
    at: int
    start: int = 0
    end: int = 0
    received: int = 0
    dropped: int = 0


class Unknown(msgspec.Struct, frozen=True):
    """A block of a type that is none of the above."""

    type: int
    body: bytes


Block = Section | Interface | Packet | Names | Statistics | Unknown


# Emit


def _option(code: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        value = value[:0xFFFF]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _text_options(*options: tuple[int, str]) -> bytes:
    return b"".join(_option(code, text.encode()) for code, text in options if text)


def _block(kind: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        options += _END
    total = struct.pack("<I", 12 + len(body) + len(options))
    return b"".join((struct.pack("<I", kind), total, body, options, total))


def section(header: Section) -> bytes:
    """The first block of a file; its length is left open, as the file grows."""
    texts = (_COMMENT, header.comment), (2, header.hardware), (3, header.os), (4, header.application)
    return _block(_SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1), _text_options(*texts))


def interface(description: Interface) -> bytes:
    """One link, numbered by how many came before it in the section.

    Raises ValueError for times that are not in nanoseconds.
    """
    if description.resolution != 1_000_000_000 or description.offset:
        raise ValueError("interfaces are written with nanosecond times and no offset")
    options = _text_options((_IF_NAME, description.name), (_IF_DESCRIPTION, description.description))
    body = struct.pack("<HHI", description.link_type, 0, description.snaplen)
    return _block(_INTERFACE, body, options + _option(_IF_TSRESOL, b"\x09"))


def packet(frame: Packet) -> bytes:
    """One frame."""
    tail = packet_options(frame.direction, frame.comment, frame.packet_id)
    captured = len(frame.data)
    total = 32 + captured + (-captured % 4) + len(tail)
    head = _PACKET_HEAD.pack(
        _PACKET, total, frame.interface, frame.at >> 32, frame.at & 0xFFFFFFFF, captured, frame.wire_length
    )
    return b"".join((head, frame.data, bytes(-captured % 4), tail, total.to_bytes(4, "little")))


def packet_options(direction: Direction | None, comment: str, packet_id: int = 0) -> bytes:
    """The options of a packet, with their end: the same for every frame of a batch."""
    options = _option(_COMMENT, comment.encode()) if comment else b""
    if direction is not None:
        options += _option(_EPB_FLAGS, struct.pack("<I", _DIRECTION_BITS[direction]))
    if packet_id:
        options += _option(_EPB_PACKET_ID, struct.pack("<Q", packet_id))
    return options + _END if options else b""


def marked_packets(
    interface: int,
    at: int,
    frames: Sequence[Frame],
    snaplen: int,
    direction: Direction,
    marks: Sequence[Mark],
) -> list[Frame]:
    """``packets`` of which each has one of the ``marks``: a comment and a packet id, if it has them."""
    pieces: list[Frame] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    previous, spoken = -1, ""
    head = before = b""
    total = 0
    for frame, (comment, packet_id) in zip(frames, marks, strict=True):
        length = len(frame)
        if length != previous or comment != spoken:
            previous, spoken = length, comment
            captured = min(length, snaplen)
            # The direction is there: so are options, and their end.
            before = bytes(-captured % 4) + packet_options(direction, comment)[:-4]
            total = 28 + captured + len(before) + _IDENTIFIED.size
            head = _PACKET_HEAD.pack(_PACKET, total, interface, high, low, captured, length)
        octets = frame[:snaplen] if length > snaplen else frame
        if packet_id:
            pieces += (head, octets, before, _IDENTIFIED.pack(_EPB_PACKET_ID, 8, packet_id, 0, total))
        else:
            alone = packet_options(direction, comment)
            pieces += packets(interface, at, (frame,), snaplen, alone)
    return pieces


def packets(interface: int, at: int, frames: Sequence[Frame], snaplen: int, options: bytes) -> list[Frame]:
    """Pieces, to be joined, of the blocks of ``frames``, all seen at ``at``, each cut to ``snaplen`` octets.

    ``options`` come from ``packet_options``. All of a batch but its lengths is the same, and its lengths
    mostly are: so head and tail are made only when a length differs from the one before, which is what
    makes this cost a fifth of packing every block.
    """
    pieces: list[Frame] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    previous = -1
    head = tail = b""
    for frame in frames:
        length = len(frame)
        if length != previous:
            previous = length
            captured = min(length, snaplen)
            total = 32 + captured + (-captured % 4) + len(options)
            head = _PACKET_HEAD.pack(_PACKET, total, interface, high, low, captured, length)
            tail = bytes(-captured % 4) + options + total.to_bytes(4, "little")
        pieces += (head, frame[:snaplen] if length > snaplen else frame, tail)
    return pieces


def packet_run(interface: int, at: int, run: Run, snaplen: int, options: bytes) -> Octets:
    """``packets`` for a run: the same octets, as the rows of one matrix."""
    captured = min(run.length, snaplen)
    total = 32 + captured + (-captured % 4) + len(options)
    head = _PACKET_HEAD.pack(_PACKET, total, interface, at >> 32, at & 0xFFFFFFFF, captured, run.length)
    tail = bytes(-captured % 4) + options + total.to_bytes(4, "little")
    blocks = np.empty((run.rows, total), np.uint8)
    end = len(head) + captured
    blocks[:, : len(head)] = np.frombuffer(head, np.uint8)
    blocks[:, len(head) : end] = run.matrix(0, captured)
    blocks[:, end:] = np.frombuffer(tail, np.uint8)
    return blocks.reshape(-1).data


def packet_train(interface: int, at: int, train: Train, snaplen: int, options: bytes) -> list[Octets]:
    """Pieces of blocks with the large frames of a train, as they are where offloads are on.

    Those that are kept whole have complete checksums; of the others nobody could tell.
    """
    pieces: list[Octets] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    for head, payload in train.large(summed=snaplen > LARGEST):
        length = len(head) + len(payload)
        captured = min(length, snaplen)
        total = 32 + captured + (-captured % 4) + len(options)
        pieces += (
            _PACKET_HEAD.pack(_PACKET, total, interface, high, low, captured, length), head[:captured],
            payload[: max(captured - len(head), 0)], bytes(-captured % 4), options,
            total.to_bytes(4, "little"),
        )  # fmt: skip
    return pieces


def names(records: Mapping[str, Sequence[str]]) -> bytes:
    """Names for addresses, as ``{"203.0.113.10": ["shop.example"]}``. Raises ValueError for a bad address."""
    body = b""
    for text, aliases in records.items():
        address = ipaddress.ip_address(text)
        terminated = b"".join(alias.encode() + b"\0" for alias in aliases)
        body += _option(1 if address.version == 4 else 2, address.packed + terminated)
    return _block(_NAMES, body + _END)


def statistics(figures: Statistics) -> bytes:
    """Counters of one interface, at the end of a capture."""
    options = b""
    for code, value in (2, figures.start), (3, figures.end):
        if value:
            options += _option(code, struct.pack("<II", value >> 32, value & 0xFFFFFFFF))
    for code, value in (4, figures.received), (5, figures.dropped):
        options += _option(code, struct.pack("<Q", value))
    body = struct.pack("<III", figures.interface, figures.at >> 32, figures.at & 0xFFFFFFFF)
    return _block(_STATISTICS, body, options)


# Parse


class Parser:
    """Blocks from a file's bytes, in whatever pieces they come.

    ``feed`` takes bytes and returns the blocks that they complete; the rest waits for more. A file of a
    killed writer simply ends with ``pending`` octets. Raises WireError with the offset when the bytes are
    no pcapng: nothing after that can be trusted.
    """

    def __init__(self) -> None:
        self._order: Literal["<", ">"] = "<"
        self._interfaces: list[Interface] = []
        self._rest = b""
        self._offset = 0

    @property
    def pending(self) -> int:
        """Octets of a block whose end has not come yet."""
        return len(self._rest)

    @property
    def interfaces(self) -> Sequence[Interface]:
        """Those of the current section so far."""
        return self._interfaces

    def feed(self, data: bytes) -> list[Block]:
        """The blocks that ``data`` completes, in order."""
        octets = self._rest + data if self._rest else data
        blocks: list[Block] = []
        at = 0
        try:
            while len(octets) - at >= 12:
                kind = int.from_bytes(octets[at : at + 4], "little")
                if kind == _SECTION:
                    self._begin_section(octets[at + 8 : at + 12])
                kind, total = struct.unpack_from(self._order + "II", octets, at)
                self._check(kind, total)
                if at + total > len(octets):
                    break
                if struct.unpack_from(self._order + "I", octets, at + total - 4)[0] != total:
                    raise self._wrong("the two lengths of a block differ")
                blocks.append(self._parse(kind, octets[at + 8 : at + total - 4]))
                at += total
                self._offset += total
        except struct.error as error:
            raise self._wrong(f"a block is shorter than its fields ({error})") from error
        self._rest = octets[at:]
        return blocks

    def _begin_section(self, magic: bytes) -> None:
        if magic == _MAGIC.to_bytes(4, "little"):
            self._order = "<"
        elif magic == _MAGIC.to_bytes(4, "big"):
            self._order = ">"
        else:
            raise self._wrong("no byte-order magic")
        self._interfaces = []

    def _check(self, kind: int, total: int) -> None:
        if self._offset == 0 and kind != _SECTION:
            raise self._wrong("the file does not begin with a section header, so it is no pcapng")
        if total < 12 or total % 4 or total > _MAX_BLOCK:
            raise self._wrong(f"a block of {total} octets is impossible")

    def _wrong(self, why: str) -> WireError:
        what = f"pcapng at offset {self._offset}: {why}"
        return WireError(what, remedy="the capture is damaged from there on")

    def _parse(self, kind: int, body: bytes) -> Block:
        if kind in (_PACKET, _OLD_PACKET):
            return self._packet(kind, body)
        if kind == _SIMPLE_PACKET:
            (length,) = struct.unpack_from(self._order + "I", body)
            snaplen = self._interface(0).snaplen or length
            return Packet(0, 0, body[4 : 4 + min(length, snaplen)], length)
        if kind == _SECTION:
            texts = self._texts(body[16:], (_COMMENT, 2, 3, 4))
            return Section(comment=texts[0], hardware=texts[1], os=texts[2], application=texts[3])
        if kind == _INTERFACE:
            described = self._interface_description(body)
            self._interfaces.append(described)
            return described
        if kind == _NAMES:
            return self._names(body)
        if kind == _STATISTICS:
            return self._statistics(body)
        return Unknown(kind, body)

    def _interface(self, number: int) -> Interface:
        if number >= len(self._interfaces):
            raise self._wrong(f"interface {number} was never described")
        return self._interfaces[number]

    def _time(self, interface: Interface, high: int, low: int) -> int:
        return (high << 32 | low) * 1_000_000_000 // interface.resolution + interface.offset * 1_000_000_000

    def _packet(self, kind: int, body: bytes) -> Packet:
        if kind == _PACKET:
            number, high, low, captured, length = struct.unpack_from(self._order + "IIIII", body)
        else:
            number, _, high, low, captured, length = struct.unpack_from(self._order + "HHIIII", body)
        if captured > len(body) - 20:
            raise self._wrong(f"{captured} captured octets do not fit in their block")
        direction: Direction | None = None
        comments: list[str] = []
        packet_id = 0
        for code, value in self._options(body[20 + captured + (-captured % 4) :]):
            if code == _COMMENT:
                comments.append(value.decode(errors="replace"))
            elif code == _EPB_FLAGS and len(value) == 4:
                direction = _DIRECTIONS.get(struct.unpack(self._order + "I", value)[0] & 3)
            elif code == _EPB_PACKET_ID and len(value) == 8:
                (packet_id,) = struct.unpack(self._order + "Q", value)
        at = self._time(self._interface(number), high, low)
        data = body[20 : 20 + captured]
        return Packet(number, at, data, length, direction, "\n".join(comments), packet_id)

    def _interface_description(self, body: bytes) -> Interface:
        link_type, _, snaplen = struct.unpack_from(self._order + "HHI", body)
        name = description = ""
        resolution, offset = 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == _IF_NAME:
                name = value.decode(errors="replace")
            elif code == _IF_DESCRIPTION:
                description = value.decode(errors="replace")
            elif code == _IF_TSRESOL and value:
                resolution = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                (offset,) = struct.unpack(self._order + "q", value)
        return Interface(name, description, snaplen, link_type, resolution, offset)

    def _names(self, body: bytes) -> Names:
        records: dict[str, tuple[str, ...]] = {}
        for kind, value in self._options(body):
            size = {1: 4, 2: 16}.get(kind)
            if size is None or len(value) < size:
                continue
            aliases = [alias.decode(errors="replace") for alias in value[size:].split(b"\0") if alias]
            records[str(ipaddress.ip_address(value[:size]))] = tuple(aliases)
        return Names(records)

    def _statistics(self, body: bytes) -> Statistics:
        number, high, low = struct.unpack_from(self._order + "III", body)
        described = self._interface(number)
        start = end = received = dropped = 0
        for code, value in self._options(body[12:]):
            if len(value) != 8:
                continue
            time = self._time(described, *struct.unpack(self._order + "II", value))
            (count,) = struct.unpack(self._order + "Q", value)
            start, end = time if code == 2 else start, time if code == 3 else end
            received, dropped = count if code == 4 else received, count if code == 5 else dropped
        return Statistics(number, self._time(described, high, low), start, end, received, dropped)

    def _options(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(octets):
            code, length = struct.unpack_from(self._order + "HH", octets, at)
            if code == 0:
                return
            value = octets[at + 4 : at + 4 + length]
            if len(value) < length:
                raise self._wrong(f"option {code} does not fit in its block")
            yield code, value
            at += 4 + length + (-length % 4)

    def _texts(self, octets: bytes, codes: Sequence[int]) -> list[str]:
        found = dict.fromkeys(codes, "")
        for code, value in self._options(octets):
            if code in found:
                found[code] = value.decode(errors="replace")
        return [found[code] for code in codes]
