"""Send and receive buffers: lists of octet runs, cut and never copied where that can be.

Runs are immutable and kept as they came; those in order are read in the turn that brings them. One that came
early and is a small part of a larger buffer (one segment in what a whole read returned) is copied, or it
would keep the whole alive; neighbouring small writes are joined, or a buffer of single octets would cost more
than it holds.
"""

from bisect import bisect_right
from typing import Final

from guestnet.wire.octets import Octets, own, view

_JOIN_BELOW: Final = 2048


class SendBuffer:
    """Octets from the first unacknowledged one to the last written; positions are sequence numbers."""

    __slots__ = ("_runs", "_starts", "capacity", "end", "start")

    def __init__(self, start: int, capacity: int) -> None:
        self.start = start
        self.end = start
        self.capacity = capacity
        self._starts: list[int] = []
        self._runs: list[Octets] = []

    @property
    def room(self) -> int:
        """Octets that still fit."""
        return self.capacity - (self.end - self.start)

    def write(self, data: Octets) -> None:
        """Append ``data``, which must not change afterwards. Raises ValueError beyond ``room``."""
        if len(data) > self.room:
            raise ValueError(f"{len(data)} octets written where {self.room} fit")
        if not data:
            return
        if self._runs and len(self._runs[-1]) + len(data) < _JOIN_BELOW:
            self._runs[-1] = b"".join((self._runs[-1], data))
        else:
            self._starts.append(self.end)
            self._runs.append(memoryview(data))
        self.end += len(data)

    def acknowledge(self, seq: int) -> None:
        """Forget what is before ``seq``."""
        self.start = seq
        drop = bisect_right(self._starts, seq) - 1
        if drop >= 0 and self._starts[drop] + len(self._runs[drop]) <= seq:
            drop += 1
        if drop > 0:
            del self._starts[:drop]
            del self._runs[:drop]

    def peek(self, seq: int, length: int) -> memoryview:
        """``length`` octets from ``seq`` on: copied only when they lie in several runs."""
        if length <= 0:
            return memoryview(b"")
        index = bisect_right(self._starts, seq) - 1
        offset = seq - self._starts[index]
        run = self._runs[index]
        if offset + length <= len(run):
            return memoryview(run)[offset : offset + length]
        pieces = []
        while length > 0:
            piece = memoryview(self._runs[index])[offset : offset + length]
            pieces.append(piece)
            length -= len(piece)
            index += 1
            offset = 0
        return memoryview(b"".join(pieces))


class ReceiveBuffer:
    """Octets in order and not yet read, and those that came too early.

    ``blocks`` are the ranges of the latter, the most recently extended first: the order in which SACK
    reports them (RFC 2018 4).
    """

    __slots__ = ("_early", "_early_starts", "_limit", "_runs", "blocks", "readable")

    def __init__(self, limit: int) -> None:
        self.readable = 0
        self.blocks: list[tuple[int, int]] = []
        self._runs: list[memoryview] = []  # an empty deque would take as much as all the rest
        self._early_starts: list[int] = []
        self._early: list[memoryview] = []
        self._limit = limit

    def insert(self, seq: int, data: memoryview, expected: int) -> int:
        """Take the octets of a segment; returns the next one ``expected`` then.

        The caller has cut ``data`` to the window. Where octets come twice the first ones stay.
        """
        if seq > expected:
            self._keep_early(seq, data)
            return expected
        if seq < expected:
            data = data[expected - seq :]
        if not data:
            return expected
        self._append(data)
        expected += len(data)
        return self._drain(expected) if self._early_starts else expected

    def read(self, limit: int) -> list[memoryview]:
        """Up to ``limit`` octets in order."""
        runs = self._runs
        if limit >= self.readable:
            self._runs = []
            self.readable = 0
            return runs
        self.readable -= max(limit, 0)
        taken: list[memoryview] = []
        while limit > 0:
            run = runs[len(taken)]
            taken.append(run[:limit])
            limit -= len(run)
        if limit < 0 and taken:
            runs[len(taken) - 1] = runs[len(taken) - 1][limit:]
            del runs[: len(taken) - 1]
        else:
            del runs[: len(taken)]
        return taken

    def _append(self, data: memoryview) -> None:
        self._runs.append(data)
        self.readable += len(data)

    def _drain(self, expected: int) -> int:
        starts, early = self._early_starts, self._early
        count = 0
        for start, data in zip(starts, early, strict=True):
            if start > expected:
                break
            count += 1
            if start + len(data) > expected:
                self._append(data[expected - start :])
                expected = start + len(data)
        if count:
            del starts[:count]
            del early[:count]
            self.blocks = [block for block in self.blocks if block[1] > expected]
        return expected

    def _keep_early(self, seq: int, data: memoryview) -> None:
        starts, early = self._early_starts, self._early
        if not data or len(starts) >= self._limit:
            return
        first, end = seq, seq + len(data)
        index = bisect_right(starts, seq)
        if index and (before := starts[index - 1] + len(early[index - 1])) > seq:
            data, seq = data[before - seq :], before
        while data:
            gap = (starts[index] if index < len(starts) else end) - seq
            if gap > 0:
                starts.insert(index, seq)
                early.insert(index, view(own(data[:gap])))
                index += 1
            if index >= len(starts):
                break
            behind = starts[index] + len(early[index])
            data, seq = data[max(behind - seq, 0) :], max(behind, seq)
            index += 1
        self._note_block(first, end)

    def _note_block(self, start: int, end: int) -> None:
        apart = []
        for block in self.blocks:
            if block[1] < start or block[0] > end:
                apart.append(block)
            else:
                start, end = min(start, block[0]), max(end, block[1])
        self.blocks = [(start, end), *apart]
