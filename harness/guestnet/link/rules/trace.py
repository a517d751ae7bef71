"""Delivery traces in mahimahi's format (R. Netravali et al., "Mahimahi: Accurate Record-and-Replay", 2015).

A line is a time in whole milliseconds from the start, at which 1,500 octets of IP packets may be delivered;
the same time twice means twice as much. Lines are in order, and the last one is the length of the trace: then
it begins again. What nobody uses is lost, but a packet may use several opportunities, and several packets one
(mm-link(1) and its link_queue.cc). The ethernet header of a frame does not count.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND
from guestnet.link.item import Arrival, Item
from guestnet.link.rules.base import Kind
from guestnet.link.rules.queue import Queue

OPPORTUNITY: Final = 1500
"""Octets."""
_ETHERNET: Final = 14
_LONGEST: Final = 10_000_000


class Trace(Kind, frozen=True):
    """Delivery opportunities, in milliseconds, or the text of a file of them; the text is read once."""

    times: str | tuple[int, ...]

    def __post_init__(self) -> None:
        if isinstance(self.times, str):
            msgspec.structs.force_setattr(self, "times", parse_trace(self.times, "trace"))
        else:
            self.check()

    def check(self) -> None:
        times = self.each
        if not times or times[-1] <= 0 or times[0] < 0 or any(a > b for a, b in pairwise(times)):
            raise DescriptionError(
                "its times are not in order, or last no time",
                remedy="give milliseconds from 0 up, the last above 0",
            )

    @property
    def each(self) -> tuple[int, ...]:
        """The times."""
        assert not isinstance(self.times, str), "they were read when this was made"
        return self.times

    def show(self) -> str:
        return f"of {len(self.each)} in {self.each[-1]} ms"

    def server(self, now: int) -> "Delivering":
        """What serves a queue from ``now`` on."""
        return Delivering(Opportunities(self.each, now))


def parse_trace(text: str, file: str) -> tuple[int, ...]:
    """The times in ``text``, in ms. Raises DescriptionError with the line."""
    times: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{file}:{number}"
        line = line.strip()
        if not (line.isascii() and line.isdigit() and len(line) < 12):
            raise DescriptionError(f"{where}: {line[:40]!r} is no time", remedy="write whole milliseconds")
        time = int(line)
        if times and time < times[-1]:
            raise DescriptionError(
                f"{where}: {time} ms comes after {times[-1]} ms", remedy="put the times in order"
            )
        times.append(time)
        if len(times) > _LONGEST:
            raise DescriptionError(
                f"{where}: the trace is too long", remedy=f"give {_LONGEST:,} lines at most"
            )
    if not times or times[-1] == 0:
        raise DescriptionError(f"{file}: the trace lasts no time", remedy="write a last line above 0")
    return tuple(times)


class Opportunities:
    """Of a trace that repeats from ``start`` on."""

    def __init__(self, times: Sequence[int], start: int) -> None:
        self._times = times
        self._length = times[-1] * MILLISECOND
        self._start = start
        self._round = 0
        self._index = 0

    @property
    def next_at(self) -> int:
        """The time of the next one."""
        return self._start + self._round * self._length + self._times[self._index] * MILLISECOND

    def use(self) -> None:
        """Take the next one."""
        self._index += 1
        if self._index == len(self._times):
            self._index = 0
            self._round += 1

    def skip(self, now: int) -> None:
        """Let those up to ``now`` pass by."""
        if self.next_at > now:
            return
        self._round, rest = divmod(now - self._start, self._length)
        self._index = bisect_right(self._times, rest // MILLISECOND)
        if self._index == len(self._times):
            self._index = 0
            self._round += 1


class Delivering:
    """The ``opportunities`` of a delivery trace."""

    def __init__(self, opportunities: Opportunities) -> None:
        self._opportunities = opportunities
        self._under_way: Item | None = None
        self._missing = 0

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
        while queue or self._under_way is not None:
            if self._under_way is None:
                # An arrival can't use an opportunity of its own moment: that was over before it came.
                self._opportunities.skip(queue.head[0])
            at = self._opportunities.next_at
            if at > now:
                return
            self._opportunities.use()
            self._use(queue, at, out)

    def poll_at(self, queue: Queue) -> int | None:
        return self._opportunities.next_at if queue or self._under_way is not None else None

    def _use(self, queue: Queue, at: int, out: list[Arrival]) -> None:
        left = OPPORTUNITY
        while left > 0:
            if self._under_way is None:
                entry = queue.take(at)
                if entry is None:
                    return
                self._under_way = entry[1]
                self._missing = max(len(entry[1][0]) - _ETHERNET, 1)
            used = min(left, self._missing)
            left -= used
            self._missing -= used
            if not self._missing:
                out.append((at, self._under_way))
                self._under_way = None
