"""Congestion control (RFC 5681, RFC 6928 for the initial window).

``CongestionControl`` is what the sender calls; NewReno answers here, CUBIC in ``cubic``.
Loss detection and the pace of a recovery (RFC 8985, RFC 6582) are the sender's: here is only how much.
"""

from typing import Protocol


class CongestionControl(Protocol):
    """How many octets may be in flight: ``cwnd``. Octets throughout, times in nanoseconds."""

    cwnd: int
    ssthresh: int

    def on_ack(self, acked: int, now: int, srtt: int | None) -> None:
        """``acked`` new octets, outside of a fast recovery, while ``cwnd`` was what limited us."""

    def on_round_trip(self, rtt: int, una: int, nxt: int) -> None:
        """A measured round trip, and what is in flight since: [una, nxt)."""

    def on_loss(self, in_flight: int, now: int) -> None:
        """A fast recovery begins."""

    def on_spurious_loss(self) -> None:
        """The last loss or timeout was none (RFC 3708, RFC 4015): nothing need be reduced."""

    def on_timeout(self, in_flight: int, now: int) -> None:
        """The retransmission timer ran out for the first time for these octets."""

    def on_idle(self) -> None:
        """Nothing was sent for longer than an RTO (RFC 5681 4.1)."""

    def on_syn_lost(self) -> None:
        """The SYN had to be sent again (RFC 5681 3.1)."""

    def on_mss(self, mss: int) -> None:
        """The segment size has changed."""


class NewReno:
    """Slow start and additive increase (RFC 5681 3.1), counting octets (RFC 3465 without its limit L)."""

    __slots__ = ("_acked", "_initial", "_mss", "_saved", "cwnd", "ssthresh")

    def __init__(self, mss: int) -> None:
        self._mss = mss
        self._initial = min(10 * mss, max(2 * mss, 14600))
        self._acked = 0
        self.cwnd = self._initial
        self.ssthresh = 1 << 30
        self._saved: tuple[int, int] | None = None

    def on_round_trip(self, rtt: int, una: int, nxt: int) -> None:
        pass

    def on_ack(self, acked: int, now: int, srtt: int | None) -> None:
        if self.cwnd < self.ssthresh:
            # Peers acknowledge whole batches at once: all of it counts, as in Linux, up to ssthresh.
            self.cwnd = min(self.cwnd + acked, max(self.ssthresh, self.cwnd + self._mss))
            return
        self._acked += acked
        if self._acked >= self.cwnd:
            self._acked -= self.cwnd
            self.cwnd += self._mss

    def on_loss(self, in_flight: int, now: int) -> None:
        self._saved = self.cwnd, self.ssthresh
        self.ssthresh = max(in_flight // 2, 2 * self._mss)
        self.cwnd = self.ssthresh
        self._acked = 0

    def on_spurious_loss(self) -> None:
        if self._saved is not None:
            cwnd, self.ssthresh = self._saved
            self.cwnd = max(self.cwnd, cwnd)
            self._saved = None

    def on_timeout(self, in_flight: int, now: int) -> None:
        self._saved = self.cwnd, self.ssthresh
        self.ssthresh = max(in_flight // 2, 2 * self._mss)
        self.cwnd = self._mss
        self._acked = 0

    def on_idle(self) -> None:
        self.cwnd = min(self.cwnd, self._initial)

    def on_syn_lost(self) -> None:
        self.cwnd = self._mss

    def on_mss(self, mss: int) -> None:
        self._mss = mss
