"""A command that is interrupted in the middle of its work leaves nothing behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

DEADLINE = 30.0
GRACE = 3.0
PAUSE = 0.1

pytestmark = pytest.mark.guest


def survivors(mark: str) -> list[str]:
    """Command lines of the processes with ``mark`` in their environment, in any namespace, that stay."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(os.getpid()):
            try:
                handle = os.pidfd_open(int(entry.name))
            except ProcessLookupError:
                continue
            try:
                if mark.encode() not in (entry / "environ").read_bytes():
                    continue
                # A lab whose client was ended while it started sees that by itself, a moment later.
                if not select.select([handle], [], [], GRACE)[0]:
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            finally:
                os.close(handle)
    return found


def interrupt(command: list[str], journal: str, number: int, mark: str, folder: Path) -> tuple[int, str]:
    """Start ``command``, signal its group as terminals do once a lab of its has a guest: status, words.

    ``journal`` is where in ``folder`` the lab's journal will be, a glob.
    """
    environment = {**os.environ, "GUESTNET_MARK": mark, "TMPDIR": str(folder)}
    # Who runs in the background of a shell ignores SIGINT, and so would everything that it starts.
    process = subprocess.Popen(
        ["env", "--default-signal=INT,TERM", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + DEADLINE
        while not any(b"GuestStarted" in path.read_bytes() for path in folder.glob(journal)):
            assert time.monotonic() < deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with {process.wait(PAUSE)}")
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_benchmark_of_labs(tmp_path: Path, number: int, status: int) -> None:
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "harness.cli", "bench", "boot", "--runs", "50"]

    code, said = interrupt(command, "*/journal.jsonl", number, mark, tmp_path)

    assert code == status, said
    assert "Traceback" not in said
    assert survivors(mark) == []
    assert list(tmp_path.iterdir()) == []


SCENARIO = """
from harness.core.events import GuestEnded

def test_long(lab): lab.journal.expect(GuestEnded, within=600)
"""


def test_a_run_of_scenarios(tmp_path: Path) -> None:
    mark, test, report = uuid.uuid4().hex, tmp_path / "test_long.py", tmp_path / "report"
    test.write_text(SCENARIO)
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "run",
        "--report",
        str(report),
        "--rootdir",
        str(tmp_path),
    ]

    code, said = interrupt([*command, str(test)], "report/*/*/journal.jsonl", signal.SIGINT, mark, tmp_path)

    assert code == pytest.ExitCode.INTERRUPTED, said
    assert survivors(mark) == []
    assert (report / "report.html").is_file()
