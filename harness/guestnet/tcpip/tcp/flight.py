"""What was sent and is not acknowledged, as runs of octets: when each was sent and what became of it.

RFC 8985 5.2 keeps this for every segment. Here a run is all that was sent at one time and is still in the
same case: a whole batch of segments at first, cut where the peer's SACK or a retransmission parts it.
Every run is ``SENT`` (believed to be in the network), ``LOST`` (to be sent again) or ``SACKED`` (RFC 2018:
the peer has it). So ``pipe`` of RFC 6675 4 is the count of octets in SENT runs.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

SENT: Final = 0
LOST: Final = 1
SACKED: Final = 2

_MAX_RUNS: Final = 2048
"""A peer may SACK single octets: what would cut more runs than this is not noted, which is always safe."""
_start = attrgetter("start")


class Run:
    """Octets [start, end). ``again``: sent more than once; ``size``: how long its segments are at most.

    ``order`` numbers what was sent: many runs may have the same ``sent_at``.
    """

    __slots__ = ("again", "end", "mark", "order", "sent_at", "size", "start")

    def __init__(self, start: int, end: int, sent_at: int, order: int, size: int) -> None:
        self.start = start
        self.end = end
        self.sent_at = sent_at
        self.order = order
        self.size = size
        self.mark = SENT
        self.again = False

    def cut(self, at: int) -> "Run":
        """Keep what is before ``at``; returns the rest."""
        rest = Run(at, self.end, self.sent_at, self.order, self.size)
        rest.mark = self.mark
        rest.again = self.again
        self.end = at
        return rest


class Delivered(NamedTuple):
    """Octets that an acknowledgment reports for the first time: their last one, and how they were sent."""

    end: int
    sent_at: int
    order: int
    again: bool


class Flight:
    """The runs of [snd_una, snd_nxt), in order and without gaps. ``pipe``, ``lost``, ``sacked``: octets."""

    __slots__ = ("_lost_from", "_order", "lost", "pipe", "runs", "sacked")

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.pipe = 0
        self.lost = 0
        self.sacked = 0
        self._lost_from = 0
        self._order = 0

    @property
    def latest(self) -> int:
        """The ``order`` of what was sent last."""
        return self._order

    def add(self, start: int, end: int, now: int, size: int) -> None:
        """New octets are sent."""
        self._order += 1
        self.runs.append(Run(start, end, now, self._order, size))
        self.pipe += end - start

    def acknowledge(self, ack: int) -> list[Delivered]:
        """Everything before ``ack`` has arrived; returns what was not known of, in order."""
        delivered = []
        done = 0
        for run in self.runs:
            start, end = run.start, run.end
            if start >= ack:
                break
            if end <= ack:
                done += 1
            else:
                run.start = end = ack
            if run.mark == SENT:
                self.pipe -= end - start
            elif run.mark == LOST:
                self.lost -= end - start
            else:
                self.sacked -= end - start
                continue
            delivered.append(Delivered(end, run.sent_at, run.order, run.again))
        if done:
            del self.runs[:done]
        return delivered

    def sack(self, left: int, right: int) -> list[Delivered]:
        """The peer has [left, right), which lies in flight; returns what was not known of, in order."""
        runs = self.runs
        if not runs or len(runs) >= _MAX_RUNS:
            return []
        delivered = []
        index = first = max(bisect_right(runs, left, key=_start) - 1, 0)
        while index < len(runs) and runs[index].start < right:
            run = runs[index]
            if run.mark != SACKED:
                if run.start < left:
                    runs.insert(index + 1, run.cut(left))
                    index += 1
                    run = runs[index]
                if run.end > right:
                    runs.insert(index + 1, run.cut(right))
                self._count(run, -1)
                run.mark = SACKED
                self.sacked += run.end - run.start
                delivered.append(Delivered(run.end, run.sent_at, run.order, run.again))
            index += 1
        if delivered:
            self._join(max(first - 1, 0), index + 1)
        return delivered

    def lose(self, runs: Iterable[Run]) -> None:
        """These are lost, or (SACKED ones) were thrown away by the peer: all to be sent again."""
        for run in runs:
            self._count(run, -1)
            run.mark = LOST
            self.lost += run.end - run.start
            self._lost_from = min(self._lost_from, run.start)
        self._join(0, len(self.runs))

    def find(self) -> None:
        """What was taken for lost is in the network after all."""
        for run in self.runs:
            if run.mark == LOST:
                run.mark = SENT
        self.pipe += self.lost
        self.lost = 0

    def lose_before(self, edge: int) -> None:
        """All in the network before ``edge`` is lost."""
        index = bisect_right(self.runs, edge, key=_start) - 1
        if index >= 0 and self.runs[index].start < edge < self.runs[index].end:
            self.runs.insert(index + 1, self.runs[index].cut(edge))
        self.lose([run for run in self.runs if run.mark == SENT and run.end <= edge])

    def first_lost(self) -> Run | None:
        """The first run to be sent again."""
        if self.lost:
            index = max(bisect_right(self.runs, self._lost_from, key=_start) - 1, 0)
            for run in self.runs[index:]:
                if run.mark == LOST:
                    self._lost_from = run.start
                    return run
        return None

    def resend(self, run: Run, length: int, now: int, size: int) -> None:
        """The first ``length`` octets of a run, or all of it, go out once more."""
        if run.start + length < run.end:
            self.runs.insert(self.runs.index(run) + 1, run.cut(run.start + length))
        self._count(run, -1)
        run.mark = SENT
        run.again = True
        self._order += 1
        run.sent_at, run.order = now, self._order
        run.size = size
        self.pipe += run.end - run.start

    def last_segment(self) -> Run:
        """The last segment that was sent, cut off the last run. There must be one."""
        run = self.runs[-1]
        at = run.start + (run.end - run.start - 1) // run.size * run.size
        if at > run.start:
            self.runs.append(run.cut(at))
        return self.runs[-1]

    def _count(self, run: Run, sign: int) -> None:
        octets = sign * (run.end - run.start)
        if run.mark == SENT:
            self.pipe += octets
        elif run.mark == LOST:
            self.lost += octets
        else:
            self.sacked += octets

    def _join(self, low: int, high: int) -> None:
        """Make one of neighbours that are SACKED, or LOST: nobody asks any more when they were sent."""
        joined: list[Run] = []
        for run in self.runs[low:high]:
            if joined and run.mark != SENT and joined[-1].mark == run.mark:
                joined[-1].end = run.end
                joined[-1].size = max(joined[-1].size, run.size)
            else:
                joined.append(run)
        self.runs[low:high] = joined
