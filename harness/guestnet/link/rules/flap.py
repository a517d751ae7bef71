"""A link that goes down and up. A frame's fate is computed from its own time; what `Flapping` says of the
changes is for the journal."""

from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.link.quantities import duration, show_duration
from guestnet.link.rules.base import Duration, Kind

_FAST: Final = 100 * MILLISECOND
"""Of links that go down and up within less, only the number of changes is told, once a second."""
_BEHIND: Final = 1000
"""What is told one by one after a jump of the clock; of more, only how many."""


class Flap(Kind, frozen=True):
    """Up for ``up``, then down for ``down``, over and over from when it is set."""

    up: Duration
    down: Duration

    def check(self) -> None:
        for name, time in (("up", self.up), ("down", self.down)):
            if duration(time) < MILLISECOND:
                raise DescriptionError(f"{name} is {time!r}", remedy="give 1 ms at least")

    def show(self) -> str:
        return f"{show_duration(duration(self.up))} up, {show_duration(duration(self.down))} down"


class Flapping:
    """``flap`` from ``start`` on; ``next_at`` is when there is something to tell."""

    def __init__(self, flap: Flap, start: int) -> None:
        self.key = (flap, start)
        """Equal where two links go down and up together."""
        self._start = start
        self._up = duration(flap.up)
        self._round = self._up + duration(flap.down)
        self._is_fast = self._round < _FAST
        self._told = 0
        self.next_at = (start // SECOND + 1) * SECOND if self._is_fast else self._time_of(1)

    def take(self, now: int) -> str:
        """What there is to tell at ``next_at``; ``now`` is how far the caller wants to get."""
        if self._is_fast:
            until = now // SECOND * SECOND if now - self.next_at > _BEHIND * SECOND else self.next_at
            self.next_at = until + SECOND
            return self._tell_number(self._changes(until))
        changes = self._changes(now)
        if changes - self._told > _BEHIND:
            self.next_at = self._time_of(changes + 1)
            return self._tell_number(changes)
        self._told += 1
        self.next_at = self._time_of(self._told + 1)
        return "flap: down" if self._told % 2 else "flap: up"

    def _tell_number(self, changes: int) -> str:
        count, self._told = changes - self._told, changes
        return f"flap: {count} changes"

    def _changes(self, at: int) -> int:
        """How many there have been by ``at``."""
        rounds, rest = divmod(at - self._start, self._round)
        return 2 * rounds + (rest >= self._up)

    def _time_of(self, change: int) -> int:
        """Of the ``change``-th, from 1; the odd ones go down."""
        return self._start + change // 2 * self._round + (self._up if change % 2 else 0)
