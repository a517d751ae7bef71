"""The retransmission timeout (RFC 6298). Times in nanoseconds."""

from typing import Final

from guestnet.core.time import MILLISECOND

GRANULARITY: Final = MILLISECOND
"""G of RFC 6298 2: that of the timestamp clock, the coarsest we measure by."""


class RttEstimator:
    """SRTT, RTTVAR and the RTO with its exponential backoff.

    Karn's algorithm (RFC 6298 3) is the caller's: it gives no sample of a segment that was sent twice.

    A round trip longer than the longest RTO says nothing of the path: the guest slept, or the laptop. It ends
    the backoff and is not counted; else one night would keep the RTO at its maximum for 70 more samples.
    """

    __slots__ = ("_backoff", "_max", "_min", "_rto", "rttvar", "srtt")

    def __init__(self, initial: int, minimum: int, maximum: int) -> None:
        self.srtt: int | None = None
        self.rttvar = 0
        self._rto = initial
        self._min = minimum
        self._max = maximum
        self._backoff = 0

    @property
    def rto(self) -> int:
        """How long to wait before the first unacknowledged octet is sent again."""
        return min(self._rto << self._backoff, self._max)

    def sample(self, rtt: int) -> None:
        """A measured round trip: RFC 6298 2.2 and 2.3; ends the backoff (5.7)."""
        self._backoff = 0
        if rtt > self._max:
            return
        if self.srtt is None:
            self.srtt = rtt
            self.rttvar = rtt // 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) // 4
            self.srtt += (rtt - self.srtt) // 8
        self._rto = min(max(self.srtt + max(GRANULARITY, 4 * self.rttvar), self._min), self._max)

    def back_off(self) -> None:
        """The timer ran out: twice the wait (RFC 6298 5.5)."""
        if self._rto << self._backoff < self._max:
            self._backoff += 1

    def calm(self) -> None:
        """The peer has shown that it did not answer for another reason than the path: no backoff."""
        self._backoff = 0
