"""Writing a journal and following one that still grows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.events import AnyEvent, Event
from guestnet.journal.append import AppendFile

JOURNAL: Final = "journal.jsonl"
"""The file's name in the folder of a lab."""


class JournalWriter:
    """A new file of JSON lines at ``path``; ``failed`` is told once when it can't be written any more.

    Raises OSError when the file cannot be made.
    """

    def __init__(self, path: Path, failed: Callable[[OSError], None]) -> None:
        self._file = AppendFile(path, failed)
        self._encoder = msgspec.json.Encoder()

    @property
    def size(self) -> int:
        """Octets of the file, those held back included."""
        return self._file.size

    def event(self, event: Event) -> None:
        """Append one line."""
        self._file.append(self._encoder.encode(event) + b"\n", event.at)

    def flush(self) -> None:
        """Let readers see everything."""
        self._file.flush()

    def close(self) -> None:
        """Write what is held and let go of the file."""
        self._file.close()


class JournalReader:
    """The events of the journal at ``path``, also while it grows: each ``read`` yields what has come since.

    A file that is not there yet is empty. Events of types that this version does not know, and lines that
    are no events, are passed over and counted in ``skipped``; a last line without its end waits for the rest.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._offset = 0
        self._decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(AnyEvent)
        self.skipped = 0

    @property
    def pending(self) -> int:
        """Octets at the end that are no whole line (yet)."""
        return len(self._rest)

    def read(self) -> Iterator[Event]:
        """What was added since the last call."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            while chunk := file.read(1 << 20):
                self._offset += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    event = self._decode(line)
                    if event is not None:
                        yield event

    def _decode(self, line: bytes) -> Event | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.skipped += 1
            return None
