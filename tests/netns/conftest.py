"""Real labs without a guest: namespaces, servers and processes as they are."""

import os
import select
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from harness.core.errors import EnvironmentMissing
from harness.lab.client import LabProcess
from harness.lab.description import LabDescription

MARK = "GUESTNET_TEST_MARK"


class StartLab(Protocol):
    def __call__(self, **fields: object) -> LabProcess: ...


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[StartLab]:
    """Start a lab without guests; it is closed after the test."""
    labs: list[LabProcess] = []

    def start(**fields: object) -> LabProcess:
        description = LabDescription(**{"scenario": "test", "seed": 1, "guests": 0} | fields)  # type: ignore[arg-type]
        try:
            labs.append(LabProcess.start(description, tmp_path / f"lab{len(labs)}"))
        except EnvironmentMissing as error:
            pytest.skip(str(error))
        return labs[-1]

    yield start
    for lab in labs:
        lab.close()


class Marked:
    """The processes that have inherited a mark in their environment: those that this test started."""

    def __init__(self, mark: str) -> None:
        self._line = f"{MARK}={mark}".encode()

    def pids(self) -> list[int]:
        """Those that run now, this process excepted."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    lines = (entry / "environ").read_bytes().split(b"\0")
                except OSError:  # it has ended, or it is somebody else's
                    continue
                if self._line in lines:
                    found.append(int(entry.name))
        return found

    def survivors(self, seconds: float = 10.0) -> list[str]:
        """Wait for the end of all; command lines of those that run on after ``seconds``."""
        until = time.monotonic() + seconds
        while pids := self.pids():
            for pid in pids:
                if not _ends(pid, until - time.monotonic()):
                    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")]
        return []


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Marked:
    """What this test starts from now on, its children included."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    return Marked(mark)


def _ends(pid: int, seconds: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(0.0, seconds))[0])
    finally:
        os.close(handle)
