"""Frames that are overtaken: held until some later ones have passed, or for a while.

netem lets a share of frames jump the delay of the others, so there is no reordering without delay; here the
distance is said in frames, so that the same frames are overtaken by the same ones whatever the rate.
"""

from guestnet.core.errors import DescriptionError
from guestnet.core.rng import Stream
from guestnet.core.time import MILLISECOND
from guestnet.link.filter.headers import Check, Headers
from guestnet.link.item import Item, noted
from guestnet.link.quantities import duration, show_share
from guestnet.link.quantities import share as share_of
from guestnet.link.rules.base import Duration, Rule, Share, Streams, a_delay, within
from guestnet.link.verdicts import Verdicts

_MOST = 1000
"""Frames that are held: no more are chosen then."""


class Reorder(Rule, frozen=True):
    """``share`` of the frames are overtaken by the ``distance`` next ones, or wait ``within`` at most."""

    share: Share
    distance: int = 3
    within: Duration = "100ms"

    def check(self) -> None:
        share_of(self.share)
        within("distance", self.distance, 1, 1000)
        if a_delay(self.within) < MILLISECOND:
            raise DescriptionError(f"within is {self.within!r}", remedy="give 1 ms at least")

    def show(self) -> str:
        return f"{show_share(share_of(self.share))} by {self.distance}"

    def build(self, name: str, streams: Streams) -> "Overtaking":
        """What carries it out; ``name`` is the rule in words."""
        return Overtaking(
            name, self.filter, streams("reorder"), share_of(self.share),
            distance=self.distance, within=duration(self.within),
        )  # fmt: skip


class _Held:
    __slots__ = ("deadline", "item", "left")

    def __init__(self, item: Item, left: int, deadline: int) -> None:
        self.item = item
        self.left = left
        self.deadline = deadline


class Overtaking:
    """``share`` of the frames let the ``distance`` next ones by, or wait ``within`` nanoseconds at most."""

    def __init__(
        self, name: str, check: Check | None, stream: Stream, share: float, *, distance: int, within: int
    ) -> None:
        self._name = name
        self._check = check
        self._random = stream.random
        self._share = share
        self._distance = distance
        self._within = within
        self._held: list[_Held] = []

    def push(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What goes on at ``now``, in its new order."""
        random, share, check = self._random, self._share, self._check
        out = []
        for item in items:
            if (check is None or check(Headers(item[0]))) and random() < share and len(self._held) < _MOST:
                verdicts.changed(item, self._name, now)
                held = (item[0], noted(item[1], self._name), item[2], item[3])
                self._held.append(_Held(held, self._distance, now + self._within))
                continue
            out.append(item)
            if self._held:
                for one in self._held:
                    one.left -= 1
                out += [one.item for one in self._held if one.left <= 0]
                self._held = [one for one in self._held if one.left > 0]
        return out

    def overdue(self, now: int) -> list[tuple[int, Item]]:
        """Those that have waited long enough at ``now``, with the time since when that is so."""
        over = [held for held in self._held if held.deadline <= now]
        if over:
            self._held = [held for held in self._held if held.deadline > now]
        return [(held.deadline, held.item) for held in over]

    def take_all(self) -> list[Item]:
        """Let go of all, in order: the rule ends."""
        held, self._held = self._held, []
        return [one.item for one in held]

    def poll_at(self) -> int | None:
        """When the first has waited long enough."""
        return self._held[0].deadline if self._held else None
