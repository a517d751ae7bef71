"""Blocks from whatever octets somebody wrote."""

import ipaddress
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

from guestnet.core.errors import WireError
from guestnet.journal.pcapng.blocks import (
    COMMENT,
    DIRECTIONS,
    EPB_FLAGS,
    EPB_PACKET_ID,
    IF_DESCRIPTION,
    IF_NAME,
    IF_TSOFFSET,
    IF_TSRESOL,
    INTERFACE,
    MAGIC,
    MAX_BLOCK,
    NAMES,
    OLD_PACKET,
    PACKET,
    SECTION,
    SIMPLE_PACKET,
    STATISTICS,
    Block,
    Direction,
    Interface,
    Names,
    Packet,
    Section,
    Statistics,
    Unknown,
)


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
                if kind == SECTION:
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
        if magic == MAGIC.to_bytes(4, "little"):
            self._order = "<"
        elif magic == MAGIC.to_bytes(4, "big"):
            self._order = ">"
        else:
            raise self._wrong("no byte-order magic")
        self._interfaces = []

    def _check(self, kind: int, total: int) -> None:
        if self._offset == 0 and kind != SECTION:
            raise self._wrong("the file does not begin with a section header, so it is no pcapng")
        if total < 12 or total % 4 or total > MAX_BLOCK:
            raise self._wrong(f"a block of {total} octets is impossible")

    def _wrong(self, why: str) -> WireError:
        what = f"pcapng at offset {self._offset}: {why}"
        return WireError(what, remedy="the capture is damaged from there on")

    def _parse(self, kind: int, body: bytes) -> Block:
        if kind in (PACKET, OLD_PACKET):
            return self._packet(kind, body)
        if kind == SIMPLE_PACKET:
            (length,) = struct.unpack_from(self._order + "I", body)
            snaplen = self._interface(0).snaplen or length
            return Packet(0, 0, body[4 : 4 + min(length, snaplen)], length)
        if kind == SECTION:
            texts = self._texts(body[16:], (COMMENT, 2, 3, 4))
            return Section(comment=texts[0], hardware=texts[1], os=texts[2], application=texts[3])
        if kind == INTERFACE:
            described = self._interface_description(body)
            self._interfaces.append(described)
            return described
        if kind == NAMES:
            return self._names(body)
        if kind == STATISTICS:
            return self._statistics(body)
        return Unknown(kind, body)

    def _interface(self, number: int) -> Interface:
        if number >= len(self._interfaces):
            raise self._wrong(f"interface {number} was never described")
        return self._interfaces[number]

    def _time(self, interface: Interface, high: int, low: int) -> int:
        return (high << 32 | low) * 1_000_000_000 // interface.resolution + interface.offset * 1_000_000_000

    def _packet(self, kind: int, body: bytes) -> Packet:
        if kind == PACKET:
            number, high, low, captured, length = struct.unpack_from(self._order + "IIIII", body)
        else:
            number, _, high, low, captured, length = struct.unpack_from(self._order + "HHIIII", body)
        if captured > len(body) - 20:
            raise self._wrong(f"{captured} captured octets do not fit in their block")
        direction: Direction | None = None
        comments: list[str] = []
        packet_id = 0
        for code, value in self._options(body[20 + captured + (-captured % 4) :]):
            if code == COMMENT:
                comments.append(value.decode(errors="replace"))
            elif code == EPB_FLAGS and len(value) == 4:
                direction = DIRECTIONS.get(struct.unpack(self._order + "I", value)[0] & 3)
            elif code == EPB_PACKET_ID and len(value) == 8:
                (packet_id,) = struct.unpack(self._order + "Q", value)
        at = self._time(self._interface(number), high, low)
        data = body[20 : 20 + captured]
        return Packet(number, at, data, length, direction, "\n".join(comments), packet_id)

    def _interface_description(self, body: bytes) -> Interface:
        link_type, _, snaplen = struct.unpack_from(self._order + "HHI", body)
        name = description = ""
        resolution, offset = 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == IF_NAME:
                name = value.decode(errors="replace")
            elif code == IF_DESCRIPTION:
                description = value.decode(errors="replace")
            elif code == IF_TSRESOL and value:
                resolution = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == IF_TSOFFSET and len(value) == 8:
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
