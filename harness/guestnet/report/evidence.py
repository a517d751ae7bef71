"""What one scenario left in its folder, read whatever became of it.

A lab may have been killed at any octet of its files: each piece that is missing or cut becomes a
sentence in ``problems``, and everything that can still be read is.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import WireError
from guestnet.core.events import AnyEvent, Event, Expected, LabStarted, LabStopped
from guestnet.journal.capture import CAPTURE, CaptureReader, Record
from guestnet.journal.journal import JOURNAL, JournalReader
from guestnet.report.text import terminal

LOG_TAIL: Final = 64 << 10
"""Octets kept of the end of a console or log."""


class Log(msgspec.Struct, frozen=True):
    """The end of a text file; ``left_out`` octets came before it."""

    name: str
    text: str
    left_out: int


class Evidence(msgspec.Struct):
    """The readable rest of one scenario."""

    events: list[Event] = []
    records: list[Record] = []
    left_out: int = 0
    """Packets of the capture that are not in ``records``."""
    links: list[str] = []
    capture_size: int = 0
    logs: list[Log] = []
    problems: list[str] = []


def gather(folder: Path, packets: int) -> Evidence:
    """Read a scenario's ``folder``; of a capture with more than ``packets`` keep its beginning and end.

    Never raises for what a killed lab can leave behind.
    """
    if not folder.is_dir():
        return Evidence(problems=[f"the folder {folder.name} is missing: nothing was recorded"])
    evidence = Evidence()
    _read_journal(folder / JOURNAL, evidence)
    _read_capture(folder / CAPTURE, packets, evidence)
    for path in [*sorted(folder.glob("console-*.log")), folder / "lab.log"]:
        _read_log(path, evidence)
    return evidence


def _read_journal(path: Path, evidence: Evidence) -> None:
    if not path.is_file():
        evidence.problems.append(f"{path.name} is missing: no events, no steps")
        return
    reader = JournalReader(path)
    try:
        evidence.events.extend(reader.read())
    except OSError as error:
        evidence.problems.append(f"{path.name} can't be read: {error.strerror}")
        return
    if reader.skipped:
        evidence.problems.append(f"{path.name}: {reader.skipped} lines are no events that this version knows")
    if reader.pending:
        _read_cut_line(path, reader.pending, evidence)
    if not any(isinstance(event, LabStarted) for event in evidence.events):
        evidence.problems.append(f"{path.name} has no beginning: the lab never started")
    elif not any(isinstance(event, LabStopped) for event in evidence.events):
        evidence.problems.append(
            "the lab did not stop in good order: it was killed, and the last moments may be missing"
        )
    evidence.events.sort(key=lambda event: event.at)


def _read_cut_line(path: Path, pending: int, evidence: Evidence) -> None:
    """The last line lacks its end: it may still be a whole event."""
    rest = path.read_bytes()[-pending:]
    try:
        evidence.events.append(msgspec.json.decode(rest, type=AnyEvent))
    except (msgspec.DecodeError, UnicodeDecodeError):
        evidence.problems.append(f"{path.name} ends in the middle of an event")


def _read_capture(path: Path, packets: int, evidence: Evidence) -> None:
    if not path.is_file():
        evidence.problems.append(f"{path.name} is missing: no packets")
        return
    evidence.capture_size = path.stat().st_size
    wanted = {
        event.frame for event in evidence.events if isinstance(event, Expected) and event.frame is not None
    }
    reader = CaptureReader(path)
    damage: list[str] = []
    evidence.records, evidence.left_out = _both_ends(_tolerant(reader, damage), packets, wanted)
    evidence.links = reader.links
    if damage:
        evidence.problems.append(
            f"{path.name} is damaged after packet {_last(evidence.records)}: {damage[0]}"
        )
    elif reader.pending:
        evidence.problems.append(
            f"{path.name} ends in the middle of a block, after packet {_last(evidence.records)}"
        )
    elif not evidence.capture_size:
        evidence.problems.append(f"{path.name} is empty: no packets")


def _tolerant(reader: CaptureReader, damage: list[str]) -> Iterator[Record]:
    try:
        yield from reader.read()
    except WireError as error:
        damage.append(error.message)
    except OSError as error:
        damage.append(error.strerror or str(error))


def _last(records: list[Record]) -> int:
    return records[-1].number if records else 0


def _both_ends(records: Iterable[Record], limit: int, wanted: set[int]) -> tuple[list[Record], int]:
    """At most ``limit`` records from both ends, and ``wanted`` ones between; how many were left out."""
    first: list[Record] = []
    between: list[Record] = []
    last: deque[Record] = deque(maxlen=max(limit - limit // 2, 1))
    left_out = 0
    for record in records:
        if len(first) < limit // 2:
            first.append(record)
            continue
        if len(last) == last.maxlen:
            if last[0].number in wanted:
                between.append(last[0])
            else:
                left_out += 1
        last.append(record)
    return first + between + list(last), left_out


def _read_log(path: Path, evidence: Evidence) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - LOG_TAIL))
            octets = file.read(LOG_TAIL)
    except FileNotFoundError:
        return
    except OSError as error:
        evidence.problems.append(f"{path.name} can't be read: {error.strerror}")
        return
    if size > LOG_TAIL:
        octets = octets[octets.find(b"\n") + 1 :]
    evidence.logs.append(Log(path.name, terminal(octets.decode(errors="replace")), size - len(octets)))
