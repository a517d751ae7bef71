"""The recorder that a lab process holds: both files of a lab, and a word to whoever waits for more."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from guestnet.core.events import CaptureEnded, Event, Noted, StepBegan, StepEnded
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark
from guestnet.journal.capture import CAPTURE, WHOLE
from guestnet.journal.capturing import ENOUGH, CaptureWriter
from guestnet.journal.journal import JOURNAL, JournalWriter

_log = logging.getLogger(__name__)


class Sizes(NamedTuple):
    """Octets of the two files, those held back included."""

    journal: int
    capture: int


class FileRecorder:
    """A core.recorder.Recorder that writes ``journal.jsonl`` and ``capture.pcapng`` into ``folder``.

    ``snaplen`` octets of each frame are kept (``capture.HEADERS`` for benchmarks), only headers once the
    capture has ``enough`` octets. ``names`` go into the capture, for Wireshark.

    ``on_activity``, when set, is called after everything that is recorded, from within the recording
    call: it should do no more than wake somebody. So is ``on_broken``, with the reason, when the journal
    can't be written any more: nobody can say then what has happened and what has not. One thread only.
    Raises OSError when a file cannot be made.
    """

    def __init__(
        self, folder: Path, *, snaplen: int = WHOLE, enough: int = ENOUGH,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self.on_activity: Callable[[], None] | None = None
        self.on_broken: Callable[[str], None] | None = None
        self._now = 0
        self._steps: list[StepBegan] = []
        self._step = ""
        self._journal = JournalWriter(folder / JOURNAL, self._journal_failed)
        self._capture = CaptureWriter(
            folder / CAPTURE, self._warn, self._capture_ended, snaplen=snaplen, enough=enough, names=names
        )

    @property
    def sizes(self) -> Sizes:
        """How much there is to read after a ``flush``."""
        return Sizes(self._journal.size, self._capture.size)

    @property
    def keeps(self) -> int:
        """Octets of a frame that the capture keeps now; 0 when it keeps none."""
        return self._capture.keeps

    def event(self, event: Event) -> None:
        """Append ``event`` to the journal."""
        self._journal.event(event)
        if isinstance(event, StepBegan):
            self._steps.append(event)
            self._step = _comment(self._steps)
        elif isinstance(event, StepEnded):
            self._steps = [step for step in self._steps if step.step != event.step]
            self._step = _comment(self._steps)
        if self.on_activity is not None:
            self.on_activity()

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        """Append ``frames``, seen on ``link`` at ``now``, to the capture, each with ``comment``.

        Without one, the comment is the step that is under way, the innermost of several. ``marks`` are as of
        ``Recorder``.
        """
        self._now = now
        if marks and self._step:
            marks = [(own or self._step, packet_id) for own, packet_id in marks]
        self._capture.frames(link, direction, frames, now, comment or self._step, marks)
        if self.on_activity is not None:
            self.on_activity()

    def beginning(self, link: str, direction: Direction, octets: bytes, length: int, now: int) -> None:
        """Append a frame of ``length`` octets of which only the first are there, as of ``frames``."""
        self._now = now
        self._capture.beginning(link, direction, octets, length, now, self._step)
        if self.on_activity is not None:
            self.on_activity()

    def flush(self) -> Sizes:
        """Let readers see everything."""
        self._capture.flush()
        self._journal.flush()
        return self.sizes

    def close(self, now: int) -> None:
        """Write what is held and the capture's counters, and let go of the files."""
        self._now = now
        self._capture.close(now)
        self._journal.close()

    def _warn(self, text: str) -> None:
        _log.warning("%s", text)
        self.event(Noted(at=self._now, text=text, level="warning"))

    def _capture_ended(self, reason: str) -> None:
        _log.warning("the capture ends: %s", reason)
        self.event(CaptureEnded(at=self._now, reason=reason))

    def _journal_failed(self, error: OSError) -> None:
        _log.error("the journal stops: %s", error)
        if self.on_broken is not None:
            self.on_broken(os.strerror(error.errno or 0))


def _comment(steps: Sequence[StepBegan]) -> str:
    return f"step {steps[-1].step}: {steps[-1].name}" if steps else ""
