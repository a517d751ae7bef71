"""What rules have in common: frozen, and checked when they are made.

All but a few take ``only``, a filter (``link.filter.language``): other frames never meet the rule, nor use up
its luck. Words and combination follow netem (tc-netem(8)) where that has them.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.rng import Stream
from guestnet.core.time import HOUR
from guestnet.link.filter import language as filters
from guestnet.link.filter.headers import Check
from guestnet.link.item import Item
from guestnet.link.quantities import duration
from guestnet.link.verdicts import Verdicts
from guestnet.wire.ip import IpAddress

Duration = str | float
"""``"40ms"`` or ``"1.5 s"``. A number is taken in only to be refused in words (``quantities.duration``)."""
Share = str | float
"""``"3%"``, or a probability."""
Streams = Callable[[str], Stream]
"""The random stream of a rule, by name."""


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """Base of the rules; in TOML a table with its ``kind``. Raises DescriptionError when it can't be."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise DescriptionError when this can't be."""

    def show(self) -> str:
        """Its value in words, as "3%"; its name and its filter are said by who asks."""
        raise NotImplementedError


class Rule(Kind, frozen=True, kw_only=True):
    """Base of those that can have a filter."""

    only: str = ""

    def __post_init__(self) -> None:
        if self.only:
            filters.parse(self.only)
        self.check()

    @property
    def filter(self) -> Check | None:
        """What it asks of a frame, if anything."""
        return filters.parse(self.only).check if self.only else None

    def filtered(self, only: str) -> Self:
        """The same with the filter ``only``, unless it has one of its own."""
        return self if self.only else msgspec.structs.replace(self, only=only)


class EntryRule(Protocol):
    """Decides over frames as they enter, at once."""

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What goes on, in order."""


class EntryKind(Rule, frozen=True):
    """Base of the rules that frames meet as they enter."""

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        """What carries it out, if there is anything to do.

        ``name`` is the rule in words, for verdicts; ``addresses`` are the link's own.
        """
        raise NotImplementedError


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
