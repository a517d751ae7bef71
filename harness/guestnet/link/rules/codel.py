"""CoDel, controlled delay: which frames to drop at the head of a queue (RFC 8289 section 5).

The variables, and the order in which they change, are those of the RFC's pseudocode, so that the two can be
laid side by side; only the clock is an argument, and an integer. ``maxpacket`` follows the largest frame
seen, as the RFC permits.
"""

from math import sqrt
from typing import Protocol

from guestnet.core.errors import DescriptionError
from guestnet.link.item import Item
from guestnet.link.quantities import duration, show_duration
from guestnet.link.rules.base import Duration, Kind, a_delay

Entry = tuple[int, Item]
"""When it was queued, and the frame."""


class Codel(Kind, frozen=True):
    """Controlled delay (RFC 8289): frames that waited too long are dropped at the head of the queue."""

    target: Duration = "5ms"
    interval: Duration = "100ms"

    def check(self) -> None:
        if not 0 < a_delay(self.target) <= a_delay(self.interval):
            raise DescriptionError("the target is 0, or above the interval", remedy="give 5% to 10% of it")

    def show(self) -> str:
        return f"CoDel {show_duration(duration(self.target))} {show_duration(duration(self.interval))}"

    def build(self) -> "ControlledDelay":
        """What carries it out."""
        return ControlledDelay(duration(self.target), duration(self.interval))


class Source(Protocol):
    """The queue under it."""

    octets: int

    def pop(self) -> Entry | None:
        """The head, None when there is none."""

    def drop(self, entry: Entry, now: int) -> None:
        """Lose what ``pop`` gave."""


class ControlledDelay:
    """The state of RFC 8289 5.1; ``target`` and ``interval`` in nanoseconds."""

    def __init__(self, target: int, interval: int) -> None:
        self._target = target
        self._interval = interval
        self._maxpacket = 512
        self._first_above_time = 0
        self._drop_next = 0
        self._count = 0
        self._lastcount = 0
        self._dropping = False

    def dequeue(self, source: Source, now: int) -> Entry | None:
        """The frame to send at ``now``, None when all are gone; others may have been dropped (5.2)."""
        entry, ok_to_drop = self._dodequeue(source, now)
        if self._dropping:
            if not ok_to_drop:
                self._dropping = False
            while entry is not None and self._dropping and now >= self._drop_next:
                source.drop(entry, now)
                self._count += 1
                entry, ok_to_drop = self._dodequeue(source, now)
                if not ok_to_drop:
                    self._dropping = False
                else:
                    self._drop_next = self._control_law(self._drop_next)
        elif ok_to_drop and entry is not None:
            source.drop(entry, now)
            entry, ok_to_drop = self._dodequeue(source, now)
            self._dropping = True
            delta = self._count - self._lastcount
            self._count = 1
            if delta > 1 and now - self._drop_next < 16 * self._interval:
                self._count = delta
            self._drop_next = self._control_law(now)
            self._lastcount = self._count
        return entry

    def _dodequeue(self, source: Source, now: int) -> tuple[Entry | None, bool]:
        """The head, and whether it stayed too long for too long (5.3)."""
        entry = source.pop()
        if entry is None:
            self._first_above_time = 0
            return None, False
        self._maxpacket = max(self._maxpacket, len(entry[1][0]))
        if now - entry[0] < self._target or source.octets <= self._maxpacket:
            self._first_above_time = 0
        elif self._first_above_time == 0:
            self._first_above_time = now + self._interval
        elif now >= self._first_above_time:
            return entry, True
        return entry, False

    def _control_law(self, time: int) -> int:
        return time + int(self._interval / sqrt(self._count))
