"""Frames that are lost by chance: each by itself, or in bursts.

Bursts are a Markov chain of two states (E. N. Gilbert, "Capacity of a burst-noise channel", 1960; with loss
in both states E. O. Elliott, "Estimates of error rates for codes on burst-noise channels", 1963; netem's
``loss gemodel``): a frame is lost with the share of the state it meets, then the state may change. Two
numbers are drawn for each frame, whatever comes of it, so that what happens to one frame does not depend on
which parameters another met.
"""

from collections.abc import Sequence

from guestnet.core.errors import DescriptionError
from guestnet.core.rng import Stream
from guestnet.link.filter.headers import Check, Headers
from guestnet.link.item import Item
from guestnet.link.quantities import share as share_of
from guestnet.link.quantities import show_share
from guestnet.link.rules.base import EntryKind, EntryRule, Share, Streams, within
from guestnet.link.verdicts import Verdicts
from guestnet.wire.ip import IpAddress


class Loss(EntryKind, frozen=True):
    """Each frame by itself is lost with probability ``share``."""

    share: Share

    def check(self) -> None:
        share_of(self.share)

    def show(self) -> str:
        return show_share(share_of(self.share))

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        share = share_of(self.share)
        return [Independent(name, self.filter, streams("loss"), share)] if share else []


class Burst(EntryKind, frozen=True):
    """``mean`` of all frames are lost, in bursts of ``length`` in the mean: Gilbert's model as measured."""

    mean: Share
    length: float

    def check(self) -> None:
        within("length", self.length, 1, 1e6)
        most = self.length / (self.length + 1)
        if share_of(self.mean) > most:
            raise DescriptionError(
                f"a mean of {self.mean!r} leaves less than a frame between bursts of {self.length:g}",
                remedy=f"give a mean of at most {most:.3g}, or longer bursts",
            )

    def show(self) -> str:
        return f"{show_share(share_of(self.mean))} in bursts of {self.length:g}"

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        share, r = share_of(self.mean), 1 / self.length
        p = share * r / (1 - share) if share < 1 else 1.0
        return [Bursts(name, self.filter, streams("loss"), p=p, r=r, bad=1.0, good=0.0)]


class GilbertElliott(EntryKind, frozen=True):
    """Two states: after a frame, good becomes bad with probability ``p``, bad becomes good with ``r``.

    ``bad`` is the share lost in the bad state (1-h in the papers and netem), ``good`` in the good one (1-k).
    """

    p: Share
    r: Share
    bad: Share = 1.0
    good: Share = 0.0

    def check(self) -> None:
        self._shares()

    def show(self) -> str:
        p, r, bad, good = (show_share(share) for share in self._shares())
        return f"Gilbert-Elliott p {p}, r {r}, bad {bad}, good {good}"

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        p, r, bad, good = self._shares()
        return [Bursts(name, self.filter, streams("loss"), p=p, r=r, bad=bad, good=good)]

    def _shares(self) -> list[float]:
        return [share_of(share) for share in (self.p, self.r, self.bad, self.good)]


class Independent:
    """Each frame by itself, with probability ``share``."""

    def __init__(self, name: str, check: Check | None, stream: Stream, share: float) -> None:
        self._name = name
        self._check = check
        self._random = stream.random
        self._share = share

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What is left of ``items``."""
        random, share, check = self._random, self._share, self._check
        kept = []
        for item in items:
            if (check is None or check(Headers(item[0]))) and random() < share:
                verdicts.lost(item, self._name, now)
            else:
                kept.append(item)
        return kept


class Bursts:
    """Good at first. ``p`` and ``r`` change the state, ``bad`` and ``good`` are the shares lost in each."""

    def __init__(
        self, name: str, check: Check | None, stream: Stream, *, p: float, r: float, bad: float, good: float
    ) -> None:
        self._name = name
        self._check = check
        self._random = stream.random
        self._changes = (p, r)
        self._shares = (good, bad)
        self._state = 0

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What is left of ``items``."""
        random, check = self._random, self._check
        kept = []
        for item in items:
            if check is not None and not check(Headers(item[0])):
                kept.append(item)
                continue
            if random() < self._shares[self._state]:
                verdicts.lost(item, self._name, now)
            else:
                kept.append(item)
            if random() < self._changes[self._state]:
                self._state ^= 1
        return kept
