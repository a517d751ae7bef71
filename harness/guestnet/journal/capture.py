"""Reading a capture, also one that still grows. `guestnet.journal.capturing` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from guestnet.journal import pcapng
from guestnet.journal.pcapng import Direction

CAPTURE: Final = "capture.pcapng"
"""The file's name in the folder of a lab."""

WHOLE: Final = 262_144
"""A snap length that no frame reaches."""

NOTHING: Final = 0
"""A snap length for those who want no frames at all: they are only counted."""

HEADERS: Final = 128
"""A snap length that keeps ethernet, IP, TCP with all options and a little payload."""


class Record(msgspec.Struct, frozen=True):
    """One frame of a capture. ``number`` counts from 1 over all links, as Wireshark does; ``at`` is in ns.

    ``packet_id`` is that of its verdicts in the journal, as of ``core.events.FrameDropped``, or 0.
    """

    number: int
    at: int
    link: str
    direction: Direction | None
    data: bytes
    wire_length: int
    comment: str = ""
    packet_id: int = 0

    @property
    def is_cut(self) -> bool:
        """True when the capture holds less of the frame than there was."""
        return len(self.data) < self.wire_length


class CaptureReader:
    """The records of the capture at ``path``, also while it grows: each ``read`` yields what has come since.

    A file that is not there yet is empty; a last block without its end waits for the rest. Any writer's
    pcapng will do. Raises WireError when the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._parser = pcapng.Parser()
        self._count = 0
        self.names: dict[str, tuple[str, ...]] = {}
        """Names of addresses that the capture brings along."""
        self.statistics: list[pcapng.Statistics] = []

    @property
    def links(self) -> list[str]:
        """Names of the interfaces so far."""
        return [_name(number, interface) for number, interface in enumerate(self._parser.interfaces)]

    @property
    def pending(self) -> int:
        """Octets at the end that are no whole block (yet)."""
        return self._parser.pending

    def read(self) -> Iterator[Record]:
        """What was added since the last call."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            while chunk := file.read(1 << 20):
                self._offset += len(chunk)
                yield from self._records(self._parser.feed(chunk))

    def _records(self, blocks: list[pcapng.Block]) -> Iterator[Record]:
        names: list[str] = []
        for block in blocks:
            if isinstance(block, pcapng.Packet):
                self._count += 1
                if block.interface >= len(names):
                    names = self.links
                yield Record(
                    self._count, block.at, names[block.interface], block.direction,
                    block.data, block.wire_length, block.comment, block.packet_id,
                )  # fmt: skip
            elif isinstance(block, pcapng.Names):
                self.names.update(block.records)
            elif isinstance(block, pcapng.Statistics):
                self.statistics.append(block)


def _name(number: int, interface: pcapng.Interface) -> str:
    return interface.name or f"interface {number}"
