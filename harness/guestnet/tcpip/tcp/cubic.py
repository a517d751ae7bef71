"""CUBIC (RFC 9438): the window as a cubic function of the time since the last loss.

After a loss ``cwnd`` is 0.7 of what it was, then grows back to near ``_w_max``, the window of the loss, in
``_k``, flattens there, and only then looks for more: the same whatever the round trip. Where additive
increase would be quicker (short round trips), it is that (4.3). All in integers, so that every machine agrees
to the octet: windows in octets, times in microseconds where they are cubed.
"""

from typing import Final

from guestnet.core.time import MICROSECOND
from guestnet.tcpip.tcp.hystart import HyStart

_C: Final = (4, 10)
"""C of RFC 9438 4.1, in segments per second cubed."""
_BETA: Final = (7, 10)
_CUBED: Final = 10**18
"""Cubic microseconds in a cubic second."""
_FINE: Final = 1024
"""``_w_est`` counts in this part of an octet, or small acknowledgments would be rounded away."""


class Cubic:
    """See ``congestion.CongestionControl``."""

    __slots__ = (
        "_credit", "_cwnd_prior", "_epoch", "_grown_at", "_initial", "_k", "_mss", "_saved", "_slow_start",
        "_w_est", "_w_max", "cwnd", "ssthresh",
    )  # fmt: skip

    def __init__(self, mss: int) -> None:
        self._mss = mss
        self._initial = min(10 * mss, max(2 * mss, 14600))
        self.cwnd = self._initial
        self.ssthresh = 1 << 30
        self._slow_start: HyStart | None = HyStart()
        self._w_max = 0
        self._w_est = 0
        self._k = 0
        self._cwnd_prior = 0
        self._credit = 0
        self._epoch: int | None = None
        self._grown_at = 0
        self._saved: tuple[int, int, int] | None = None

    def on_round_trip(self, rtt: int, una: int, nxt: int) -> None:
        if self._slow_start is not None and self._slow_start.ends(rtt, una, nxt):
            self.ssthresh = self.cwnd
            self._slow_start = None

    def on_ack(self, acked: int, now: int, srtt: int | None) -> None:
        if self.cwnd < self.ssthresh:
            if self._slow_start is not None:
                acked = self._slow_start.growth(acked)
            # Peers acknowledge whole batches at once: all of it counts, as in Linux, up to ssthresh.
            self.cwnd = min(self.cwnd + acked, max(self.ssthresh, self.cwnd + self._mss))
        else:
            self._avoid_congestion(acked, now, srtt or 0)
        self._grown_at = now

    def _avoid_congestion(self, acked: int, now: int, srtt: int) -> None:
        if self._epoch is None:
            self._begin_epoch(now)
        elif now - self._grown_at > 2 * srtt:
            # The window was not what limited us meanwhile: that time does not count (5.8).
            self._epoch += now - self._grown_at
        elapsed = (now - (self._epoch or now)) // MICROSECOND
        cwnd = self.cwnd
        # 4.3: what additive increase would have reached, with the same average window as a halving one.
        fine = acked * self._mss * _FINE // cwnd
        self._w_est += fine if self._w_est >= self._cwnd_prior * _FINE else fine * 9 // 17
        friendly = self._w_est // _FINE
        if self._w_cubic(elapsed) < friendly:
            self.cwnd = max(cwnd, friendly)
            return
        target = min(max(self._w_cubic(elapsed + srtt // MICROSECOND), cwnd), cwnd * 3 // 2)
        self._credit += (target - cwnd) * acked
        self.cwnd += self._credit // cwnd
        self._credit %= cwnd

    def _begin_epoch(self, now: int) -> None:
        """4.2, and 4.8 after a timeout or the first slow start."""
        self._epoch = now
        self._credit = 0
        self._w_est = self.cwnd * _FINE
        if self._w_max <= self.cwnd:
            self._w_max = self.cwnd
        missing = self._w_max - self.cwnd
        self._k = _cube_root(missing * _C[1] * _CUBED // (_C[0] * self._mss))

    def _w_cubic(self, elapsed: int) -> int:
        """Figure 1 of 4.2, ``elapsed`` in microseconds."""
        return self._w_max + _C[0] * self._mss * (elapsed - self._k) ** 3 // (_C[1] * _CUBED)

    def on_loss(self, in_flight: int, now: int) -> None:
        self._saved = self.cwnd, self.ssthresh, self._w_max
        # 4.7: who has less than before makes room for who came later.
        self._w_max = self.cwnd * 17 // 20 if self.cwnd < self._w_max else self.cwnd
        self._reduce(in_flight)
        self.cwnd = self.ssthresh

    def on_spurious_loss(self) -> None:
        if self._saved is not None:
            cwnd, self.ssthresh, self._w_max = self._saved
            self.cwnd = max(self.cwnd, cwnd)
            self._saved = self._epoch = None

    def on_timeout(self, in_flight: int, now: int) -> None:
        self._saved = self.cwnd, self.ssthresh, self._w_max
        self._w_max = 0
        self._reduce(in_flight)
        self.cwnd = self._mss

    def _reduce(self, in_flight: int) -> None:
        self._cwnd_prior = self.cwnd
        self.ssthresh = max(in_flight * _BETA[0] // _BETA[1], 2 * self._mss)
        self._slow_start = None
        self._epoch = None

    def on_idle(self) -> None:
        self.cwnd = min(self.cwnd, self._initial)
        self._epoch = None

    def on_syn_lost(self) -> None:
        self.cwnd = self._mss

    def on_mss(self, mss: int) -> None:
        self._mss = mss


def _cube_root(number: int) -> int:
    """The largest integer whose cube is not more than ``number``."""
    root = int(float(number) ** (1 / 3))
    while root**3 > number:
        root -= 1
    while (root + 1) ** 3 <= number:
        root += 1
    return root
