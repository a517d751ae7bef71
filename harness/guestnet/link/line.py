"""The line in which frames wait for the end of their delay.

It is one sorted list. Frames that keep their order are appended; others are put where they belong. What is
due is cut off its front in one go. Times are in nanoseconds.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import Final

from guestnet.link.filter.headers import Check, Headers
from guestnet.link.item import Arrival, Item
from guestnet.link.rules.delay import Draw, constant
from guestnet.link.verdicts import Verdicts

MOST_FRAMES: Final = 1 << 17
MOST_OCTETS: Final = 64 << 20
"""What one direction holds for its delay: a second at half a gigabit."""

Entry = tuple[int, int, Item, str]
"""When it is due; a number, so that equal times keep their order; the frame; what held it, in words."""


class DelayLine:
    """Holds frames until they are due. ``set`` says how long; at first not at all."""

    def __init__(self) -> None:
        self._held: list[Entry] = []
        self._octets = 0
        self._number = 0
        self._last = 0
        self.last_arrival = 0
        """When the newest frame came: with a rate before the line, the end of what that sends."""
        self._fixed: int | None = 0
        self._draw: Draw = constant(0)
        self._name = "delay"
        self._check: Check | None = None
        self._keep_order = True
        self.by = ""
        """What holds frames that come from now on, for their comments."""

    def set(self, name: str, draw: Draw, *, fixed: int | None, check: Check | None, keep_order: bool) -> None:
        """For frames that come from now on; ``fixed`` is their delay when ``draw`` always gives the same."""
        self._name = name
        self._draw = draw
        self._fixed = fixed
        self._check = check
        self._keep_order = keep_order

    def push(self, arrivals: Iterable[Arrival], verdicts: Verdicts) -> None:
        """Items arrive, in order."""
        held, draw, check, keep_order = self._held, self._draw, self._check, self._keep_order
        fixed = self._fixed if check is None else None
        add, by = verdicts.delays(self._name).add, self.by
        for at, item in arrivals:
            size = len(item[0])
            if len(held) >= MOST_FRAMES or self._octets + size > MOST_OCTETS:
                verdicts.lost(item, f"{self._name}: the line is full", at)
                continue
            self.last_arrival = at
            spared = check is not None and not check(Headers(item[0]))
            due = at + fixed if fixed is not None else at if spared else at + draw(at)
            self._number += 1
            self._octets += size
            if due >= self._last:
                self._last = due
                held.append((due, self._number, item, by))
            elif keep_order and not spared:
                due = self._last
                held.append((due, self._number, item, by))
            else:
                insort(held, (due, self._number, item, by))
            if due > at:
                add(item[3], at, due - at)

    def take(self, now: int) -> list[Entry]:
        """What is due at ``now``, in order."""
        held = self._held
        if not held or held[0][0] > now:
            return []
        count = bisect_right(held, now, key=lambda entry: entry[0])
        due = held[:count]
        del held[:count]
        self._octets -= sum(len(entry[2][0]) for entry in due)
        return due

    def poll_at(self) -> int | None:
        """When the first is due."""
        return self._held[0][0] if self._held else None
