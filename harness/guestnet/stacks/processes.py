"""The processes of a stack of others: one a guest, ended with its cable or with the stack.

One that ends unasked is the stack under test that broke, and a lab can't do without it. Nobody waits for
that, so it is an error of the event loop (``call_exception_handler``), which ends a lab with the error's
words. One that ends well (status 0) may do so because its guest's end of the cable was closed, which its
owner is still to hear; so it has a while to be told to end.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from guestnet.core.errors import LabError

_READY_WITHIN: Final = 5.0
_TOLD_WITHIN: Final = 5.0
_WORDS: Final = 3
"""How many of the last lines that a process said go into an error."""
_NO_MORE: Final = "the stack under test is no more"
_NOISE: Final = "bytes to syslog"
"""The end of what passt says where there is no syslog, as in a lab."""


class Ready(NamedTuple):
    """What a process writes to once it is ready: a FIFO, by descriptor or by path.

    Some close what they inherit (passt since 2024-08).
    """

    descriptor: int
    path: str


Words = Callable[[Ready], Sequence[str]]
"""A command, from what it writes to once it is ready."""


class Processes:
    """By guest. What they print goes to ``PROGRAM-LINK.log`` in ``artifacts``, or nowhere.

    ``oldest`` is the oldest version of the program that is known to work; errors say it. ``told_within`` is
    in seconds.
    """

    def __init__(self, artifacts: Path | None, oldest: str, *, told_within: float = _TOLD_WITHIN) -> None:
        self._artifacts = artifacts
        self._oldest = oldest
        self._told_within = told_within
        self._running: dict[str, _Process] = {}

    def start(self, guest: str, link: str, command: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        """In place of the guest's former one. Raises OSError."""
        self._start(guest, link, command, descriptors).watch(self._told_within)

    async def start_ready(self, guest: str, link: str, words: Words) -> None:
        """``start``, and wait until it says that it is ready. Raises LabError when it does not."""
        with _fifo() as (heard, ready):
            process = self._start(guest, link, words(ready), [ready.descriptor])
            if not await process.says(heard, _READY_WITHIN):
                self.end(guest)
                raise process.error_of_version("did not come up")
        process.watch(self._told_within)

    def end(self, guest: str) -> None:
        """Kill that of ``guest``, if it has one."""
        process = self._running.pop(guest, None)
        if process is not None:
            process.end()

    def end_all(self) -> None:
        """Kill all."""
        for guest in list(self._running):
            self.end(guest)

    def _start(self, guest: str, link: str, command: Sequence[str], descriptors: Sequence[int]) -> "_Process":
        self.end(guest)
        artifacts = self._artifacts
        log = Path(os.devnull) if artifacts is None else artifacts / f"{Path(command[0]).name}-{link}.log"
        process = self._running[guest] = _Process(guest, command, descriptors, log, self._oldest)
        return process


class _Process:
    def __init__(
        self, guest: str, command: Sequence[str], descriptors: Sequence[int], log: Path, oldest: str
    ) -> None:
        self._what = f"{Path(command[0]).name} for {guest}"
        self._log = log
        self._oldest = oldest
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._watched = False
        self._patience: asyncio.TimerHandle | None = None

    async def says(self, heard: int, seconds: float) -> bool:
        """Whether it writes to the FIFO ``heard`` before it ends, and within ``seconds``."""
        loop = asyncio.get_running_loop()
        either = asyncio.Event()
        for descriptor in (heard, self._pidfd):
            loop.add_reader(descriptor, either.set)
        try:
            async with asyncio.timeout(seconds):
                await either.wait()
            return bool(os.read(heard, 16))
        except (TimeoutError, BlockingIOError):
            return False
        finally:
            for descriptor in (heard, self._pidfd):
                loop.remove_reader(descriptor)

    def watch(self, told_within: float) -> None:
        """From now on its end is an error, unless it is told to end."""
        self._watched = True
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended, told_within)

    def end(self) -> None:
        """Kill it, if it runs."""
        self._unwatch()
        if self._patience is not None:
            self._patience.cancel()
        self._process.kill()
        self._process.wait()
        os.close(self._pidfd)

    def error(self, what: str, remedy: str = "") -> LabError:
        """That it ``what``, with its last words."""
        with contextlib.suppress(OSError):
            lines = [line.strip() for line in self._log.read_text(errors="replace").split("\n")]
            if said := [line for line in lines if line and not line.endswith(_NOISE)][-_WORDS:]:
                what = f"{what} ({'; '.join(said)})"
        return LabError(f"{self._what} {what}", remedy=f"see {self._log.name}{remedy}")

    def error_of_version(self, what: str) -> LabError:
        """As `error`, of what may be because the program is too old."""
        return self.error(what, f"; the oldest that is known to work is {self._oldest}")

    def _unwatch(self) -> None:
        if self._watched:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            self._watched = False

    def _ended(self, told_within: float) -> None:
        self._unwatch()
        status = self._process.wait()
        loop = asyncio.get_running_loop()
        if status == 0:
            error = self.error(f"ended unasked: {_NO_MORE}")
            self._patience = loop.call_later(told_within, _fail, error)
        elif status < 0:
            _fail(self.error(f"ended with {signal.Signals(-status).name}: {_NO_MORE}"))
        else:
            _fail(self.error_of_version(f"ended with status {status}: {_NO_MORE}"))


def _fail(error: LabError) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": str(error), "exception": error})


@contextlib.contextmanager
def _fifo() -> Iterator[tuple[int, Ready]]:
    """The end to read, which does not block, and what a process is given; gone with the block."""
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        path = Path(folder, "ready")
        os.mkfifo(path, 0o600)
        heard = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            said = os.open(path, os.O_WRONLY)
            try:
                yield heard, Ready(said, str(path))
            finally:
                os.close(said)
        finally:
            os.close(heard)
