"""Which processes a test has started, and whether they have ended."""

import os
import select
import time
from pathlib import Path

MARK = "GUESTNET_TEST_MARK"


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


def _ends(pid: int, seconds: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(0.0, seconds))[0])
    finally:
        os.close(handle)
