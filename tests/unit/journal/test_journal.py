"""The journal: lines of JSON that old and new readers understand."""

import os
from pathlib import Path

import pytest

from guestnet.core.events import Event, Expected, FlowRefused, LabStarted, Noted
from guestnet.journal.journal import JournalReader, JournalWriter

EVENTS: list[Event] = [
    LabStarted(
        at=1, scenario="s", seed=7, stack="builtin", guest="qemu", profile="plain", versions={"a": "1"}
    ),
    Noted(at=2, text="zwei\nZeilen"),
    Expected(at=3, what="a reset", met=False, frame=12, nearest=["#12"]),
    FlowRefused(
        at=4,
        flow=1,
        transport="tcp",
        guest="10.0.0.1:1",
        remote="10.0.0.2:2",
        error="ECONNREFUSED",
        answer="rst",
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def unexpected(error: OSError) -> None:
    raise error


def test_events_come_back_as_they_were(path: Path) -> None:
    writer = JournalWriter(path, unexpected)
    for event in EVENTS:
        writer.event(event)
    writer.close()

    assert list(JournalReader(path).read()) == EVENTS
    assert path.stat().st_size == writer.size


def test_a_reader_follows_a_growing_file(path: Path) -> None:
    reader = JournalReader(path)
    assert list(reader.read()) == []

    writer = JournalWriter(path, unexpected)
    for event in EVENTS:
        writer.event(event)
        writer.flush()
        assert list(reader.read()) == [event]
    writer.close()


def test_a_line_without_its_end_waits_for_the_rest(path: Path) -> None:
    writer = JournalWriter(path, unexpected)
    writer.event(EVENTS[1])
    writer.event(EVENTS[2])
    writer.close()
    whole = path.read_bytes()
    reader = JournalReader(path)

    os.truncate(path, len(whole) - 3)
    assert list(reader.read()) == [EVENTS[1]]
    assert reader.pending
    path.write_bytes(whole)
    assert list(reader.read()) == [EVENTS[2]]
    assert not reader.pending


def test_what_a_newer_version_wrote_is_passed_over(path: Path) -> None:
    path.write_bytes(
        b'{"type":"TeaServed","at":1,"sort":"Assam"}\n'
        b'{"type":"Noted","at":2,"text":"hello","colour":"blue"}\n'
        b"\xff\xfe no JSON at all\n"
        b'{"type":"Noted","at":3}\n'
    )
    reader = JournalReader(path)

    assert list(reader.read()) == [Noted(at=2, text="hello")]
    assert reader.skipped == 3
