"""What removes a bare machine, however its owner ends."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bare.machine import REMOVE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "machine"
    (folder / "root" / "etc").mkdir(parents=True)
    (folder / "root" / "etc" / "hosts").touch()
    return folder


@pytest.fixture
def running() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def remove(folder: Path, told: str) -> None:
    """Its owner tells it so much, and ends."""
    subprocess.run(["sh", "-c", REMOVE, "sh", str(folder)], input=told, text=True, check=True, timeout=30)


def test_a_machine_that_ran_nothing_is_removed(folder: Path) -> None:
    remove(folder, "")
    assert not folder.exists()


def test_what_still_runs_is_ended_first(folder: Path, running: "subprocess.Popen[bytes]") -> None:
    remove(folder, f"{running.pid}\n")
    assert running.wait(10) == -9
    assert not folder.exists()


def test_what_has_ended_is_left_alone(folder: Path, running: "subprocess.Popen[bytes]") -> None:
    remove(folder, f"{running.pid}\nended\n")
    assert running.poll() is None
    assert not folder.exists()
