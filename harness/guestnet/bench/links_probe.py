"""The two ends of a link in one process: ``python -P -m guestnet.bench.links_probe``, on the laptop of a lab.

An `Order` in JSON comes by standard input, a `Seen` goes to standard output. Datagrams carry their number and
the time of their sending; when they arrive is what the kernel says (SO_TIMESTAMPNS), so that neither a slow
reader nor a slow start counts as delay.
"""

import array
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from guestnet.system import namespace

PORT: Final = 5401
_SO_TIMESTAMPNS: Final = 35
_STAMP: Final = struct.Struct("@ll")
_HEAD: Final = struct.Struct("=Iq")
_BUFFER: Final = 4 << 20
_NAP: Final = 200_000
"""Nanoseconds; for less there is no sleep, and more than one is sent at once then."""
_RECEIVED: Final = 256
"""Datagrams that are read between two that are sent, at most."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Send ``count`` datagrams of ``size`` octets to ``address``, ``rate`` a second; 0 is as many as can be.

    ``namespace`` is the path of that of the receiver, ``device`` its interface; wait ``linger`` seconds for
    the last. ``numbers``: tell which came.
    """

    address: str
    namespace: str
    device: str
    count: int
    rate: float
    size: int = 64
    linger: float = 0.3
    numbers: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came. Times in ns: the ``delays``, when the ``first`` and the ``last`` came.

    ``sending``: seconds in which all was sent. ``late``: how much later than it wanted the sender woke up, in
    ns: what this machine does to everybody who waits for a time. ``frames`` and ``octets`` are what the
    receiver's device counted, ``numbers`` those that came, if they were wanted.
    """

    sending: float
    delays: list[int]
    late: list[int]
    first: int
    last: int
    frames: int
    octets: int
    numbers: list[int] = []


class Probe:
    """Both sockets, and what came so far."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._there = os.open(order.namespace, os.O_RDONLY | os.O_CLOEXEC)
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender.connect((order.address, PORT))
        with namespace.inside(self._there):
            self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        for option in (socket.SO_RCVBUF, 33):  # SO_RCVBUFFORCE, for who may
            try:
                self._receiver.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            except PermissionError:
                continue
        self._receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._receiver.bind((order.address, PORT))
        self._delays = array.array("q")
        self._late = array.array("q")
        self._numbers = array.array("L")
        self._first = self._last = 0

    def run(self) -> Seen:
        """Send and receive everything."""
        order = self._order
        before = self._counters()
        padding = bytes(max(order.size - _HEAD.size, 0))
        wait = select.poll()
        wait.register(self._receiver, select.POLLIN)
        step = 1e9 / order.rate if order.rate else 0.0
        began = time.monotonic_ns()
        for number in range(order.count):
            if step:
                due = began + round(number * step)
                if (left := due - time.monotonic_ns()) > _NAP:
                    time.sleep(left / 1e9)
                    self._late.append(time.monotonic_ns() - due)
                    self._receive()
            if not number % 64:
                self._receive()
            try:
                self._sender.send(_HEAD.pack(number, time.time_ns()) + padding)
            except OSError:
                continue  # what does not even leave is lost, too
        sending = time.monotonic_ns() - began
        until = time.monotonic() + order.linger
        while (seconds := until - time.monotonic()) > 0:
            if wait.poll(seconds * 1000):
                self._receive()
                until = time.monotonic() + order.linger
        after = self._counters()
        return Seen(
            sending=sending / 1e9, delays=self._delays.tolist(), late=self._late.tolist(),
            first=self._first, last=self._last,
            frames=after[0] - before[0], octets=after[1] - before[1],
            numbers=self._numbers.tolist() if order.numbers else [],
        )  # fmt: skip

    def _receive(self) -> None:
        for _ in range(_RECEIVED):
            try:
                data, ancillary, _, _ = self._receiver.recvmsg(2048, 64)
            except BlockingIOError:
                return
            number, sent = _HEAD.unpack_from(data)
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2][: _STAMP.size])
            at = seconds * 1_000_000_000 + nanoseconds
            self._first = self._first or at
            self._last = at
            self._delays.append(at - sent)
            self._numbers.append(number)

    def _counters(self) -> tuple[int, int]:
        """Frames and octets that the receiver's device has received."""
        with namespace.inside(self._there):
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
        for line in lines:
            name, _, rest = line.partition(":")
            if name.strip() == self._order.device:
                fields = rest.split()
                return int(fields[1]), int(fields[0])
        raise SystemExit(f"there is no {self._order.device}")


if __name__ == "__main__":
    seen = Probe(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)).run()
    sys.stdout.buffer.write(msgspec.json.encode(seen))
