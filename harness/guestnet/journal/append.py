"""A file that only grows, written in large pieces and read while it grows.

Nothing is synced: the journal and the capture must never make the network under test wait for a disk.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from guestnet.wire.octets import Octets

BUFFER: Final = 256 << 10
"""Octets held back before they are written."""

DELAY: Final = 200_000_000
"""Nanoseconds that anything is held back while more is being appended: what a killed writer may lose."""


class AppendFile:
    """A new file at ``path``. When a write fails, ``failed`` is told why, once, and the rest is let go.

    Then the file is cut back to the last octet that ``append`` completed, so it ends in a whole record.
    Raises OSError when it cannot be made.
    """

    def __init__(self, path: Path, failed: Callable[[OSError], None]) -> None:
        self._file = path.open("wb", buffering=0)
        self._failed = failed
        self._pieces: list[Octets] = []
        self._since = 0
        self._written = 0
        self.size = 0
        """Octets appended so far, written or held back."""
        self.broken = False

    def append(self, record: Octets, now: int) -> None:
        """Take ``record``, made at ``now`` (ns); write when enough or something old is held."""
        if self.broken:
            return
        if not self._pieces:
            self._since = now
        self._pieces.append(record)
        self.size += len(record)
        if self.size - self._written >= BUFFER or now - self._since >= DELAY:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the kernel."""
        if not self._pieces or self.broken:
            return
        octets = memoryview(b"".join(self._pieces))
        self._pieces.clear()
        done = 0
        try:
            while done < len(octets):
                done += self._file.write(octets[done:]) or 0
        except OSError as error:
            self.broken = True
            self.size = self._written
            self._file.truncate(self._written)
            self._failed(error)
        else:
            self._written = self.size

    def close(self) -> None:
        """Write what is held and let go of the file."""
        self.flush()
        self._file.close()
