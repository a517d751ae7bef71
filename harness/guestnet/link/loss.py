"""Rules that lose frames: by chance, in bursts, and by number.

Bursts are a Markov chain of two states (Gilbert 1960, Elliott 1963; netem's ``loss gemodel``): a frame is
lost with the share of the state it meets, then the state may change. Two numbers are drawn for each frame,
whatever comes of it, so that what happens to one frame does not depend on which parameters another met.
"""

from guestnet.core.rng import Stream
from guestnet.link.drop import Drop
from guestnet.link.headers import Headers
from guestnet.link.item import Item
from guestnet.link.terms import Check
from guestnet.link.verdicts import Verdicts


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


class Numbered:
    """Those that ``drop`` names, counted from when it is set."""

    def __init__(self, name: str, check: Check | None, drop: Drop) -> None:
        self._name = name
        self._check = check
        self._drop = drop
        self._count = 0

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What is left of ``items``."""
        check, drop = self._check, self._drop
        kept = []
        for item in items:
            if check is None or check(Headers(item[0])):
                self._count += 1
                if drop.loses(self._count):
                    verdicts.lost(item, self._name, now)
                    continue
            kept.append(item)
        return kept
