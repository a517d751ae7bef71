"""What a capture is made of: blocks, and the numbers of the format."""

import struct
from typing import Final, Literal

import msgspec

Direction = Literal["up", "down"]

ETHERNET: Final = 1
"""LINKTYPE_ETHERNET."""

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
OLD_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
NAMES: Final = 4
STATISTICS: Final = 5
PACKET: Final = 6
MAGIC: Final = 0x1A2B3C4D

COMMENT: Final = 1
EPB_FLAGS: Final = 2
EPB_PACKET_ID: Final = 5
IF_NAME: Final = 2
IF_DESCRIPTION: Final = 3
IF_TSRESOL: Final = 9
IF_TSOFFSET: Final = 14

# Seen from the guest's side of a link, as tcpdump in the guest would: "up" is outbound (4.3.1, bits 0-1).
DIRECTION_BITS: Final[dict[Direction, int]] = {"down": 1, "up": 2}
DIRECTIONS: Final[dict[int, Direction]] = {1: "down", 2: "up"}

PACKET_HEAD: Final = struct.Struct("<IIIIIII")
MAX_BLOCK: Final = 64 << 20
END: Final = bytes(4)


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
