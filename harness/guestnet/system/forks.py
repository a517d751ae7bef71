"""Processes by fork(2) from one that has done its imports already.

Most of the start of a Python process are its imports. A *fork server* is a process that has them, and does
nothing but fork: each order brings some octets and descriptors, and what runs in the new process is a
function that takes them. The server is single-threaded, and computes nothing between two orders, so what it
forks is always the same.

    client ── order, descriptors ──> server ── fork(2) ──> process
           <── PID, pidfd, pipe ───         <── SIGCHLD ──

The process is a child of the server, so its end reaches the client by two descriptors: the pidfd becomes
readable (pidfd_open(2)), and then the pipe has the exit status. A client whose server has ended still sees
the end, but gets no status.

Orders and answers are packets of a socket (``SOCK_SEQPACKET``): one each way at a time.
"""

import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, NoReturn, Self

_ORDER_SIZE: Final = 1 << 17
"""Octets of an order, more than any environment that execve(2) is usually given."""
_MOST_DESCRIPTORS: Final = 8
_PID: Final = struct.Struct("=i")
_STATUS: Final = struct.Struct("=i")

Run = Callable[[bytes, list[int]], NoReturn]
"""What a new process is to do with its order and its descriptors; it ends the process itself."""


class ForkServerError(Exception):
    """The fork server has ended, or does not answer."""


class Child(NamedTuple):
    """A process that a fork server has made; both descriptors are the holder's to close."""

    pid: int
    pidfd: int
    status: int
    """A pipe: its exit status when it has ended."""

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self.pidfd)
        os.close(self.status)

    def ends(self, seconds: float) -> bool:
        """Whether the process ends within ``seconds``."""
        return _readable(self.pidfd, seconds)

    def exit_status(self, seconds: float = 1.0) -> int | None:
        """Of a process that has ended: as `subprocess.Popen.returncode` has it. None when nobody knows."""
        if not _readable(self.status, seconds):
            return None
        said = os.read(self.status, _STATUS.size)
        return _STATUS.unpack(said)[0] if said else None

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


def order(server: socket.socket, message: bytes, descriptors: Sequence[int]) -> Child:
    """Have the server at the other end of ``server`` make a process. Blocks, at most the socket's timeout.

    Raises ForkServerError.
    """
    try:
        socket.send_fds(server, [message], list(descriptors))
        answer, received, _, _ = socket.recv_fds(server, _PID.size, 2)
    except OSError as error:  # a timeout too
        raise ForkServerError(str(error) or type(error).__name__) from error
    if not answer:
        raise ForkServerError("it has ended")
    _keep_from_programs(received)
    return Child(_PID.unpack(answer)[0], *received)


def serve(control: socket.socket, until: int, run: Run, *, child: int = 0) -> int | None:
    """Be a fork server for the client at the other end of ``control``.

    Returns when the client closes its end, or when the descriptor ``until`` becomes readable. Reaps every
    child of this process. In the new processes ``run`` is called, with nothing of the server open but
    ``until``. ``child`` is the PID of another child: the answer is its exit status (`os.waitpid`), if it has
    ended.
    """
    with _Reaper(child) as reaper:
        poll = select.poll()
        for descriptor in (control.fileno(), until, reaper.wakeup):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if reaper.wakeup in ready:
                reaper.reap()
            if until in ready:
                reaper.reap()
                return reaper.status
            if control.fileno() in ready:
                message, descriptors, _, _ = socket.recv_fds(control, _ORDER_SIZE, _MOST_DESCRIPTORS)
                if not message:
                    reaper.reap()  # who has just ended would be left to whoever adopts orphans
                    return reaper.status
                _keep_from_programs(descriptors)
                _fork(control, reaper, run, message, descriptors)


def _fork(
    control: socket.socket, reaper: "_Reaper", run: Run, message: bytes, descriptors: list[int]
) -> None:
    status, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            reaper.close()
            os.close(status)
            os.close(told)
            run(message, descriptors)
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:  # noqa: BLE001 - it must not go on as a second server
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)
    reaper.told[pid] = told
    pidfd = os.pidfd_open(pid)
    for descriptor in descriptors:
        os.close(descriptor)
    with suppress(BrokenPipeError, ConnectionResetError):  # the client has ended: so shall we
        socket.send_fds(control, [_PID.pack(pid)], [pidfd, status])
    os.close(pidfd)
    os.close(status)


class _Reaper:
    """Waits for children of this process, and says how they ended; ``wakeup`` is readable when some have.

    ``status`` is that of the child ``kept``, once it has ended.
    """

    def __init__(self, kept: int) -> None:
        self.status: int | None = None
        self._kept = kept
        self.told: dict[int, int] = {}
        self.wakeup, self._written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._former = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything; children stay."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._former)
        for descriptor in (self.wakeup, self._written, *self.told.values()):
            os.close(descriptor)
        self.told.clear()

    def reap(self) -> None:
        """Take note of all that have ended."""
        with suppress(BlockingIOError):
            os.read(self.wakeup, 4096)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, status = ended
                if pid == self._kept:
                    self.status = status
                told = self.told.pop(pid, None)
                if told is not None:
                    with suppress(BrokenPipeError):
                        os.write(told, _STATUS.pack(os.waitstatus_to_exitcode(status)))
                    os.close(told)


def _keep_from_programs(descriptors: Sequence[int]) -> None:
    """What comes by a socket would be open in programs that this process starts (recvmsg(2))."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
