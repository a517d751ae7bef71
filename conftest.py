"""After each test nothing is left: no descriptor, no process, no task that nobody waits for.

A loop that is closed with tasks pending is told by its close(), a loop that is left open by its descriptors.
What a fixture of a wider scope holds is not the test's: pytest sets those up before the fixture below and
tears them down after it. Orphans are seen too, because the session adopts them (PR_SET_CHILD_SUBREAPER).
"""

import asyncio
import ctypes
import gc
import os
import select
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.path import only_known

RUNGS = ("netns", "guest", "browser", "wheel")
PR_SET_CHILD_SUBREAPER = 36
GRACE = 2.0
"""Seconds that a process which was told to end may take to do so."""

# A slow machine is no failure, and CI replays the same examples on every run.
settings.register_profile("guestnet", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("guestnet")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of xdist has the environment of who started it
        folder = tempfile.TemporaryDirectory(prefix="guestnet-path-")
        config.add_cleanup(folder.cleanup)
        os.environ.update(only_known(Path(folder.name)))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With --strict-environment a skipped rung of the ladder is red: no run is green by doing nothing."""
    report = yield
    rungs = [rung for rung in RUNGS if item.get_closest_marker(rung) is not None]
    if report.skipped and rungs and item.config.getoption("--guestnet-strict-environment", default=False):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"a test of the rung {rungs[0]} did not run: {reason}"
    return report


def _descriptors() -> dict[str, str]:
    """Open descriptors of this process: number and what it refers to."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:  # the descriptor that lists the folder
            continue
    return found


def _children() -> set[int]:
    """Process ids of this process's children, zombies included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()  # the usual case, and cheap; the walk below is not
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
            parent = int(stat.rpartition(")")[2].split()[1])  # proc(5): pid (comm) state ppid
            if parent == os.getpid():
                found.add(int(entry.name))
    return found


def _survivors(pids: set[int]) -> list[str]:
    """Reap what ends within the grace, and kill the rest; command lines of the rest."""
    alive = []
    for pid in sorted(pids):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], GRACE)
            if not ended:
                command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
                alive.append(f"process {pid}: {command.strip()}")
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.waitid(os.P_PIDFD, handle, os.WEXITED)
        except ChildProcessError:  # its owner reaped it meanwhile
            continue
        finally:
            os.close(handle)
    return alive


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    descriptors, children = _descriptors(), _children()
    left: list[str] = []
    close = asyncio.BaseEventLoop.close

    def close_and_tell(loop: asyncio.BaseEventLoop) -> None:
        left.extend(f"pending {task!r}" for task in asyncio.all_tasks(loop))
        close(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "close", close_and_tell)
        yield
        if _descriptors().keys() - descriptors.keys():
            gc.collect()  # an unclosed resource that is garbage warns here, and warnings are errors
    now = _descriptors()
    left += [f"descriptor {number}: {now[number]}" for number in now.keys() - descriptors.keys()]
    left += _survivors(_children() - children)
    if left:
        pytest.fail("the test left behind " + "; ".join(left), pytrace=False)
