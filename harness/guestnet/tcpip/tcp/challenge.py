"""A limit on answers that a forger could ask for (RFC 5961 7)."""

from typing import Final

from guestnet.core.time import SECOND

_A_SECOND: Final = 10


class ChallengeLimit:
    """At most ten answers in each second of the clock."""

    __slots__ = ("_count", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._count = 0

    def permits(self, now: int) -> bool:
        """Whether one more may be given at ``now``, which then counts."""
        second = now // SECOND
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= _A_SECOND
