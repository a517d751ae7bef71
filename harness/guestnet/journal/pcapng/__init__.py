"""The capture file format: pcapng (draft-ietf-opsawg-pcapng), emitted and parsed without any I/O.

We write little-endian sections with nanosecond times. The parser takes what other writers make as well:
both byte orders, any time resolution, several sections, blocks and options that it does not know, and a
file whose last block is missing its end because the writer was killed.

Section numbers below are those of draft-ietf-opsawg-pcapng-02.
"""

from guestnet.journal.pcapng.blocks import (
    ETHERNET,
    Block,
    Direction,
    Interface,
    Names,
    Packet,
    Section,
    Statistics,
    Unknown,
)
from guestnet.journal.pcapng.emit import interface, names, packet, packet_options, section, statistics
from guestnet.journal.pcapng.parse import Parser

__all__ = [
    "ETHERNET",
    "Block",
    "Direction",
    "Interface",
    "Names",
    "Packet",
    "Parser",
    "Section",
    "Statistics",
    "Unknown",
    "interface",
    "names",
    "packet",
    "packet_options",
    "section",
    "statistics",
]
