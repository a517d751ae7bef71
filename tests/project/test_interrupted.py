"""A command that is interrupted in the middle of its work leaves nothing behind."""

import os
import select
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

DEADLINE = 30.0
GRACE = 3.0

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


def interrupt(command: list[str], sign: str, number: int, mark: str, temporary: Path) -> tuple[int, str]:
    """Start ``command``, wait until it has said ``sign``, signal its group as terminals do: status, words."""
    environment = {**os.environ, "GUESTNET_MARK": mark, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    with process:
        assert process.stdout is not None
        said = b""
        while sign.encode() not in said:
            ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
            assert ready, f"it did not say {sign!r} but {said!r}"
            more = os.read(process.stdout.fileno(), 4096)
            assert more, said.decode()
            said += more
        os.killpg(process.pid, number)
        rest, _ = process.communicate(timeout=DEADLINE)
    return process.returncode, (said + rest).decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_benchmark_of_labs(tmp_path: Path, number: int, status: int) -> None:
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "harness.cli", "bench", "boot", "--runs", "50"]

    code, said = interrupt(command, "guests (cold)", number, mark, tmp_path)

    assert code == status, said
    assert "Traceback" not in said
    assert survivors(mark) == []
    assert list(tmp_path.iterdir()) == []


SCENARIO = """
def test_long(lab, request):
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("the lab is up", flush=True)
    lab.guest.run("sleep 600", timeout=600)
"""


def test_a_run_of_scenarios(tmp_path: Path) -> None:
    mark, temporary = uuid.uuid4().hex, tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "test_long.py").write_text(SCENARIO)
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "run",
        "--rootdir",
        str(tmp_path),
        str(tmp_path / "test_long.py"),
    ]

    code, said = interrupt(
        [*command, "--report", str(tmp_path / "report")], "the lab is up", signal.SIGINT, mark, temporary
    )

    assert code == pytest.ExitCode.INTERRUPTED, said
    assert survivors(mark) == []
    assert (tmp_path / "report" / "report.html").is_file()
