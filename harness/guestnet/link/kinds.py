"""The rules of a link that have more to them than a number: frozen, and checked when they are made.

All of them take ``only``, a filter (``link.filter``): other frames never meet the rule, nor use up its luck.

Sources: netem's rules, tc-netem(8). Bursts are Gilbert's model (E. N. Gilbert, "Capacity of a burst-noise
channel", 1960) with Elliott's loss in both states (E. O. Elliott, "Estimates of error rates for codes on
burst-noise channels", 1963). CoDel is RFC 8289.
"""

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.time import HOUR, MILLISECOND
from guestnet.link import quantities
from guestnet.link.quantities import duration
from guestnet.link.trace import parse_delays

Duration = str | float
"""``"40ms"`` or ``"1.5 s"``. A number is taken in only to be refused in words (``quantities.duration``)."""
Share = str | float
"""``"3%"``, or a probability."""


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """Base of the rules; in TOML a table with its ``kind``. Raises DescriptionError when it can't be."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise DescriptionError when this can't be."""


class Rule(Kind, frozen=True, kw_only=True):
    """Base of those that can have a filter."""

    only: str = ""

    def __post_init__(self) -> None:
        if self.only:
            # Here, since it brings numpy: a process that enters namespaces can't have the threads of that.
            from guestnet.link import filter as filters

            filters.parse(self.only)
        self.check()


# Loss


class Loss(Rule, frozen=True):
    """Each frame by itself is lost with probability ``share``."""

    share: Share

    def check(self) -> None:
        """As of ``Kind``."""
        quantities.share(self.share)


class Burst(Rule, frozen=True):
    """``mean`` of all frames are lost, in bursts of ``length`` in the mean: Gilbert's model as measured."""

    mean: Share
    length: float

    def check(self) -> None:
        """As of ``Kind``."""
        within("length", self.length, 1, 1e6)
        most = self.length / (self.length + 1)
        if quantities.share(self.mean) > most:
            raise DescriptionError(
                f"a mean of {self.mean!r} leaves less than a frame between bursts of {self.length:g}",
                remedy=f"give a mean of at most {most:.3g}, or longer bursts",
            )


class GilbertElliott(Rule, frozen=True):
    """Two states: after a frame, good becomes bad with probability ``p``, bad becomes good with ``r``.

    ``bad`` is the share lost in the bad state (1-h in the papers and netem), ``good`` in the good one (1-k).
    """

    p: Share
    r: Share
    bad: Share = 1.0
    good: Share = 0.0

    def check(self) -> None:
        """As of ``Kind``."""
        for share in (self.p, self.r, self.bad, self.good):
            quantities.share(share)


# Delay


class Constant(Rule, frozen=True):
    """``delay`` for every frame."""

    delay: Duration

    def check(self) -> None:
        """As of ``Kind``."""
        a_delay(self.delay)


class Uniform(Rule, frozen=True):
    """Between ``least`` and ``most``, each as likely."""

    least: Duration
    most: Duration

    def check(self) -> None:
        """As of ``Kind``."""
        if a_delay(self.least) > a_delay(self.most):
            raise DescriptionError(
                f"least {self.least!r} is more than most {self.most!r}", remedy="swap them"
            )


class Normal(Rule, frozen=True):
    """Gauss's bell; what would be below nothing is nothing."""

    mean: Duration
    deviation: Duration

    def check(self) -> None:
        """As of ``Kind``."""
        a_delay(self.mean)
        a_delay(self.deviation)


class Pareto(Rule, frozen=True):
    """At least ``least``, rarely much more: P(delay > x) is (least / x) ** shape, cut off at ``most``."""

    least: Duration
    shape: float = 3.0
    most: Duration = "10s"

    def check(self) -> None:
        """As of ``Kind``."""
        if not 0 < a_delay(self.least) <= a_delay(self.most):
            raise DescriptionError(
                f"least {self.least!r} is 0, or more than most {self.most!r}",
                remedy="give a time between the two",
            )
        within("shape", self.shape, 0.1, 1000)


class Recorded(Rule, frozen=True):
    """The next of ``delays`` for each frame, from the front again when they are used up.

    They may be the text of a file with a delay, as "12.5ms", in each line.

    With ``every``, the delay changes with time instead, from when it is set: each holds for that long.
    """

    delays: str | tuple[Duration, ...]
    every: Duration | None = None

    @property
    def each(self) -> tuple[Duration, ...]:
        """The delays, whichever way they were given."""
        return parse_delays(self.delays, "delays") if isinstance(self.delays, str) else self.delays

    def check(self) -> None:
        """As of ``Kind``."""
        within("the number of delays", len(self.each), 1, 1_000_000)
        for one in self.each:
            a_delay(one)
        if self.every is not None and duration(self.every) < MILLISECOND:
            raise DescriptionError(f"every {self.every!r}", remedy="give 1 ms at least")


# The rest


class Duplicate(Rule, frozen=True):
    """``share`` of the frames come twice, the copy right behind."""

    share: Share

    def check(self) -> None:
        """As of ``Kind``."""
        quantities.share(self.share)


class Reorder(Rule, frozen=True):
    """``share`` of the frames are overtaken by the ``distance`` next ones, or wait ``within`` at most."""

    share: Share
    distance: int = 3
    within: Duration = "100ms"

    def check(self) -> None:
        """As of ``Kind``."""
        quantities.share(self.share)
        within("distance", self.distance, 1, 1000)
        if a_delay(self.within) < MILLISECOND:
            raise DescriptionError(f"within is {self.within!r}", remedy="give 1 ms at least")


class Corrupt(Rule, frozen=True):
    """``share`` of the frames have ``bits`` bits turned over, anywhere after the ethernet header.

    ``repair``: in the payload of TCP or UDP only, and the checksum made right, so that nobody notices below
    the application; frames without such a payload pass.
    """

    share: Share
    bits: int = 1
    repair: bool = False

    def check(self) -> None:
        """As of ``Kind``."""
        quantities.share(self.share)
        within("bits", self.bits, 1, 64)


class Mtu(Rule, frozen=True):
    """IP packets of more than ``size`` octets don't fit.

    They are answered with "fragmentation needed" or "packet too big" (RFC 1191, RFC 8201), or in a
    ``black_hole`` with silence. IPv4 packets that may be fragmented are.
    """

    size: int
    black_hole: bool = False

    def check(self) -> None:
        """As of ``Kind``."""
        within("an MTU", self.size, 68, 65535)


class Codel(Kind, frozen=True):
    """Controlled delay (RFC 8289): frames that waited too long are dropped at the head of the queue."""

    target: Duration = "5ms"
    interval: Duration = "100ms"

    def check(self) -> None:
        """As of ``Kind``."""
        if not 0 < a_delay(self.target) <= a_delay(self.interval):
            raise DescriptionError("the target is 0, or above the interval", remedy="give 5% to 10% of it")


class Flap(Kind, frozen=True):
    """Up for ``up``, then down for ``down``, over and over from when it is set."""

    up: Duration
    down: Duration

    def check(self) -> None:
        """As of ``Kind``."""
        for name, time in (("up", self.up), ("down", self.down)):
            if duration(time) < MILLISECOND:
                raise DescriptionError(f"{name} is {time!r}", remedy="give 1 ms at least")


def within(name: str, value: float, least: float, most: float) -> None:
    """Raise DescriptionError unless ``value`` is between the two."""
    if not least <= value <= most:
        raise DescriptionError(f"{name} is {value!r}", remedy=f"give {least:g} to {most:g}")


def a_delay(value: Duration) -> int:
    """Nanoseconds; raises DescriptionError when it is longer than a day."""
    time = duration(value)
    if time > 24 * HOUR:
        raise DescriptionError(f"a delay of {value!r}", remedy="give a day at most")
    return time
