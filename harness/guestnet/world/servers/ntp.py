"""An NTP server (RFC 5905): what it answers to a client's packet."""

import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from guestnet.world.servers.access import Log
from guestnet.world.servers.streams import show

EPOCH: Final = 2_208_988_800
"""Seconds between NTP's epoch, 1900, and Unix's (RFC 5905 section 6, figure 4)."""

_HEADER: Final = struct.Struct("!BBbbII4sQQQQ")
_CLIENT: Final = 3
_SERVER: Final = 4
_STRATUM: Final = 1
_PRECISION: Final = -20
_BATCH: Final = 64
_LARGEST: Final = 2048


def answer(request: bytes, now: int) -> bytes | None:
    """What a server at ``now`` (ns since Unix's epoch) sends to ``request``; None to what asks for no time
    (RFC 5905 section 9.2, modes)."""
    if len(request) < _HEADER.size:
        return None
    first, _, poll, *_, transmitted = _HEADER.unpack_from(request)
    version, mode = first >> 3 & 7, first & 7
    if mode != _CLIENT or not 1 <= version <= 4:
        return None
    stamp = timestamp(now)
    return _HEADER.pack(
        version << 3 | _SERVER, _STRATUM, poll, _PRECISION, 0, 1, b"GNET", stamp, transmitted, stamp, stamp
    )


def timestamp(now: int) -> int:
    """``now`` (ns since Unix's epoch) in NTP's 32 bits of seconds and 32 of fraction, in its era."""
    seconds, rest = divmod(now, 1_000_000_000)
    return ((seconds + EPOCH) % 2**32) << 32 | (rest << 32) // 1_000_000_000


class Clock:
    """The lab's time in the server process: the monotonic clock, and how far the lab's is from it (ns)."""

    def __init__(self, distance: int) -> None:
        self.distance = distance

    def now(self) -> int:
        """Nanoseconds since Unix's epoch."""
        return time.monotonic_ns() + self.distance


class NtpServer:
    """Answers on a bound socket with what ``now`` tells; ``readable`` is to be called when it is."""

    def __init__(self, name: str, bound: socket.socket, log: Log, now: Callable[[], int]) -> None:
        self._name = name
        self._socket = bound
        self._log = log
        self._now = now

    def readable(self) -> None:
        """Answer what has come."""
        for _ in range(_BATCH):
            try:
                request, address = self._socket.recvfrom(_LARGEST)
                reply = answer(request, self._now())
                if reply is not None:
                    self._socket.sendto(reply, address)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer, or a client that can't be answered
                continue
            self._log(self._name, show(address), "ntp", "ignored" if reply is None else "time")
