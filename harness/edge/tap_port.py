"""A TAP device (IFF_TAP | IFF_NO_PI, no vnet header): one frame a read and a write.

Up to ``BATCH`` frames a wake make one batch. A TAP takes every frame at once or not at all, so the queue
only fills while the device is full; it is bounded in octets like that of the QEMU port.
"""

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from harness.core.port import Frame

BATCH: Final = 64
QUEUE_LIMIT: Final = 4 << 20
_MAX_FRAME: Final = 65536 + 64


class TapPort:
    """A ``core.port.Port`` on the descriptor of a TAP device, which it owns from now on."""

    def __init__(
        self,
        name: str,
        fd: int,
        *,
        receive: Callable[[Sequence[Sequence[Frame]]], None],
        dropped: Callable[[Sequence[Frame], str], None],
        closed: Callable[[str], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """As of ``QemuPort``."""
        self.name = name
        self._fd = fd
        self._receive = receive
        self._dropped = dropped
        self._closed = closed
        self._queue_limit = queue_limit
        self._queue: deque[Frame] = deque()
        self._queued = 0
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._on_readable)

    @property
    def queued(self) -> int:
        """Octets that wait for the device."""
        return self._queued

    def send(self, frames: Sequence[Frame]) -> None:
        """As of ``core.port.Port``."""
        for index, frame in enumerate(frames):
            if self._queue or not self._write(frame):
                self._enqueue(frames[index:])
                return

    def close(self) -> None:
        """As of ``core.port.Port``; idempotent."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._queue.clear()
        self._queued = 0

    def _on_readable(self) -> None:
        frames: list[Frame] = []
        try:
            while len(frames) < BATCH:
                frames.append(os.read(self._fd, _MAX_FRAME))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._loop.call_soon(self._lose, f"the TAP device failed: {error.strerror}")
        if frames:
            self._receive([frames])

    def _write(self, frame: Frame) -> bool:
        """False when the device is full."""
        try:
            os.write(self._fd, frame)
        except BlockingIOError:
            return False
        except OSError as error:
            # EIO: the interface is down. A frame to it is lost like one to a dead cable.
            rule = "interface down" if error.errno == errno.EIO else f"TAP: {error.strerror}"
            self._dropped([frame], rule)
        return True

    def _enqueue(self, frames: Sequence[Frame]) -> None:
        if not self._queue:
            self._loop.add_writer(self._fd, self._on_writable)
        for index, frame in enumerate(frames):
            if self._queued + len(frame) > self._queue_limit:
                self._dropped(frames[index:], "queue full")
                return
            self._queue.append(frame)
            self._queued += len(frame)

    def _on_writable(self) -> None:
        while self._queue:
            if not self._write(self._queue[0]):
                return
            self._queued -= len(self._queue.popleft())
        self._loop.remove_writer(self._fd)

    def _lose(self, reason: str) -> None:
        if self._fd >= 0:
            self.close()
            self._closed(reason)
