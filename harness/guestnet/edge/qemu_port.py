"""QEMU's ``-netdev stream``: ethernet frames over a unix stream socket, each after its length (32 bits).

One read takes what is there and gives all whole frames in it, cut from the read buffer without copying:
frames that are alike as a run (``wire.run``), the others as lists, all in order. Who keeps a frame keeps the
buffer, and the next read has another. One write sends as many frames as the socket takes; a run whose frames
have room for their lengths is one piece of octets. What the socket does not take waits in a queue bounded in
octets; what that cannot hold is dropped and told.

Bulk is polled, as busy network cards are (Linux's NAPI): once a read brings much, the socket is looked at
only every ``POLL_INTERVAL`` until a read brings little. A turn of the driver costs as much as several frames,
and so does each of its ACKs in an emulated guest; and a QEMU that waits for the socket needs no word from its
guest for each frame. All that a guest may lose by it is the interval, in the midst of a bulk transfer. One
that would fill the socket meanwhile, so that its processor stood still, is looked at twice as often.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import numpy as np

from guestnet.core.port import Frame
from guestnet.core.time import MICROSECOND
from guestnet.edge.timer import Timer
from guestnet.frames.run import Run

MAX_FRAME: Final = 65536 + 64
"""Octets; QEMU refuses more than its NET_BUFSIZE (68 KiB)."""
READ_BUFFER: Final = 1024 * 1024
LEAST_READ: Final = 448 * 1024
"""Octets: a read has room for all that a socket holds by default."""
BULK: Final = 32 * 1024
"""Octets of a read that are much."""
POLL_INTERVAL: Final = 1000 * MICROSECOND
SHORT_INTERVAL: Final = 500 * MICROSECOND
_FILLS: Final = {POLL_INTERVAL: 320 * 1024, SHORT_INTERVAL: 224 * 1024}
"""Octets of a read after each, that call for the short one."""
QUEUE_LIMIT: Final = 4 << 20
_SMALL: Final = 2048
"""Octets of a frame that are copied rather than gathered."""
_LENGTH: Final = struct.Struct("!I")
_IOV: Final = 1024
_PREFIX: Final = 4 + 14
"""What frames of a run have in common: their length and their ethernet header."""
_RUN: Final = 6
"""Frames that make a run worth its while; ``_LONG_RUN`` of those whose octets cost more than their number."""
_LONG_RUN: Final = 2
_LONG: Final = 8 * 1024
_LONGEST_RUN: Final = 512


class QemuPort:
    """A ``core.port.Port`` on our end of the socketpair, which it owns from now on."""

    takes_trains = False

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        *,
        receive: Callable[[Sequence[Sequence[Frame]]], None],
        dropped: Callable[[Sequence[Frame], str], None],
        closed: Callable[[str], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """``receive`` gets the batches of a read, ``dropped`` frames and why, ``closed`` why QEMU left."""
        self.name = name
        self._sock = sock
        self._fd = sock.fileno()
        self._receive = receive
        self._dropped = dropped
        self._closed = closed
        self._queue_limit = queue_limit
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._buffer = bytearray(READ_BUFFER)
        self._start = 0
        self._end = 0
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, QUEUE_LIMIT)
        self._timer = Timer(self._poll)
        self._interval = POLL_INTERVAL
        self._loop.add_reader(self._fd, self._on_readable)

    @property
    def queued(self) -> int:
        """Octets that wait for the socket."""
        return self._queued

    def send(self, frames: Sequence[Frame]) -> None:
        """As of ``core.port.Port``."""
        if len(frames) == 1 and not self._queue and len(frames[0]) <= _SMALL:
            self._send_one(frames[0])
            return
        if isinstance(frames, Run) and self._send_run(frames):
            return
        pieces: list[memoryview] = []
        octets = self._queued
        for index, frame in enumerate(frames):
            octets += 4 + len(frame)
            if octets > self._queue_limit and (pieces or self._queue):
                # What this write takes off the queue may make room for the rest.
                octets = self._write(pieces) + 4 + len(frame)
                pieces = []
                if octets > self._queue_limit:
                    self._dropped(frames[index:], "queue full")
                    return
            pieces.append(memoryview(_LENGTH.pack(len(frame))))
            pieces.append(memoryview(frame))
        self._write(pieces)

    def _send_one(self, frame: Frame) -> None:
        octets = b"".join((_LENGTH.pack(len(frame)), frame))
        try:
            sent = self._sock.send(octets)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._loop.call_soon(self._lose, f"the cable broke: {error.strerror}")
            return
        if sent < len(octets):
            self._write([memoryview(octets)[sent:]])

    def _send_run(self, run: Run) -> bool:
        octets = run.rows * run.stride
        if run.lead != _LENGTH.size or run.buffer.readonly or self._queued + octets > self._queue_limit:
            return False
        framed = run.preceded(_LENGTH.pack(run.length))
        self._write([framed.buffer[framed.offset : framed.offset + octets]])
        return True

    def close(self) -> None:
        """As of ``core.port.Port``; idempotent. What is queued is lost, as in a cable that is pulled out."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._timer.close()
        self._fd = -1
        self._sock.close()
        self._queue.clear()
        self._queued = 0

    def _on_readable(self) -> None:
        if self._read() >= BULK and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._interval = POLL_INTERVAL
            self._timer.set(self._interval)

    def _poll(self) -> None:
        octets = self._read()
        if octets >= BULK:
            if self._fd >= 0:
                fills = octets >= _FILLS[self._interval]
                self._interval = SHORT_INTERVAL if fills else POLL_INTERVAL
                self._timer.set(self._interval)
        elif self._fd >= 0:
            self._loop.add_reader(self._fd, self._on_readable)

    def _read(self) -> int:
        """Take what is there, and give its frames away; the octets read."""
        buffer = memoryview(self._buffer)
        try:
            count = self._sock.recv_into(buffer[self._end :])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(f"the cable broke: {error.strerror}")
            return 0
        if count == 0:
            self._lose("the other end closed the cable")
            return 0
        self._end += count
        batches, self._start = self._cut(buffer, self._end)
        if self._start < 0:
            self._lose("the other end does not speak QEMU's framing")
            return 0
        del buffer
        if batches:
            self._receive(batches)
            del batches
        self._start_over()
        return count

    def _cut(self, buffer: memoryview, end: int) -> tuple[list[Sequence[Frame]], int]:
        """All whole frames, and where the first that is not whole begins; -1 when a length makes no sense."""
        start = self._start
        if 4 < end - start < BULK and start + 4 + _LENGTH.unpack_from(buffer, start)[0] == end:
            return [[buffer[start + 4 : end]]], end  # one frame alone
        batches: list[Sequence[Frame]] = []
        frames: list[Frame] = []
        while end - start >= 4:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME:
                start = -1
                break
            stride = 4 + length
            if start + stride > end:
                break
            count = _alike(buffer, start, stride, (end - start) // stride)
            if count < _least(stride):
                frames.append(buffer[start + 4 : start + stride])
                start += stride
                continue
            if frames:
                batches.append(frames)
                frames = []
            batches.append(Run(buffer, start + 4, stride, length, count))
            start += count * stride
        if frames:
            batches.append(frames)
        return batches, start

    def _start_over(self) -> None:
        """Make room: in the same buffer, which the processor's cache has, unless frames in it are kept."""
        buffer = self._buffer
        try:
            # A bytearray that others look into can't change its size.
            buffer.append(buffer.pop())
        except BufferError:
            if READ_BUFFER - self._end >= LEAST_READ:
                return
            self._buffer = bytearray(READ_BUFFER)
        rest = buffer[self._start : self._end]
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _write(self, pieces: list[memoryview]) -> int:
        """Queue ``pieces`` and send what the socket takes; the octets that are left."""
        waiting = bool(self._queue)
        self._queue.extend(pieces)
        self._queued += sum(map(len, pieces))
        if not waiting and self._flush():
            self._loop.add_writer(self._fd, self._on_writable)
        return self._queued

    def _on_writable(self) -> None:
        if not self._flush() and self._fd >= 0:
            self._loop.remove_writer(self._fd)

    def _flush(self) -> bool:
        """Send from the queue; whether something is left for when the socket is writable again."""
        queue = self._queue
        while queue:
            try:
                sent = self._sock.sendmsg(list(islice(queue, _IOV)))
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                self._loop.call_soon(self._lose, f"the cable broke: {error.strerror}")
                queue.clear()
                self._queued = 0
                return False
            self._queued -= sent
            while sent:
                piece = queue.popleft()
                if len(piece) > sent:
                    queue.appendleft(piece[sent:])
                    return True
                sent -= len(piece)
        return False

    def _lose(self, reason: str) -> None:
        if self._fd >= 0:
            self.close()
            self._closed(reason)


def _alike(buffer: memoryview, start: int, stride: int, most: int) -> int:
    """How many frames from ``start`` on have the length and the ethernet header of the first; 1 if few."""
    least = _least(stride)
    if most < least or stride < _PREFIX:
        return 1
    last = start + (least - 1) * stride
    if buffer[last : last + _PREFIX] != buffer[start : start + _PREFIX]:
        return 1
    prefixes = np.ndarray((min(most, _LONGEST_RUN), _PREFIX), np.uint8, buffer, start, (stride, 1))
    other = (prefixes != prefixes[0]).any(axis=1)
    return int(other.argmax()) or len(prefixes)


def _least(stride: int) -> int:
    return _RUN if stride < _LONG else _LONG_RUN


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Our end and the end for QEMU, which is to be passed to it as a descriptor."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    # Their send buffer bounds how much one read of ours can return.
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_LIMIT)
    return ours, theirs
