"""The sending half of a connection, second part: what shows that a recovery was needless, and takes it back.

A guest that is not scheduled for a while looks like loss, and so does reordering. Three things tell:

- timestamps: the first acknowledgment after a timeout is for what was sent before it (Eifel, RFC 3522);
- duplicates: all that was sent again is reported as having come twice (DSACK, RFC 3708);
- without timestamps, what is acknowledged after a timeout that was not sent again (F-RTO, ``frto``).

The response is that of RFC 4015: the windows are what they were, and nothing more is sent again.
"""

from typing import Final

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp.flight import SENT, Delivered
from guestnet.tcpip.tcp.frto import ForwardRto, Verdict
from guestnet.tcpip.tcp.outstanding import Outstanding

DUP_THRESH: Final = 3
"""Duplicate acknowledgments that indicate a loss (RFC 5681 3.2)."""
_PROBES: Final = 2
"""New segments by which F-RTO finds out (RFC 5682 2.1 step 2b)."""
_REAL_LOSS: Final = 3
"""Segments in the congestion window when there was a loss after all: two round trips are over (step 3a)."""


class Undo(Outstanding):
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = ()

    def on_old_ack(self, ack: int, blocks: list[tuple[int, int]]) -> None:
        """An acknowledgment that a later one has overtaken: what it says of duplicates is said only once."""
        if self.sack and is_dsack(blocks, ack):
            self._on_duplicate(blocks[0])

    def _on_duplicate(self, block: tuple[int, int]) -> None:
        """When all that was sent again arrives twice there was no loss at all (RFC 3708, RFC 9438 4.9)."""
        self.rack.on_dsack(self.snd_una, self.snd_nxt)
        if not self._undo_left or block[1] <= self._undo_from:
            return  # or it is of an earlier recovery
        self._undo_left -= block[1] - block[0]
        if self._undo_left <= 0:
            if not self._fast and self.recovery_point is not None:
                self._undo_timeout()
            self._undo_left = self._reduction = None
            self.congestion.on_spurious_loss()

    def _judge_timeout(self, now: int, stamp_rtt: int | None) -> None:
        """Eifel (RFC 3522, RFC 4015): the first ACK after a timeout may be for what was sent before it.

        Then nothing was lost, the peer or the path had only paused: a guest does that.
        """
        waited = now - (self._timeout_at or now)
        self._timeout_at = None
        if stamp_rtt is not None and stamp_rtt > waited + MILLISECOND and self.recovery_point is not None:
            self._undo_timeout()
            self.congestion.on_spurious_loss()

    def _undo_timeout(self) -> None:
        self.flight.find()
        self._leave_recovery()

    # --- F-RTO (RFC 5682) ---

    @property
    def _awaits_first_ack(self) -> bool:
        return self._forward is not None and not self._forward.has_probed

    def _begin_forward(self) -> None:
        """A timeout: from now on it is open whether there was a loss."""
        self._forward = ForwardRto(self.flight.latest, self.retries)

    def _judge_forward(self, acked: int, delivered: list[Delivered], *, is_duplicate: bool) -> None:
        forward = self._forward
        if forward is None:
            return
        if forward.has_probed:
            verdict = forward.on_second_ack(delivered, is_duplicate=is_duplicate, sack=self.sack)
        else:
            verdict = forward.on_first_ack(
                acked, self.snd_nxt, is_duplicate=is_duplicate, sack=self.sack,
                may_probe=self._may_probe(forward),
            )  # fmt: skip
        if verdict is Verdict.PROBE:
            self.flight.find()
            self._probe_forward()
        elif verdict is Verdict.SPURIOUS:
            if forward.timeouts < DUP_THRESH:
                # Else the duplicates of the one segment make as many duplicate ACKs as a loss does.
                self._recover = self.snd_una
            self._undo_timeout()
            self._undo_left = None
            self.congestion.on_spurious_loss()
        elif verdict is Verdict.REAL:
            self._end_forward()
            if forward.recover is not None:
                old = [run for run in self.flight.runs if run.mark == SENT and run.order <= forward.order]
                self.flight.lose(old)
                self.congestion.cwnd = _REAL_LOSS * self.mss

    def _may_probe(self, forward: ForwardRto) -> bool:
        """Something is still open, nothing of that was sent again, and there is something to probe with."""
        runs = self.flight.runs
        if not runs or any(run.order > forward.order for run in runs):
            return False
        return self._has_new or not self.flight.sacked

    @property
    def _has_new(self) -> bool:
        """Whether something may be sent for the first time, as far as the peer's window goes."""
        unsent = self.end - self.snd_nxt
        usable = min(self.snd_una + self.snd_wnd - self.snd_nxt, unsent)
        return usable > 0 and (usable >= self.mss or usable == unsent)

    def _probe_forward(self) -> None:
        if self._has_new:
            self._probe_room = _PROBES * self.mss
        else:
            self.flight.lose([self.flight.last_segment()])
            self._probe_room = self.mss


def is_dsack(blocks: list[tuple[int, int]], ack: int) -> bool:
    """Whether the first block reports what came twice (RFC 2883 4)."""
    left, right = blocks[0]
    if right <= ack:
        return True
    return len(blocks) > 1 and blocks[1][0] <= left and right <= blocks[1][1]
