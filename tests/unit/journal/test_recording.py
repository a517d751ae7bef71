"""The recorder of a lab: two files, and a word to whoever waits."""

import os
import signal
from pathlib import Path

import pytest

from guestnet.core.events import Noted, StepBegan, StepEnded
from guestnet.journal.capture import CaptureReader
from guestnet.journal.journal import JournalReader
from guestnet.journal.recording import FileRecorder
from tests.unit.journal.test_capture import full_disk

FRAME = bytes(range(60))


def sizes_on_disk(folder: Path) -> tuple[int, int]:
    return (folder / "journal.jsonl").stat().st_size, (folder / "capture.pcapng").stat().st_size


def test_after_a_flush_everything_can_be_read(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    recorder.event(Noted(at=1, text="one"))
    recorder.frames("cable", "up", [FRAME], 2)

    assert recorder.flush() == recorder.sizes == sizes_on_disk(tmp_path)
    assert [record.data for record in CaptureReader(tmp_path / "capture.pcapng").read()] == [FRAME]
    assert list(JournalReader(tmp_path / "journal.jsonl").read()) == [Noted(at=1, text="one")]
    recorder.close(3)


def test_frames_say_to_which_step_they_belong(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    recorder.frames("cable", "up", [FRAME], 1)
    recorder.event(StepBegan(at=2, step=1, name="upload"))
    recorder.frames("cable", "up", [FRAME], 3)
    recorder.event(StepBegan(at=4, step=2, name="the first part"))
    recorder.frames("cable", "up", [FRAME], 5)
    recorder.frames("cable", "up", [FRAME], 6, "dropped by loss")
    recorder.event(StepEnded(at=7, step=2, name="the first part", outcome="passed"))
    recorder.frames("cable", "up", [FRAME], 8)
    recorder.event(StepEnded(at=9, step=1, name="upload", outcome="passed"))
    recorder.frames("cable", "up", [FRAME], 10)
    recorder.close(11)

    comments = [record.comment for record in CaptureReader(tmp_path / "capture.pcapng").read()]
    first, second = "step 1: upload", "step 2: the first part"
    assert comments == ["", first, second, "dropped by loss", first, ""]


def test_nothing_is_held_back_for_long_while_more_comes(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    second = 1_000_000_000
    recorder.frames("cable", "up", [FRAME], 100 * second)
    recorder.frames("cable", "up", [FRAME], 101 * second)

    assert len(list(CaptureReader(tmp_path / "capture.pcapng").read())) == 2
    recorder.close(102 * second)


def test_whoever_waits_is_told_of_all_that_is_recorded(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    told: list[tuple[int, int]] = []
    recorder.on_activity = lambda: told.append(recorder.sizes)

    recorder.event(Noted(at=1, text="one"))
    recorder.frames("cable", "down", [FRAME], 2)
    recorder.on_activity = None
    recorder.event(Noted(at=3, text="unheard"))
    recorder.close(4)

    assert len(told) == 2
    assert told[0][0] < recorder.sizes.journal
    assert told[0][1] < told[1][1]


def test_a_capture_that_stops_is_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = FileRecorder(tmp_path, enough=100)
    recorder.frames("cable", "up", [bytes(2000)], 7)
    recorder.close(8)

    (noted,) = JournalReader(tmp_path / "journal.jsonl").read()
    assert isinstance(noted, Noted)
    assert (noted.at, noted.level) == (7, "warning")
    assert "keeps 128 octets" in noted.text


def test_a_journal_that_can_not_be_written_is_told_once(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    told: list[str] = []
    recorder.on_broken = told.append
    recorder.event(Noted(at=1, text="one"))
    recorder.flush()

    with full_disk(tmp_path / "journal.jsonl"):
        recorder.event(Noted(at=2, text="two"))
        assert told == []
        recorder.flush()
        recorder.event(Noted(at=3, text="three"))
        recorder.close(4)

    assert told == ["File too large"]
    assert [event.at for event in JournalReader(tmp_path / "journal.jsonl").read()] == [1]


def test_a_recorder_that_is_killed_leaves_readable_files(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        recorder = FileRecorder(tmp_path)
        for number in range(10_000):
            recorder.event(Noted(at=number, text="x" * 100))
            recorder.frames("cable", "up", [FRAME], number)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    events = list(JournalReader(tmp_path / "journal.jsonl").read())
    records = list(CaptureReader(tmp_path / "capture.pcapng").read())
    assert [event.at for event in events] == list(range(len(events)))
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    assert len(events) > 1000
    assert len(records) > 1000
