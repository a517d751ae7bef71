"""A shell in a netns guest, on a terminal of that guest: what a serial console is to a machine.

The terminal is of the guest's own /dev/pts: programs there know it by its name (pts(4), ioctl_tty(2)).
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from guestnet.core.errors import GuestError
from guestnet.system.calls import CLONE_FS, CLONE_NEWNS, setns, unshare

_CHUNK: Final = 16 * 1024
_TIOCSPTLCK: Final = 0x4004_5431
_TIOCGPTPEER: Final = 0x5441


def open_terminal(mounts: int) -> tuple[int, int]:
    """Both ends of a new terminal, ours first, of the mount namespace behind ``mounts``. Raises OSError."""
    future: Future[tuple[int, int]] = Future()

    def run() -> None:
        try:
            # A thread can only go elsewhere when its root is its own.
            unshare(CLONE_FS)
            setns(mounts, CLONE_NEWNS)
            future.set_result(_pair())
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)

    thread = threading.Thread(target=run, name="a terminal's making")
    thread.start()
    thread.join()
    return future.result()


def _pair() -> tuple[int, int]:
    ours = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 0))
        theirs = fcntl.ioctl(ours, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(ours)
        raise
    return ours, theirs


class Terminal:
    """``words`` run on a new terminal until they end, or until nobody listens any more.

    ``ended`` is done then. To be made in a running loop; owns ``ours``, and closes ``theirs``.
    """

    def __init__(
        self, ours: int, theirs: int, words: Sequence[str], environment: dict[str, str], passed: Sequence[int]
    ) -> None:
        """``passed`` are descriptors that ``words`` name. Raises OSError when they do not start."""
        self.ended: asyncio.Future[GuestError | None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._ours = ours
        self._listeners: list[Callable[[bytes], None]] = []
        os.set_blocking(ours, False)
        try:
            self._process = subprocess.Popen(
                words,
                env=environment,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                pass_fds=passed,
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._loop.add_reader(ours, self._readable)

    def listen(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Call ``listener`` with every output from now on; gives the function that ends it."""
        self._listeners.append(listener)

        def end() -> None:
            self._listeners.remove(listener)
            if not self._listeners:
                self.close()

        return end

    async def type(self, data: bytes) -> None:
        """Send keystrokes. Raises OSError when the terminal is no more."""
        while data:
            try:
                data = data[os.write(self._ours, data) :]
            except BlockingIOError:
                await self._writable()

    def close(self) -> None:
        """Hang up; more than one call does no harm."""
        if self._ours < 0:
            return
        self._loop.remove_reader(self._ours)
        self._loop.remove_writer(self._ours)
        os.close(self._ours)
        self._ours = -1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if not self.ended.done():
            self.ended.set_result(None)

    async def _writable(self) -> None:
        writable = asyncio.Event()
        self._loop.add_writer(self._ours, writable.set)
        try:
            await writable.wait()
        finally:
            if self._ours >= 0:
                self._loop.remove_writer(self._ours)

    def _readable(self) -> None:
        try:
            output = os.read(self._ours, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the other end open any more
            output = b""
        if not output:
            self.close()
            return
        for listener in list(self._listeners):
            listener(output)
