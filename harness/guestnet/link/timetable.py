"""A schedule that is under way: which step comes next, and when."""

from guestnet.core.time import duration
from guestnet.link.settings import Schedule, Step

_BEHIND = 1000
"""Rounds of a repeated schedule that are caught up with one by one; of more, only the last."""


class Timetable:
    """``schedule`` from ``start`` on; ``next_at`` is the time of the next step, None after the last."""

    def __init__(self, schedule: Schedule, start: int) -> None:
        self._steps = [(duration(step.at), step) for step in schedule.steps]
        self._round = None if schedule.repeat is None else duration(schedule.repeat)
        self._start = start
        self._index = 0
        self.next_at: int | None = start + self._steps[0][0]

    def take(self, now: int) -> Step:
        """The next step; ``now`` is how far the caller wants to get."""
        _, step = self._steps[self._index]
        self._index += 1
        if self._index == len(self._steps):
            if self._round is None:
                self.next_at = None
                return step
            self._index = 0
            # After a long sleep the rounds that nobody saw end as each of them does.
            missed = (now - self._start) // self._round - 1
            self._start += self._round * (missed if missed > _BEHIND else 1)
        self.next_at = self._start + self._steps[self._index][0]
        return step
