"""Frames that come twice."""

from collections.abc import Sequence

from guestnet.core.rng import Stream
from guestnet.link.filter.headers import Check, Headers
from guestnet.link.item import Item, noted
from guestnet.link.quantities import share as share_of
from guestnet.link.quantities import show_share
from guestnet.link.rules.base import EntryKind, EntryRule, Share, Streams
from guestnet.link.verdicts import Verdicts
from guestnet.wire.ip import IpAddress


class Duplicate(EntryKind, frozen=True):
    """``share`` of the frames come twice, the copy right behind."""

    share: Share

    def check(self) -> None:
        share_of(self.share)

    def show(self) -> str:
        return show_share(share_of(self.share))

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        share = share_of(self.share)
        return [Duplicates(name, self.filter, streams("duplicate"), share)] if share else []


class Duplicates:
    """``share`` of the frames come twice, the copy right behind."""

    def __init__(self, name: str, check: Check | None, stream: Stream, share: float) -> None:
        self._name = name
        self._check = check
        self._random = stream.random
        self._share = share

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """``items`` and the copies."""
        random, share, check, name = self._random, self._share, self._check, self._name
        out = []
        for item in items:
            out.append(item)
            if (check is None or check(Headers(item[0]))) and random() < share:
                verdicts.changed(item, name, now)
                out.append((item[0], noted(item[1], name), item[2], item[3]))
        return out
