"""Path MTU: how large a segment the path takes.

Theory of operation. The handshake tells what both ends can take; a router between them may take less.

- It says so by ICMP (RFC 1191, RFC 8201): believed when it quotes a sequence number that is in flight
  (RFC 5927 4.1), and only downwards. An old router that does not tell its MTU is answered by the next lower
  plateau (7.1); in IPv6 all tell it, and none is believed below 1280 (RFC 8201 4).
- It says nothing, a black hole: after some timeouts in a row segments get small, at every further one smaller
  (RFC 4821 7.7, as Linux does it).
- Later one segment of full size is sent as a probe amid small ones (RFC 4821 7): if it gets through, so will
  all. After a black hole at once, for it may have been an outage that swallowed everything, then and after
  an ICMP message after ten minutes (RFC 1191 6.3). A probe that is lost costs what a lost segment costs.
"""

from typing import Final

from guestnet.core.time import MINUTE
from guestnet.tcpip.tcp.flight import Delivered

_TCP_HEADER: Final = 20
_IPV4_HEADER: Final = 20
_LEAST_MTU: Final = 68
_LEAST_MTU_6: Final = 1280
_PLATEAUS: Final = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)
_SMALL: Final = 1024
"""What a black hole is supposed to take, as in Linux (tcp_base_mss)."""
_SMALLEST: Final = 256
_AGAIN: Final = 10 * MINUTE


class PathMtu:
    """Sizes are of the payload of a segment, in octets; times in nanoseconds."""

    __slots__ = ("_least", "_limit", "_overhead", "_probe_at", "largest", "probe_end")

    def __init__(self, mss: int, options: int, limit: int, ip_header: int = _IPV4_HEADER) -> None:
        """``options``: octets of them in each segment. ``limit``: timeouts that tell of a black hole.

        ``ip_header``: octets of that, by which the version is known.
        """
        self.largest = mss
        self._overhead = ip_header + _TCP_HEADER + options
        self._least = _LEAST_MTU if ip_header == _IPV4_HEADER else _LEAST_MTU_6
        self._limit = limit
        self._probe_at = 0
        self.probe_end: int | None = None

    def after_too_big(self, mss: int, mtu: int, now: int) -> int | None:
        """The new segment size after an ICMP message about one of ``mss``; None when it says nothing."""
        size = mss + self._overhead
        if mtu == 0 and self._least == _LEAST_MTU:
            mtu = next((plateau for plateau in _PLATEAUS if plateau < size), 0)
        if not self._least <= mtu < size:
            return None
        self._probe_at = now + _AGAIN
        return mtu - self._overhead

    def after_timeouts(self, mss: int, timeouts: int, length: int, now: int) -> int | None:
        """The new segment size after ``timeouts`` in a row for one of ``length``; None when it stays."""
        smaller = _SMALL if mss > _SMALL else max(mss // 2, _SMALLEST)
        if not self._limit or timeouts < self._limit or length <= smaller:
            return None
        if self._probe_at < now:
            self._probe_at = now
        self.probe_end = None
        return smaller

    def wants_probe(self, mss: int, now: int) -> bool:
        """Whether a segment of the largest size should be tried."""
        return mss < self.largest and self.probe_end is None and now >= self._probe_at

    def probe_sent(self, end: int, now: int) -> None:
        """The probe ends at ``end``."""
        self.probe_end = end
        self._probe_at = now + _AGAIN

    def probe_arrived(self, delivered: list[Delivered]) -> bool:
        """Whether the probe is among what was acknowledged, as it was sent first."""
        if self.probe_end is None:
            return False
        for run in delivered:
            if run.end >= self.probe_end:
                arrived = run.end == self.probe_end and not run.again
                self.probe_end = None
                return arrived
        return False
