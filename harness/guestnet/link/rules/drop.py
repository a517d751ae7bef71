"""Losing frames by their number: the first ones that match, the n-th, or every n-th.

Grammar: ``[all | first N | every Nth | Nth] [FILTER]``, FILTER as of ``link.filter.language``; without one
all frames count. ``"first 2 tcp syn-ack to :443"``, ``"3rd tcp data"``, ``"every 10th udp"``, ``"arp"``.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.link.filter import language as filters
from guestnet.link.filter.headers import Check, Headers
from guestnet.link.item import Item
from guestnet.link.rules.base import EntryKind, EntryRule, Streams
from guestnet.link.verdicts import Verdicts
from guestnet.wire.ip import IpAddress

Which = Literal["all", "first", "every", "nth"]

_COUNTED: Final[tuple[Which, ...]] = ("first", "every", "nth")
_NUMBER: Final = r"([1-9]\d{0,8})"
_COUNT: Final = re.compile(
    rf"\s*(?:(all)|first\s+{_NUMBER}|every\s+{_NUMBER}(?:st|nd|rd|th)|{_NUMBER}(?:st|nd|rd|th))(?:\s+|$)"
)


class Drop(EntryKind, frozen=True):
    """Frames lost by their number: each of ``rules``, as ``"first 2 tcp syn"``, counts for itself."""

    rules: str | tuple[str, ...]

    @property
    def each(self) -> tuple[str, ...]:
        """The rules, also of a single one."""
        return (self.rules,) if isinstance(self.rules, str) else self.rules

    def check(self) -> None:
        for rule in self.each:
            parse(rule)

    def show(self) -> str:
        return "; ".join(self.each)

    def filtered(self, only: str) -> "Drop":
        """The same with ``only`` added to the filter of each rule: they count what matches both."""
        return Drop(tuple(parse(rule).also(only) for rule in self.each))

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        return [_numbered(rule) for rule in (self.filtered(self.only) if self.only else self).each]


class Numbers(msgspec.Struct, frozen=True):
    """Of the frames that match ``filter``: ``which`` with ``number``; counting begins when it is set."""

    which: Which
    number: int
    count: str
    filter: str

    def also(self, only: str) -> str:
        """The rule for frames that match ``only`` too, as it is written."""
        both = f"({self.filter}) and ({only})" if self.filter else only
        return f"{self.count} {both}".strip()

    def loses(self, number: int) -> bool:
        """Whether the ``number``-th match, from 1, is lost."""
        match self.which:
            case "all":
                return True
            case "first":
                return number <= self.number
            case "every":
                return number % self.number == 0
            case "nth":
                return number == self.number


def parse(text: str) -> Numbers:
    """Raises DescriptionError; columns in it are those of ``text``."""
    match = _COUNT.match(text)
    which: Which = "all"
    number, start = 0, 0
    if match is not None:
        start = match.end()
        for name, group in zip(_COUNTED, match.groups()[1:], strict=True):
            if group is not None:
                which, number = name, int(group)
    rest = text[start:].strip()
    if rest:
        filters.parse(text, start)
    elif match is None:
        raise DescriptionError(
            "a drop rule is empty",
            remedy='write which frames, as "first 2 tcp syn" or "every 10th udp" or "all"',
        )
    return Numbers(which, number, text[:start].strip(), rest)


def _numbered(text: str) -> "Numbered":
    numbers = parse(text)
    only = filters.parse(numbers.filter).check if numbers.filter else None
    return Numbered(f"drop {text}", only, numbers)


class Numbered:
    """Those that ``drop`` names, counted from when it is set."""

    def __init__(self, name: str, check: Check | None, drop: Numbers) -> None:
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
