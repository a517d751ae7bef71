"""Which octets in flight the peer has reported by SACK (RFC 2018, RFC 6675).

RFC 6675 defines its functions octet by octet. Ranges and two edges say the same: an octet is lost when
enough was SACKed above it, so all unSACKed octets below some edge are lost and none above it.
"""

from bisect import bisect_right
from operator import itemgetter
from typing import Final

DUP_THRESH: Final = 3
"""Of RFC 6675 2: duplicate acknowledgments that indicate a loss."""


class Scoreboard:
    """The SACKed ranges above the acknowledged data, sorted and apart."""

    __slots__ = ("ranges",)

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def clear(self) -> None:
        """Forget all: after a timeout the peer may have dropped what it had SACKed (RFC 2018 8)."""
        self.ranges = []

    def advance(self, una: int) -> None:
        """Everything before ``una`` is acknowledged."""
        if self.ranges:
            self.ranges = [(max(left, una), right) for left, right in self.ranges if right > una]

    def add(self, left: int, right: int) -> bool:
        """Note a block (already within the octets in flight); True when it says something new."""
        ranges = self.ranges
        index = bisect_right(ranges, left, key=itemgetter(0))
        if index and ranges[index - 1][1] >= left:
            index -= 1
            if ranges[index][1] >= right:
                return False
        stop = index
        while stop < len(ranges) and ranges[stop][0] <= right:
            left, right = min(left, ranges[stop][0]), max(right, ranges[stop][1])
            stop += 1
        ranges[index:stop] = [(left, right)]
        return True

    @property
    def highest(self) -> int:
        """The end of the highest range; 0 when there is none."""
        return self.ranges[-1][1] if self.ranges else 0

    def lost_below(self, mss: int) -> int:
        """The edge below which every unSACKed octet is lost: IsLost of RFC 6675 4; 0 when nothing is."""
        octets = 0
        for count, (left, right) in enumerate(reversed(self.ranges), 1):
            octets += right - left
            if count >= DUP_THRESH or octets > (DUP_THRESH - 1) * mss:
                return left
        return 0

    def unsacked(self, left: int, right: int) -> int:
        """How many octets from ``left`` to ``right`` are not SACKed."""
        if right <= left:
            return 0
        covered = sum(max(0, min(end, right) - max(start, left)) for start, end in self.ranges)
        return right - left - covered

    def hole(self, left: int, right: int) -> tuple[int, int] | None:
        """The first unSACKed range from ``left`` to ``right``."""
        for start, end in self.ranges:
            if end <= left:
                continue
            if start > left:
                right = min(right, start)
                break
            left = end
        return (left, right) if left < right else None
