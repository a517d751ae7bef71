"""``guestnet events``: the journal as lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from guestnet.cli.events import events, line
from guestnet.core.errors import DescriptionError
from guestnet.core.events import DnsAnswered, Event, FramesDelayed, GuestStarted, LabStopped, Noted
from guestnet.journal.journal import JournalWriter

NOON = 1_700_049_600_123_000_000
EVENTS: list[Event] = [
    GuestStarted(at=NOON, guest="guest1", how="restore", mac="52:54:00:65:00:01", seconds=0.18766),
    DnsAnswered(at=NOON + 1, client="guest1", name="a.example", rdtype="A", rcode="NOERROR", answers=["::1"]),
    Noted(at=NOON + 2, text="two words"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a lab whose journal has EVENTS."""
    write(tmp_path, EVENTS)
    return tmp_path


def write(folder: Path, journal: list[Event]) -> None:
    writer = JournalWriter(folder / "journal.jsonl", lambda error: None)
    for event in journal:
        writer.event(event)
    writer.close()


def test_an_event_is_a_line_with_its_time_its_name_and_what_it_says(folder: Path) -> None:
    lines = CliRunner().invoke(events, [str(folder)], catch_exceptions=False).output.splitlines()
    assert lines == [
        "12:00:00.123 GuestStarted  guest1 up by restore in 0.188 s, MAC 52:54:00:65:00:01",
        "12:00:00.123 DnsAnswered  DNS A a.example: NOERROR, ::1",
        "12:00:00.123 Noted  two words",
    ]


def test_programs_get_the_journal_itself(folder: Path) -> None:
    lines = CliRunner().invoke(events, [str(folder), "--json"], catch_exceptions=False).output.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["GuestStarted", "DnsAnswered", "Noted"]


def test_following_ends_with_the_lab(folder: Path) -> None:
    write(folder, [*EVENTS, LabStopped(at=NOON + 3, reason="stopped")])
    lines = CliRunner().invoke(events, [str(folder), "--follow"], catch_exceptions=False).output.splitlines()
    assert lines[-1].endswith("LabStopped  lab stopped: stopped")


def test_a_folder_without_a_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"there is no .*journal\.jsonl"):
        CliRunner().invoke(events, [str(tmp_path)], catch_exceptions=False)


def test_whoever_stops_reading_is_not_answered_with_a_traceback(tmp_path: Path) -> None:
    write(tmp_path, EVENTS * 5000)
    command = [sys.executable, "-m", "guestnet.cli", "events", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_columns_are_for_programs() -> None:
    delayed = FramesDelayed(
        at=0, link="wifi", rule="delay 1 ms", direction="up", count=2,
        least=5_000_000, mean=6_000_000, most=7_000_000, packet_ids=[1, 1], times=[0, 3], delays=[5, 2],
    )  # fmt: skip
    assert click.unstyle(line(delayed)).endswith(
        "FramesDelayed  wifi up held 2 frames by delay 1 ms: 5 to 7 ms, 6 ms in the mean"
    )
