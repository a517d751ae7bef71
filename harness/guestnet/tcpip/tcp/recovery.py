"""The sending half of a connection, third part: what an acknowledgment or a timer tells of the flight."""

from typing import Final

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp.flight import SACKED, Delivered
from guestnet.tcpip.tcp.outstanding import Cut
from guestnet.tcpip.tcp.prr import RateReduction
from guestnet.tcpip.tcp.undo import DUP_THRESH, Undo, is_dsack

_MAX_ACK_DELAY: Final = 200 * MILLISECOND
"""How long a peer may sit on the ACK of a single segment: the default of RFC 8985 7.2."""
_LEAST_WAIT: Final = 10 * MILLISECOND
"""Until a probe, however short the round trips: a guest that is not scheduled has lost nothing."""


class Recovery(Undo):
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = ()

    # --- acknowledgments ---

    def on_ack(
        self, ack: int, blocks: list[tuple[int, int]], now: int, *, bare: bool, stamp_rtt: int | None
    ) -> int:
        """Take an acceptable acknowledgment; returns how many octets it acknowledged.

        ``bare``: neither data, SYN, FIN nor a new window, so that it may be a duplicate (RFC 5681 2).
        ``stamp_rtt``: the round trip that its timestamp tells, if any.
        """
        acked = ack - self.snd_una
        in_flight = self.snd_nxt - self.snd_una
        sacked, lost = self.flight.sacked, self.flight.lost
        grows = acked > 0 and not self._fast and self.snd_una < self._full_until
        delivered = self._advance(ack, now, stamp_rtt) if acked > 0 else []
        dsack = False
        if blocks and self.sack:
            dsack = is_dsack(blocks, ack)
            for left, right in sorted(blocks[dsack:]):
                if self.snd_una <= left < right <= self.snd_nxt:
                    delivered += self.flight.sack(left, right)
        if acked == 0 and in_flight > 0 and (delivered if self.sack else bare) and not self.probing:
            self._duplicates += 1
            if not self.sack and (self._fast or self.recovery_point is None):
                self._duplicate_octets = min(self._duplicate_octets + self.mss, self.snd_nxt - self.snd_una)
        if self._timeout_at is not None and acked > 0:
            self._judge_timeout(now, stamp_rtt)
        if self._forward is not None:
            if stamp_rtt is not None:
                self._end_forward()  # the timestamp has told
            else:
                self._judge_forward(acked, delivered, is_duplicate=acked == 0 and (bare or bool(delivered)))
        if self._probe_end is not None and ack >= self._probe_end:
            self._end_probe(ack, now, blocks[0] if dsack else None, bare=bare and not (acked or blocks))
        if self.recovery_point is not None and ack >= self.recovery_point:
            self._leave_recovery()
        if self.sack:
            self.rack.on_delivered(delivered, now, stamp_rtt if acked > 0 else None)
            if dsack:
                self._on_duplicate(blocks[0])
            if self.flight.sacked or self.recovery_point is not None:
                self._detect_by_rack(now)
            else:
                self.reorder_at = None
        else:
            self._detect_by_duplicates(ack, acked, now)
        if self._reduction is not None:
            new = max(acked + self.flight.sacked - sacked, 0)
            safe = acked > 0 and self.flight.lost <= lost
            self._reduction.on_ack(new, self.pipe, self.congestion.ssthresh, self.mss, safe=safe)
        if acked or delivered:
            if self.path.probe_end is not None and self.path.probe_arrived(delivered):
                self._resize(self.path.largest)
            self._arm_probe(now)
        if grows and not self._marked:
            self.congestion.on_ack(acked, now, self.rtt.srtt)
        self._marked = False
        return acked

    def _advance(self, ack: int, now: int, stamp_rtt: int | None) -> list[Delivered]:
        self.snd_una = ack
        self.retries = 0
        self._duplicates = 0
        if self.recovery_point is None:
            self._duplicate_octets = 0
        buffer = self.buffer
        if ack > buffer.start:
            buffer.acknowledge(min(ack, buffer.end))
        delivered = self.flight.acknowledge(ack)
        rtt = stamp_rtt
        if self._syn_sent_at is not None:
            rtt = now - self._syn_sent_at
            self._syn_sent_at = None
        else:
            for run in reversed(delivered):
                # Karn (RFC 6298 3). The first one, for it may have waited for a delayed ACK.
                if run.again:
                    rtt = stamp_rtt
                    break
                rtt = now - run.sent_at
        if rtt is not None:
            self.rtt.sample(rtt)
            self.congestion.on_round_trip(rtt, ack, self.snd_nxt)
            self._probe_allowed = True
        self._persist_backoff = 0
        self.rto_at = now + self.rtt.rto if ack < self.snd_nxt and not self.probing else None
        return delivered

    def _detect_by_rack(self, now: int) -> None:
        flight = self.flight
        self.reorder_at = None
        if self.probing or not flight.runs or (self._forward is not None and self._forward.has_probed):
            return
        certain = (
            self.recovery_point is not None
            or self._duplicates >= DUP_THRESH
            or flight.sacked > (DUP_THRESH - 1) * self.mss
        )
        window = self.rack.window(self.rtt.srtt or 0, certain=certain)
        lost, self.reorder_at = self.rack.losses(flight, window, now)
        if lost:
            flight.lose(lost)
        if flight.lost and self.recovery_point is None:
            self._enter_recovery(now)

    def _detect_by_duplicates(self, ack: int, acked: int, now: int) -> None:
        if self.recovery_point is None:
            # Of what was sent by the last timeout all is sent twice, and acknowledged twice (RFC 6582 3.2).
            if self._duplicates >= DUP_THRESH and self.flight.runs and ack > self._recover:
                self.flight.lose_before(min(ack + self.mss, self.snd_nxt))
                self._enter_recovery(now)
        elif acked > 0 and self._fast:
            # A partial ACK: the next segment is lost too (RFC 6582 3.2 step 3).
            self._duplicate_octets = max(self._duplicate_octets - max(acked - self.mss, 0), 0)
            self.flight.lose_before(min(ack + self.mss, self.snd_nxt))
            self._force = True

    def _enter_recovery(self, now: int) -> None:
        if self.sack:
            self._reduction = RateReduction(self.flight_size, self.pipe)
        self.congestion.on_loss(self.flight_size, now)
        self.recovery_point = self.snd_nxt
        self.cwr_due = True
        self._undo_left = 0
        self._undo_from = self.snd_una
        self._fast = True
        self._force = True  # the first segment goes whatever the pipe (RFC 6675 5 step 4.3)
        self._probe_end = self.probe_at = None
        self.rto_at = now + self.rtt.rto

    # --- the tail loss probe (RFC 8985 7) ---

    def _arm_probe(self, now: int) -> None:
        """RFC 8985 7.2: outside of a recovery, with nothing SACKed; never later than the RTO."""
        flight = self.flight
        self.probe_at = None
        if not self.sack or not flight.runs or flight.sacked or self.recovery_point is not None:
            return
        if not self._probe_allowed or self._probe_end is not None or self.probing or self.rto_at is None:
            return
        wait = max(2 * self.rtt.srtt, _LEAST_WAIT) if self.rtt.srtt is not None else SECOND
        if self.snd_nxt - self.snd_una <= self.mss:
            wait += _MAX_ACK_DELAY
        self.probe_at = min(now + wait, self.rto_at)

    def on_probe(self, now: int) -> Cut:
        """The peer is silent: a new segment goes out if there is one, or else the last again (7.3)."""
        self.probe_at = None
        usable = min(self.snd_una + self.snd_wnd, self.end) - self.snd_nxt
        self._probe_is_again = usable <= 0
        if usable > 0:
            cut = self._fresh(min(usable, self.mss), now, self.mss)
        else:
            last = self.flight.last_segment()
            cut = Cut(last.start, last.end - last.start, self.mss, is_new=False)
            self.flight.resend(last, cut.length, now, self.mss)
        self._probe_end = self.snd_nxt
        self._probe_allowed = False
        self._last_sent = now
        self.rto_at = now + self.rtt.rto
        return cut

    def _end_probe(self, ack: int, now: int, dsack: tuple[int, int] | None, *, bare: bool) -> None:
        """RFC 8985 7.4.2: was what the probe sent again a loss, to which congestion control has to react?"""
        end = self._probe_end
        if not self._probe_is_again or bare or (dsack is not None and dsack[1] == end):
            self._probe_end = None
        elif end is not None and ack > end:
            self._probe_end = None
            self.congestion.on_loss(self.flight_size, now)

    # --- the path MTU ---

    def on_packet_too_big(self, mtu: int, now: int) -> None:
        """ICMP: what was too large for the path goes again in smaller segments. That is no congestion."""
        smaller = self.path.after_too_big(self.mss, mtu, now)
        if smaller is None:
            return
        self._resize(smaller)
        if self.flight.lost:
            self._go_back()
            self.rtt.calm()
            self.rto_at = now + self.rtt.rto

    # --- timers ---

    def on_reorder_timer(self, now: int) -> None:
        """The reordering window is over for what was sent before the latest delivery."""
        self._detect_by_rack(now)

    def on_rto(self, now: int) -> None:
        """The retransmission timer ran out: the first segment is lost, and all as old (RFC 8985 6.3)."""
        flight = self.flight
        if self.retries == 0:
            self.congestion.on_timeout(self.flight_size, now)
            self.cwr_due = True
            self._timeout_at = now if flight.runs else None
            self._undo_from = self.snd_una
        undo_left = self._undo_left if self.retries else 0
        # Who is in slow start after an earlier timeout has sent again more than one segment (RFC 5682 2.1).
        begins = self.recovery_point is None or self._fast or self._awaits_first_ack
        self.retries += 1
        self._recover = self.snd_nxt
        self.rtt.back_off()
        self._go_back()
        self._undo_left = undo_left
        if flight.runs:
            length = min(flight.runs[0].end - flight.runs[0].start, flight.runs[0].size)
            smaller = self.path.after_timeouts(self.mss, self.retries, length, now)
            if smaller is not None:
                self._resize(smaller)
        is_reneged = bool(flight.runs) and flight.runs[0].mark == SACKED
        if not self.sack or is_reneged:
            # Without SACK nobody tells more; and a peer that acknowledges less than it had SACKed has thrown
            # away the rest (RFC 2018 8, with the test of RFC 6675 5.1).
            flight.lose(list(flight.runs))
        else:
            window = self.rack.window(self.rtt.srtt or 0, certain=True)
            flight.lose(self.rack.lost_on_timeout(flight, self.snd_una, window, now))
        if begins and flight.runs and not is_reneged:
            self._begin_forward()
        self.rto_at = now + self.rtt.rto
