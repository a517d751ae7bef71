"""Proportional rate reduction (RFC 6937): in a fast recovery, send at the pace at which octets arrive.

``pipe`` may be far below the reduced ``cwnd`` when much was lost: to fill that at once would be a burst, and
lose again what is sent again. So the way down to ``ssthresh`` is in proportion to what is delivered, and the
way up to it slow start with the reduction bound (3.1, PRR-SSRB).
"""


class RateReduction:
    """For one recovery. Octets throughout; ``cwnd`` takes the place of congestion control's."""

    __slots__ = ("_delivered", "_in_flight", "_out", "cwnd")

    def __init__(self, in_flight: int, pipe: int) -> None:
        self._in_flight = max(in_flight, 1)
        self._delivered = 0
        self._out = 0
        self.cwnd = pipe

    def on_ack(self, delivered: int, pipe: int, ssthresh: int, mss: int, *, safe: bool) -> None:
        """``delivered`` octets were told for the first time. ``safe``: SND.UNA advanced, no more is lost."""
        self._delivered += delivered
        if pipe > ssthresh:
            count = -(-self._delivered * ssthresh // self._in_flight) - self._out
        else:
            limit = max(self._delivered - self._out, delivered)
            count = min(ssthresh - pipe, limit + mss if safe else limit)
        self.cwnd = pipe + max(count, 0)

    def sent(self, octets: int) -> None:
        """New or again."""
        self._out += octets
