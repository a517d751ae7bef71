"""F-RTO (RFC 5682): was there a loss at all when the retransmission timer ran out?

Theory of operation. After a timeout one segment is sent again and its acknowledgment awaited. If that leaves
something open, two *new* segments go out rather than more of the old (``Verdict.PROBE``), and the
acknowledgment that follows decides: nothing was sent twice but the one segment, so if more of the old is
acknowledged it had arrived by itself, and the peer or the path had only paused (``SPURIOUS``). If what
arrives lies beyond a hole, the hole is a loss (``REAL``), and slow start goes on. Where nothing new can be
sent, as when the window or a buffer is full, the last segment is sent again instead (RFC 5682 appendix A):
its arrival tells of a hole too, and is told from that of others. That is not worth it where SACK has told of
holes already.

It needs neither timestamps nor DSACK: with timestamps the first acknowledgment tells as much (RFC 3522).
With SACK it is the form of RFC 5682 3.1, which waits through duplicate acknowledgments; without, that of 2.1.
"""

from enum import Enum, auto

from guestnet.tcpip.tcp.flight import Delivered


class Verdict(Enum):
    """What an acknowledgment says of the timeout."""

    OPEN = auto()
    """Nothing yet."""
    PROBE = auto()
    """Send up to two new segments, and no old one, before the next acknowledgment."""
    REAL = auto()
    SPURIOUS = auto()


class ForwardRto:
    """Of one timeout. ``order``: what is sent from it on has a larger one in the flight."""

    __slots__ = ("order", "recover", "timeouts")

    def __init__(self, order: int, timeouts: int) -> None:
        self.order = order
        self.timeouts = timeouts
        self.recover: int | None = None

    @property
    def has_probed(self) -> bool:
        """Whether the new segments are out, or may go out: the next acknowledgment decides."""
        return self.recover is not None

    def on_first_ack(
        self, acked: int, nxt: int, *, is_duplicate: bool, sack: bool, may_probe: bool
    ) -> Verdict:
        """Step 2: ``acked`` octets are new, all up to ``nxt`` was sent.

        ``may_probe``: all that was sent again is acknowledged, and not all that was sent.
        """
        if acked == 0:
            return Verdict.REAL if is_duplicate and not sack else Verdict.OPEN
        if not may_probe:
            return Verdict.REAL
        self.recover = nxt
        return Verdict.PROBE

    def on_second_ack(self, delivered: list[Delivered], *, is_duplicate: bool, sack: bool) -> Verdict:
        """Step 3: ``delivered`` is what is acknowledged or SACKed for the first time."""
        if sack and self.recover is not None and any(one.end > self.recover for one in delivered):
            return Verdict.REAL
        if any(one.order <= self.order for one in delivered):
            return Verdict.SPURIOUS
        return Verdict.REAL if is_duplicate or delivered else Verdict.OPEN
