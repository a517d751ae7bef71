"""A command that is interrupted in the middle of its work leaves nothing behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DEADLINE = 30.0
GRACE = 3.0
PAUSE = 0.1

pytestmark = pytest.mark.guest


def marked(mark: str) -> Iterator[tuple[int, Path]]:
    """A handle, open for a moment, and /proc's folder of each process with ``mark`` in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(os.getpid()):
            try:
                handle = os.pidfd_open(int(entry.name))
            except ProcessLookupError:
                continue
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    yield handle, entry
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            finally:
                os.close(handle)


def survivors(mark: str) -> list[str]:
    """Command lines of the processes with ``mark`` in their environment, in any namespace, that stay."""
    return [
        (entry / "cmdline").read_text().replace("\0", " ")
        for handle, entry in marked(mark)
        # A lab whose client was ended while it started sees that by itself, a moment later.
        if not select.select([handle], [], [], GRACE)[0]
    ]


def has_machine(mark: str) -> bool:
    """Whether a QEMU with ``mark`` in its environment runs."""
    for _, entry in marked(mark):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (entry / "comm").read_text().startswith("qemu-system"):
                return True
    return False


def interrupt(
    command: list[str], is_busy: Callable[[], bool], number: int, mark: str, folder: Path
) -> tuple[int, str]:
    """Start ``command``, signal its group as terminals do once it is busy: status, words."""
    environment = {**os.environ, "GUESTNET_MARK": mark, "TMPDIR": str(folder)}
    # Who runs in the background of a shell ignores SIGINT, and so would everything that it starts.
    process = subprocess.Popen(
        ["env", "--default-signal=INT,TERM", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = b""
    try:
        deadline = time.monotonic() + DEADLINE
        while not is_busy():
            assert time.monotonic() < deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with {process.wait(PAUSE)}")
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=DEADLINE)
    finally:
        if process.poll() is None:
            process.kill()
            said, _ = process.communicate()
            print(said.decode())
    return process.returncode, said.decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_benchmark_of_labs(tmp_path: Path, number: int, status: int) -> None:
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "guestnet.cli", "bench", "boot", "--runs", "50"]

    code, said = interrupt(command, lambda: has_machine(mark), number, mark, tmp_path)

    assert code == status, said
    assert "Traceback" not in said
    assert survivors(mark) == []
    assert list(tmp_path.iterdir()) == []


SCENARIO = """
from guestnet.core.events import GuestEnded

def test_long(lab): lab.journal.expect(GuestEnded, within=600)
"""


def test_a_run_of_scenarios(tmp_path: Path) -> None:
    mark, test, report = uuid.uuid4().hex, tmp_path / "test_long.py", tmp_path / "report"
    test.write_text(SCENARIO)
    command = [
        sys.executable,
        "-m",
        "guestnet.cli",
        "run",
        "--report",
        str(report),
        "--rootdir",
        str(tmp_path),
    ]

    def has_guest() -> bool:
        return any(b"GuestStarted" in path.read_bytes() for path in report.glob("*/*/journal.jsonl"))

    code, said = interrupt([*command, str(test)], has_guest, signal.SIGINT, mark, tmp_path)

    assert code == pytest.ExitCode.INTERRUPTED, said
    assert survivors(mark) == []
    assert (report / "report.html").is_file()
