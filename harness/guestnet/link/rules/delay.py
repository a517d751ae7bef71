"""How long each frame is held.

Every distribution draws one number a frame and turns it over its inverse (so a change of parameters does not
shift the luck of other frames); jitter draws from a stream of its own. Times are in nanoseconds.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.rng import Stream
from guestnet.core.time import MILLISECOND
from guestnet.link.quantities import duration, show_duration
from guestnet.link.rules.base import Duration, Rule, Streams, a_delay, within

Draw = Callable[[int], int]
"""The delay of the next frame, which enters at the time given."""


class Delay(Rule, frozen=True):
    """Base of the rules for delays."""

    def draw(self, streams: Streams, now: int) -> Draw:
        """What draws them from ``now`` on."""
        raise NotImplementedError

    @property
    def fixed(self) -> int | None:
        """The delay of every frame, where there is one."""
        return None


class Constant(Delay, frozen=True):
    """``delay`` for every frame."""

    delay: Duration

    def check(self) -> None:
        a_delay(self.delay)

    def show(self) -> str:
        return show_duration(duration(self.delay))

    def draw(self, streams: Streams, now: int) -> Draw:
        return constant(duration(self.delay))

    @property
    def fixed(self) -> int:
        return duration(self.delay)


class Uniform(Delay, frozen=True):
    """Between ``least`` and ``most``, each as likely."""

    least: Duration
    most: Duration

    def check(self) -> None:
        if a_delay(self.least) > a_delay(self.most):
            raise DescriptionError(
                f"least {self.least!r} is more than most {self.most!r}", remedy="swap them"
            )

    def show(self) -> str:
        return f"{show_duration(duration(self.least))} to {show_duration(duration(self.most))}"

    def draw(self, streams: Streams, now: int) -> Draw:
        return uniform(streams("delay"), duration(self.least), duration(self.most))


class Normal(Delay, frozen=True):
    """Gauss's bell; what would be below nothing is nothing."""

    mean: Duration
    deviation: Duration

    def check(self) -> None:
        a_delay(self.mean)
        a_delay(self.deviation)

    def show(self) -> str:
        mean, deviation = show_duration(duration(self.mean)), show_duration(duration(self.deviation))
        return f"{mean}, normal with {deviation}"

    def draw(self, streams: Streams, now: int) -> Draw:
        return normal(streams("delay"), duration(self.mean), duration(self.deviation))


class Pareto(Delay, frozen=True):
    """At least ``least``, rarely much more: P(delay > x) is (least / x) ** shape, cut off at ``most``."""

    least: Duration
    shape: float = 3.0
    most: Duration = "10s"

    def check(self) -> None:
        if not 0 < a_delay(self.least) <= a_delay(self.most):
            raise DescriptionError(
                f"least {self.least!r} is 0, or more than most {self.most!r}",
                remedy="give a time between the two",
            )
        within("shape", self.shape, 0.1, 1000)

    def show(self) -> str:
        return f"from {show_duration(duration(self.least))}, Pareto with {self.shape:g}"

    def draw(self, streams: Streams, now: int) -> Draw:
        return pareto(streams("delay"), duration(self.least), self.shape, duration(self.most))


class Recorded(Delay, frozen=True):
    """The next of ``delays`` for each frame, from the front again when they are used up.

    They may be the text of a file with a delay, as "12.5ms", in each line.

    With ``every``, the delay changes with time instead, from when it is set: each holds for that long.
    """

    delays: str | tuple[Duration, ...]
    every: Duration | None = None

    def __post_init__(self) -> None:
        if isinstance(self.delays, str):
            msgspec.structs.force_setattr(self, "delays", parse_delays(self.delays, "delays"))
        super().__post_init__()

    def check(self) -> None:
        within("the number of delays", len(self.delays), 1, 1_000_000)
        for one in self.delays:
            a_delay(one)
        if self.every is not None and duration(self.every) < MILLISECOND:
            raise DescriptionError(f"every {self.every!r}", remedy="give 1 ms at least")

    def show(self) -> str:
        return f"of a trace of {len(self.delays)}"

    def draw(self, streams: Streams, now: int) -> Draw:
        every = None if self.every is None else duration(self.every)
        return recorded([duration(one) for one in self.delays], every, now)


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
