"""RACK (RFC 8985 6): a run is lost when one sent later has arrived and there was time for it to arrive too.

The time is the round trip of the latest delivery and a reordering window: none until reordering was seen and
three segments are reported, then a quarter of the least round trip, and a quarter more for each round in
which a DSACK (RFC 2883) shows that we were too quick.
"""

from typing import Final

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp.flight import SENT, Delivered, Flight, Run

_PERSIST: Final = 16
"""Recoveries without a DSACK after which the window is small again (RFC 8985 6.2.2 step 4)."""


class Rack:
    """Times in nanoseconds; ``min_rtt`` and ``rtt`` are 0 before the first delivery."""

    __slots__ = (
        "_dsack_round", "_latest", "_multiplier", "_persist", "highest", "min_rtt", "reordered", "rtt",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rtt = 0
        self.min_rtt = 0
        self.highest = 0
        self.reordered = False
        self._latest = (0, 0)
        self._multiplier = 1
        self._persist = 0
        self._dsack_round: int | None = None

    def on_delivered(self, delivered: list[Delivered], now: int, echo_age: int | None) -> None:
        """Steps 1 to 3 of RFC 8985 6.2.2: what an acknowledgment reported for the first time.

        ``echo_age`` tells when what caused the acknowledgment was sent, by its timestamp: it is given only
        where SND.UNA advanced, for an earlier timestamp is echoed beyond a hole (RFC 7323 4.3).
        """
        for end, sent_at, order, again in delivered:
            rtt = now - sent_at
            if again:
                # It may be the first sending that has arrived.
                if rtt < self.min_rtt or (echo_age is not None and echo_age > rtt + MILLISECOND):
                    continue
            elif not self._latest[0] or rtt < self.min_rtt:
                self.min_rtt = rtt
            if end > self.highest:
                self.highest = end
            elif not again and end < self.highest:
                self.reordered = True
            if (order, end) > self._latest:
                self.rtt, self._latest = rtt, (order, end)

    def on_dsack(self, una: int, nxt: int) -> None:
        """The peer got something twice: at most once a round, the window grows (step 4)."""
        if self._dsack_round is None or una >= self._dsack_round:
            self._dsack_round = nxt
            self._multiplier += 1
            self._persist = _PERSIST

    def on_recovered(self) -> None:
        """A recovery has ended."""
        self._persist -= 1
        if self._persist <= 0:
            self._multiplier = 1

    def window(self, srtt: int, *, certain: bool) -> int:
        """The reordering window. ``certain``: in a recovery, or with three segments reported above."""
        if certain and not self.reordered:
            return 0
        return min(self._multiplier * self.min_rtt // 4, srtt)

    def losses(self, flight: Flight, window: int, now: int) -> tuple[list[Run], int | None]:
        """Step 5: the runs that are lost now, and when to look again."""
        lost: list[Run] = []
        again_at: int | None = None
        for run in flight.runs:
            if run.mark != SENT or (run.order, run.end) >= self._latest:
                continue
            due = run.sent_at + self.rtt + window
            if due <= now:
                lost.append(run)
            elif again_at is None or due > again_at:
                again_at = due
        return lost, again_at

    def lost_on_timeout(self, flight: Flight, una: int, window: int, now: int) -> list[Run]:
        """RFC 8985 6.3: the first run, and all that could have been acknowledged."""
        return [
            run
            for run in flight.runs
            if run.mark == SENT and (run.start == una or run.sent_at + self.rtt + window <= now)
        ]
