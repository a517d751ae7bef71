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

from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND, duration

OPPORTUNITY: Final = 1500
"""Octets."""
_LONGEST: Final = 10_000_000


def parse_trace(text: str, file: str) -> tuple[int, ...]:
    """The times in ``text``, in ms, for ``Impairments.trace``. Raises DescriptionError with the line."""
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


def times_of(trace: str | Sequence[int]) -> tuple[int, ...]:
    """Those of a trace, or of the text of one. Raises DescriptionError when they can't be."""
    if isinstance(trace, str):
        return parse_trace(trace, "trace")
    if not trace or trace[-1] <= 0 or trace[0] < 0 or any(a > b for a, b in pairwise(trace)):
        raise DescriptionError(
            "its times are not in order, or last no time",
            remedy="give milliseconds from 0 up, the last above 0",
        )
    return tuple(trace)


def parse_delays(text: str, file: str) -> tuple[str, ...]:
    """The delays of a file with one, as "12.5ms", in each line. Raises DescriptionError with the line."""
    delays = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            duration(line)
        except DescriptionError as error:
            raise DescriptionError(f"{file}:{number}: {error.message}", remedy=error.remedy) from error
        delays.append(line.strip())
    return tuple(delays)


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
