"""Delay: how long each frame is held, and the line in which it waits.

Every distribution draws one number a frame and turns it over its inverse (so a change of parameters does not
shift the luck of other frames); jitter draws from a stream of its own. Times are in nanoseconds.

The line is one sorted list. Frames that keep their order are appended; others are put where they belong. What
is due is cut off its front in one go.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist
from typing import Final

from guestnet.core.rng import Stream
from guestnet.link.headers import Headers
from guestnet.link.item import Arrival, Item
from guestnet.link.terms import Check
from guestnet.link.verdicts import Verdicts

MOST_FRAMES: Final = 1 << 17
MOST_OCTETS: Final = 64 << 20
"""What one direction holds for its delay: a second at half a gigabit."""

Draw = Callable[[int], int]
"""The delay of the next frame, which enters at the time given."""
Entry = tuple[int, int, Item, str]
"""When it is due; a number, so that equal times keep their order; the frame; what held it, in words."""


# Distributions


def constant(delay: int) -> Draw:
    """Always ``delay``."""
    return lambda now: delay


def uniform(stream: Stream, least: int, most: int) -> Draw:
    """Between the two."""
    random, width = stream.random, most - least
    return lambda now: least + int(random() * width)


def normal(stream: Stream, mean: int, deviation: int) -> Draw:
    """Gauss's bell, cut off at nothing."""
    if not deviation:
        return constant(mean)
    random, inverse = stream.random, NormalDist(mean, deviation).inv_cdf
    # 0 has no inverse; random() never returns 1.
    return lambda now: max(int(inverse(random() or 0.5)), 0)


def pareto(stream: Stream, least: int, shape: float, most: int) -> Draw:
    """P(delay > x) = (least / x) ** shape."""
    random, power = stream.random, -1 / shape
    return lambda now: int(min(least * (1 - random()) ** power, most))


def recorded(delays: Sequence[int], every: int | None, start: int) -> Draw:
    """One after the other, a frame each or for ``every`` nanoseconds from ``start`` on; then again."""
    if every is not None:
        return lambda now: delays[(now - start) // every % len(delays)]
    index = -1

    def draw(now: int) -> int:
        nonlocal index
        index = (index + 1) % len(delays)
        return delays[index]

    return draw


def jittered(draw: Draw, stream: Stream, jitter: int) -> Draw:
    """``draw``, up to ``jitter`` more or less, and never less than nothing."""
    random, width = stream.random, 2 * jitter
    return lambda now: max(draw(now) - jitter + int(random() * width), 0)


# The line


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
