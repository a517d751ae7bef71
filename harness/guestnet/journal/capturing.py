"""Writing a capture."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from guestnet.core.port import Frame
from guestnet.core.recorder import Mark
from guestnet.frames.run import Run
from guestnet.frames.train import Train
from guestnet.journal import pcapng
from guestnet.journal.append import AppendFile
from guestnet.journal.capture import HEADERS, NOTHING, WHOLE
from guestnet.journal.pcapng import Direction, fast

ENOUGH: Final = 64 << 20
"""Octets of capture after which only headers are kept, unless told otherwise."""

MOST: Final = 1 << 30
"""Octets after which a capture stops, unless told otherwise."""


class _Link:
    """A link's number in the file, its counters, and the packet options made so far."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first = 0
        self.received = 0
        self.lost = 0
        self.options = {direction: pcapng.packet_options(direction, "") for direction in ("up", "down")}


class CaptureWriter:
    """A new pcapng file at ``path``; a link becomes an interface with its first frame.

    ``snaplen`` octets of each frame are kept. Beyond ``enough`` octets of file only headers are, so that a
    gigabyte of download does not fill the disk. At ``most`` octets, or when the disk is full, the capture
    stops and everything else goes on; ``ended`` is told why. Raises OSError when the file cannot be made.
    """

    def __init__(
        self, path: Path, say: Callable[[str], None], ended: Callable[[str], None], *,
        snaplen: int = WHOLE, enough: int = ENOUGH, most: int = MOST,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self._say = say
        self._ended = ended
        self._snaplen = snaplen
        self._enough = enough
        self._most = most
        self._is_over = snaplen == NOTHING
        self._links: dict[str, _Link] = {}
        self._file = AppendFile(path, self._failed)
        header = pcapng.Section(hardware=platform.machine(), os=platform.platform(), application="guestnet")
        self._file.append(pcapng.section(header), 0)
        self._names = pcapng.names(names) if names else b""

    @property
    def size(self) -> int:
        """Octets of the file, those held back included."""
        return self._file.size

    @property
    def keeps(self) -> int:
        """Octets of a frame that are kept now; 0 when frames are only counted."""
        return 0 if self._is_over or self._file.broken else self._snaplen

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        """Append ``frames``, seen on ``link`` at ``now``; as of ``Recorder``."""
        interface = self._links.get(link) or self._describe(link, now)
        is_list = type(frames) is list  # asking what else it is takes its time
        count = len(frames if is_list or not isinstance(frames, Train) else frames.large(summed=False))
        interface.received += count
        if self._file.broken or self._is_over:
            interface.lost += count
            return
        options = pcapng.packet_options(direction, comment) if comment else interface.options[direction]
        if marks:
            pieces = fast.marked_packets(interface.number, now, frames, self._snaplen, direction, marks)
            self._file.append(b"".join(pieces), now)
        elif not is_list and isinstance(frames, Run):
            self._file.append(fast.packet_run(interface.number, now, frames, self._snaplen, options), now)
        elif not is_list and isinstance(frames, Train):
            cut = fast.packet_train(interface.number, now, frames, self._snaplen, options)
            self._file.append(b"".join(cut), now)
        else:
            pieces = fast.packets(interface.number, now, frames, self._snaplen, options)
            self._file.append(b"".join(pieces), now)
        if self._file.size > self._enough:
            self._economise()

    def beginning(
        self, link: str, direction: Direction, octets: bytes, length: int, now: int, comment: str = ""
    ) -> None:
        """Append a frame of ``length`` octets of which only the first are there."""
        interface = self._links.get(link) or self._describe(link, now)
        interface.received += 1
        if self._file.broken or self._is_over:
            interface.lost += 1
            return
        kept = octets[: self._snaplen]
        frame = pcapng.Packet(interface.number, now, kept, length, direction, comment)
        self._file.append(pcapng.packet(frame), now)

    def flush(self) -> None:
        """Let readers see everything."""
        self._file.flush()

    def close(self, now: int) -> None:
        """Write each link's counters and let go of the file."""
        for link in self._links.values():
            figures = pcapng.Statistics(link.number, now, link.first, now, link.received, link.lost)
            self._file.append(pcapng.statistics(figures), now)
        self._file.close()

    def _describe(self, name: str, now: int) -> _Link:
        link = self._links[name] = _Link(len(self._links))
        link.first = now
        description = pcapng.Interface(name=name, description=f"Guestnet link {name}", snaplen=self._snaplen)
        self._file.append(pcapng.interface(description), now)
        # Only now: editcap, mergecap and others can't write a file on that has names before any interface.
        self._file.append(self._names, now)
        self._names = b""
        return link

    def _economise(self) -> None:
        size = f"the capture has {self._file.size >> 20} MiB"
        if self._snaplen > HEADERS:
            self._snaplen = HEADERS
            self._say(f"{size}: from here on it keeps {HEADERS} octets of each frame")
        elif self._file.size > self._most:
            self._is_over = True
            self._ended(f"{size}, which is its limit")

    def _failed(self, error: OSError) -> None:
        self._ended(os.strerror(error.errno or 0))
