"""HyStart++ (RFC 9406): leave the first slow start when the round trips grow, before the queue overflows.

A round lasts until what was sent at its start is acknowledged. When the least round trip of a round is an
eighth more than that of the round before (4 to 16 ms), growth is a quarter of slow start's for up to five
rounds (conservative slow start); a round trip that falls again in the meantime was only jitter.
"""

from typing import Final

from guestnet.core.time import MILLISECOND

_MIN_THRESHOLD: Final = 4 * MILLISECOND
_MAX_THRESHOLD: Final = 16 * MILLISECOND
_SAMPLES: Final = 8
_GROWTH_DIVISOR: Final = 4
_ROUNDS: Final = 5


class HyStart:
    """Times in nanoseconds; sequence numbers as ``sequence`` counts them."""

    __slots__ = ("_baseline", "_current", "_last", "_round_end", "_rounds", "_samples")

    def __init__(self) -> None:
        self._round_end = 0
        self._last: int | None = None
        self._current: int | None = None
        self._samples = 0
        self._baseline: int | None = None
        self._rounds = 0

    def growth(self, acked: int) -> int:
        """By how much the window grows. There is no limit L on it: its burst is what was sent anyway."""
        return acked if self._baseline is None else acked // _GROWTH_DIVISOR

    def ends(self, rtt: int, una: int, nxt: int) -> bool:
        """A round trip was measured; True when slow start is over."""
        if una > self._round_end:
            self._round_end = nxt
            self._last, self._current = self._current, None
            self._samples = 0
            if self._baseline is not None:
                self._rounds += 1
        self._current = rtt if self._current is None else min(self._current, rtt)
        self._samples += 1
        if self._samples >= _SAMPLES:
            self._judge(self._current)
        return self._rounds >= _ROUNDS

    def _judge(self, current: int) -> None:
        if self._baseline is not None:
            if current < self._baseline:
                self._baseline = None
                self._rounds = 0
        elif self._last is not None:
            threshold = max(_MIN_THRESHOLD, min(self._last // 8, _MAX_THRESHOLD))
            if current >= self._last + threshold:
                self._baseline = current
