"""One block at a time."""

import ipaddress
import struct
from collections.abc import Mapping, Sequence

from guestnet.journal.pcapng.blocks import (
    COMMENT,
    DIRECTION_BITS,
    END,
    EPB_FLAGS,
    EPB_PACKET_ID,
    IF_DESCRIPTION,
    IF_NAME,
    IF_TSRESOL,
    INTERFACE,
    MAGIC,
    NAMES,
    PACKET,
    PACKET_HEAD,
    SECTION,
    STATISTICS,
    Direction,
    Interface,
    Packet,
    Section,
    Statistics,
)


def _option(code: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        value = value[:0xFFFF]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _text_options(*options: tuple[int, str]) -> bytes:
    return b"".join(_option(code, text.encode()) for code, text in options if text)


def _block(kind: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        options += END
    total = struct.pack("<I", 12 + len(body) + len(options))
    return b"".join((struct.pack("<I", kind), total, body, options, total))


def section(header: Section) -> bytes:
    """The first block of a file; its length is left open, as the file grows."""
    texts = (COMMENT, header.comment), (2, header.hardware), (3, header.os), (4, header.application)
    return _block(SECTION, struct.pack("<IHHq", MAGIC, 1, 0, -1), _text_options(*texts))


def interface(description: Interface) -> bytes:
    """One link, numbered by how many came before it in the section.

    Raises ValueError for times that are not in nanoseconds.
    """
    if description.resolution != 1_000_000_000 or description.offset:
        raise ValueError("interfaces are written with nanosecond times and no offset")
    options = _text_options((IF_NAME, description.name), (IF_DESCRIPTION, description.description))
    body = struct.pack("<HHI", description.link_type, 0, description.snaplen)
    return _block(INTERFACE, body, options + _option(IF_TSRESOL, b"\x09"))


def packet(frame: Packet) -> bytes:
    """One frame."""
    tail = packet_options(frame.direction, frame.comment, frame.packet_id)
    captured = len(frame.data)
    total = 32 + captured + (-captured % 4) + len(tail)
    head = PACKET_HEAD.pack(
        PACKET, total, frame.interface, frame.at >> 32, frame.at & 0xFFFFFFFF, captured, frame.wire_length
    )
    return b"".join((head, frame.data, bytes(-captured % 4), tail, total.to_bytes(4, "little")))


def packet_options(direction: Direction | None, comment: str, packet_id: int = 0) -> bytes:
    """The options of a packet, with their end: the same for every frame of a batch."""
    options = _option(COMMENT, comment.encode()) if comment else b""
    if direction is not None:
        options += _option(EPB_FLAGS, struct.pack("<I", DIRECTION_BITS[direction]))
    if packet_id:
        options += _option(EPB_PACKET_ID, struct.pack("<Q", packet_id))
    return options + END if options else b""


def names(records: Mapping[str, Sequence[str]]) -> bytes:
    """Names for addresses, as ``{"203.0.113.10": ["shop.example"]}``. Raises ValueError for a bad address."""
    body = b""
    for text, aliases in records.items():
        address = ipaddress.ip_address(text)
        terminated = b"".join(alias.encode() + b"\0" for alias in aliases)
        body += _option(1 if address.version == 4 else 2, address.packed + terminated)
    return _block(NAMES, body + END)


def statistics(figures: Statistics) -> bytes:
    """Counters of one interface, at the end of a capture."""
    options = b""
    for code, value in (2, figures.start), (3, figures.end):
        if value:
            options += _option(code, struct.pack("<II", value >> 32, value & 0xFFFFFFFF))
    for code, value in (4, figures.received), (5, figures.dropped):
        options += _option(code, struct.pack("<Q", value))
    body = struct.pack("<III", figures.interface, figures.at >> 32, figures.at & 0xFFFFFFFF)
    return _block(STATISTICS, body, options)
