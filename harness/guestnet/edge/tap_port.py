"""A TAP device (IFF_TAP | IFF_NO_PI): one frame a read and a write.

With offloads (IFF_VNET_HDR) there is a virtio net header before each frame (``wire.virtio``): what the guest
sends in bulk comes as frames of up to 64 KiB and goes on as trains, and a train goes to the guest's kernel in
as few writes, which copy its payload once. Without, and for what is no train, frames are as on a wire.

A wake reads until there is nothing more, up to a bound, so that one guest does not hold up the others. A TAP
takes every frame at once or not at all, so the queue only fills while the device is full; it is bounded in
octets like that of the QEMU port.
"""

import asyncio
import errno
import fcntl
import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.wire.octets import Octets

BATCH: Final = 64
"""Frames of one wake at most."""
BATCH_OCTETS: Final = 512 * 1024
"""Octets of one wake, about."""
QUEUE_LIMIT: Final = 4 << 20
_MAX_FRAME: Final = virtio.HEADER + 65536 + 64
_BUFFER: Final = 2 * _MAX_FRAME
"""Octets of what is read into: the payload of a large frame is more than a quarter, and is kept uncopied."""
_TUNGETIFF: Final = 0x8004_54D2
_IFF_VNET_HDR: Final = 0x4000
_IFREQ: Final = 40

Pieces = tuple[Octets, ...]
"""What one write gathers: a frame, or what is before it and its parts."""


def has_offloads(fd: int) -> bool:
    """Whether the TAP device has a header before each frame (linux/if_tun.h). Raises OSError for no TAP."""
    (flags,) = struct.unpack_from("H", fcntl.ioctl(fd, _TUNGETIFF, bytes(_IFREQ)), 16)
    return bool(flags & _IFF_VNET_HDR)


class TapPort:
    """A ``core.port.Port`` on the descriptor of a TAP device, which it owns from now on."""

    def __init__(
        self,
        name: str,
        fd: int,
        *,
        offloads: bool,
        receive: Callable[[Sequence[Sequence[Frame]]], None],
        dropped: Callable[[Sequence[Frame], str], None],
        closed: Callable[[str], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """As of ``QemuPort``; ``offloads``: see ``has_offloads``."""
        self.name = name
        self.takes_trains = offloads
        self._fd = fd
        self._receive = receive
        self._dropped = dropped
        self._closed = closed
        self._queue_limit = queue_limit
        self._queue: deque[Pieces] = deque()
        self._queued = 0
        self._buffer = _buffer()
        self._used = 0
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._on_readable)

    @property
    def queued(self) -> int:
        """Octets that wait for the device."""
        return self._queued

    def send(self, frames: Sequence[Frame]) -> None:
        """As of ``core.port.Port``."""
        writes: list[Pieces]
        if not self.takes_trains:
            writes = [(frame,) for frame in frames]
        elif isinstance(frames, Train):
            writes = list(virtio.send(frames))
        else:
            writes = [(virtio.COMPLETE, frame) for frame in frames]
        for index, pieces in enumerate(writes):
            if self._queue or not self._write(pieces):
                self._enqueue(writes[index:])
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

    # --- in ---

    def _on_readable(self) -> None:
        batches: list[Sequence[Frame]] = []
        frames: list[Frame] = []
        octets = 0
        try:
            for _ in range(BATCH):
                frame, count = self._read()
                octets += count
                if isinstance(frame, Train):
                    if frames:
                        batches.append(frames)
                        frames = []
                    batches.append(frame)
                elif frame is not None:
                    frames.append(frame)
                if octets >= BATCH_OCTETS:
                    break
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._loop.call_soon(self._lose, f"the TAP device failed: {error.strerror}")
        if frames:
            batches.append(frames)
        if batches:
            self._receive(batches)

    def _read(self) -> tuple[Frame | Train | None, int]:
        """The next frame, None if it makes no sense, and the octets read. BlockingIOError when none waits."""
        start = self._used
        if start > _BUFFER - _MAX_FRAME:
            # Who keeps a frame keeps its buffer, so that is not written to again.
            self._buffer = _buffer()
            start = 0
        count = os.readv(self._fd, [self._buffer[start : start + _MAX_FRAME]])
        octets = self._buffer[start : start + count]
        self._used = start + count
        if not self.takes_trains:
            return octets, count
        try:
            return virtio.receive(octets), count
        except WireError as error:
            self._dropped([octets[virtio.HEADER :]], str(error))
            return None, count

    # --- out ---

    def _enqueue(self, writes: Sequence[Pieces]) -> None:
        if not self._queue:
            self._loop.add_writer(self._fd, self._on_writable)
        for index, pieces in enumerate(writes):
            octets = sum(map(len, pieces))
            if self._queued + octets > self._queue_limit:
                self._drop(writes[index:], "queue full")
                return
            self._queue.append(pieces)
            self._queued += octets

    def _write(self, pieces: Pieces) -> bool:
        """False when the device is full."""
        try:
            os.writev(self._fd, pieces)
        except BlockingIOError:
            return False
        except OSError as error:
            # EIO: the interface is down. A frame to it is lost like one to a dead cable.
            self._drop([pieces], "interface down" if error.errno == errno.EIO else f"TAP: {error.strerror}")
        return True

    def _on_writable(self) -> None:
        while self._queue:
            if not self._write(self._queue[0]):
                return
            self._queued -= sum(map(len, self._queue.popleft()))
        self._loop.remove_writer(self._fd)

    def _drop(self, writes: Sequence[Pieces], rule: str) -> None:
        skip = virtio.HEADER if self.takes_trains else 0
        self._dropped([b"".join(pieces)[skip:] for pieces in writes], rule)

    def _lose(self, reason: str) -> None:
        if self._fd >= 0:
            self.close()
            self._closed(reason)


def _buffer() -> memoryview:
    """Not zeroed: that would cost as much as to read."""
    return np.empty(_BUFFER, np.uint8).data
