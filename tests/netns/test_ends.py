"""Nothing of a lab stays, whoever dies first and at whatever moment."""

import contextlib
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from guestnet.core.errors import LabError
from guestnet.lab.requests.protocol import Now, RunOn
from tests.netns.conftest import StartLab, events, start_client
from tests.support.marked import Marked

pytestmark = pytest.mark.netns


def test_a_server_that_dies_ends_the_lab_with_the_reason(start_lab: StartLab, marked: Marked) -> None:
    lab = start_lab()
    pid = lab.started.pids["servers"]
    with pytest.raises(LabError, match="the process of servers ended"):  # noqa: PT012 - the second may be the first
        lab.call(RunOn(host="laptop", command=f"kill -KILL {pid}; sleep 60", timeout=20))
        lab.call(Now())
    lab.close()

    assert "the process of servers ended" in events(lab)[-1]["reason"]
    assert marked.survivors() == []


@pytest.mark.parametrize("victim", ["keeper", "init", "lab"])
def test_a_killed_lab_is_noticed_at_once_and_leaves_nothing(
    start_lab: StartLab, marked: Marked, victim: str
) -> None:
    lab = start_lab()
    (init,) = children(lab.pid)
    # Init's first child; the others, the world's servers among them, come later.
    inner = min(
        pid for pid in children(init) if b"guestnet.lab\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    pending: list[str] = []

    def wait() -> None:
        try:
            lab.call(RunOn(host="laptop", command="echo > /run/began; sleep 600", timeout=600))
        except LabError as error:
            pending.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    lab.call(RunOn(host="laptop", command="until [ -e /run/began ]; do :; done", timeout=10))
    os.kill({"keeper": lab.pid, "init": init, "lab": inner}[victim], signal.SIGKILL)
    thread.join(10)

    assert not thread.is_alive()
    assert "the lab ended unexpectedly (killed by SIGKILL)" in pending[0]
    assert "the lab is ready" in pending[0]
    lab.close()
    assert marked.survivors() == []


@pytest.mark.parametrize("seed", range(8))
def test_a_lab_of_which_any_process_is_killed_at_any_moment_leaves_nothing(
    tmp_path: Path, marked: Marked, seed: int
) -> None:
    choose = random.Random(seed)
    with start_client(tmp_path) as client:
        pass_time(client, choose.uniform(0.05, 0.6))
        for pid in sorted(marked.pids(), key=lambda _: choose.random()):
            if pid != client.pid:
                kill(pid)
                break
        _, errors = client.communicate("", timeout=30)
    assert "Error" not in errors or "LabError: " in errors
    assert marked.survivors() == []


@pytest.mark.parametrize("moment", [None, *(random.Random(1).uniform(0.0, 0.5) for _ in range(8))])
def test_when_the_client_is_killed_the_lab_ends(tmp_path: Path, marked: Marked, moment: float | None) -> None:
    """``moment``: seconds after the client's start, or None: when the lab runs."""
    with start_client(tmp_path) as client:
        assert client.stdout is not None
        if moment is None:
            assert client.stdout.readline().startswith("started")
            assert len(marked.pids()) > 4
        else:
            pass_time(client, moment)
        client.kill()

    assert marked.survivors() == []


def test_when_the_client_ends_without_closing_the_lab_ends(tmp_path: Path, marked: Marked) -> None:
    with start_client(tmp_path) as client:
        assert client.stdout is not None
        assert client.stdout.readline().startswith("started")
        client.send_signal(signal.SIGTERM)

    assert marked.survivors() == []


def test_twenty_labs_leave_nothing(start_lab: StartLab, marked: Marked) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    mounts = Path("/proc/self/mountinfo").read_text()
    threads = threading.active_count()
    for _ in range(20):
        start_lab().close()

    assert marked.survivors() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert threading.active_count() == threads


def pass_time(process: "subprocess.Popen[str]", seconds: float) -> None:
    """Until ``process`` ends, but no longer than ``seconds``."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Of a process, by proc(5)."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
