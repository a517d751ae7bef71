"""Losing frames by their number: the first ones that match, the n-th, or every n-th.

Grammar: ``[all | first N | every Nth | Nth] [FILTER]``, FILTER as of ``link.filter``; without a filter all
frames count. ``"first 2 tcp syn-ack to :443"``, ``"3rd tcp data"``, ``"every 10th udp"``, ``"arp"``.
"""

import re
from typing import Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError

Which = Literal["all", "first", "every", "nth"]

_COUNTED: Final[tuple[Which, ...]] = ("first", "every", "nth")
_NUMBER: Final = r"([1-9]\d{0,8})"
_COUNT: Final = re.compile(
    rf"\s*(?:(all)|first\s+{_NUMBER}|every\s+{_NUMBER}(?:st|nd|rd|th)|{_NUMBER}(?:st|nd|rd|th))(?:\s+|$)"
)


class Drop(msgspec.Struct, frozen=True):
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


def parse(text: str) -> Drop:
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
        # Here, since it brings numpy: a process that enters namespaces can't have the threads of that.
        from guestnet.link import filter as filters

        filters.parse(text, start)
    elif match is None:
        raise DescriptionError(
            "a drop rule is empty",
            remedy='write which frames, as "first 2 tcp syn" or "every 10th udp" or "all"',
        )
    return Drop(which, number, text[:start].strip(), rest)
