"""The sending half of a connection, first part: what is in flight, and what an acknowledgment or a timer
tells of it. The theory is in ``sender``, which goes on from here.
"""

from typing import Final, NamedTuple

from harness.core.time import MILLISECOND, SECOND
from harness.tcpip.tcp.buffer import SendBuffer
from harness.tcpip.tcp.config import Config
from harness.tcpip.tcp.congestion import CongestionControl, NewReno
from harness.tcpip.tcp.flight import SACKED, SENT, Delivered, Flight
from harness.tcpip.tcp.path import PathMtu
from harness.tcpip.tcp.prr import RateReduction
from harness.tcpip.tcp.rack import Rack
from harness.tcpip.tcp.rtt import RttEstimator

DUP_THRESH: Final = 3
"""Duplicate acknowledgments that indicate a loss (RFC 5681 3.2)."""
_MAX_ACK_DELAY: Final = 200 * MILLISECOND
"""How long a peer may sit on the ACK of a single segment: the default of RFC 8985 7.2."""
_LEAST_WAIT: Final = 10 * MILLISECOND
"""Until a probe, however short the round trips: a guest that is not scheduled has lost nothing."""


class Cut(NamedTuple):
    """Octets to be sent now, as segments of at most ``size``. ``is_new``: for the first time."""

    seq: int
    length: int
    size: int
    is_new: bool


class Recovery:
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = (
        "_config", "_duplicate_octets", "_duplicates", "_fast", "_filled", "_force", "_full_until",
        "_last_sent", "_marked", "_persist_backoff", "_probe_allowed", "_probe_end", "_probe_is_again",
        "_reduced_until", "_reduction", "_syn_sent_at", "_timeout_at", "_undo_from", "_undo_left", "buffer",
        "congestion", "cwr_due", "fin_queued", "flight", "max_window", "mss", "path", "persist_at",
        "probe_at", "probing", "rack", "recovery_point", "reorder_at", "retries", "rto_at", "rtt", "sack",
        "snd_nxt", "snd_una", "snd_wl1", "snd_wl2", "snd_wnd",
    )  # fmt: skip

    def __init__(self, config: Config, iss: int) -> None:
        self._config = config
        self.snd_una = iss
        self.snd_nxt = iss
        self.snd_wnd = 0
        self.snd_wl1 = 0
        self.snd_wl2 = 0
        self.max_window = 0
        self.mss = 536
        self.sack = False
        self.buffer = SendBuffer(iss + 1, config.send_buffer)
        self.fin_queued = False
        self.flight = Flight()
        self.rack = Rack()
        self.path = PathMtu(self.mss, 0, config.black_hole_timeouts)
        self.congestion: CongestionControl = NewReno(self.mss)
        self.rtt = RttEstimator(config.initial_rto, config.min_rto, config.max_rto)
        self.rto_at: int | None = None
        self.reorder_at: int | None = None
        self.probe_at: int | None = None
        self.persist_at: int | None = None
        self.retries = 0
        self.probing = False
        self.recovery_point: int | None = None
        self._persist_backoff = 0
        self._probe_end: int | None = None
        self._probe_is_again = False
        self._probe_allowed = True
        self._fast = False
        self._force = False
        self._reduction: RateReduction | None = None
        self._duplicates = 0
        self._duplicate_octets = 0
        self._undo_left: int | None = None
        self._undo_from = iss
        self._syn_sent_at: int | None = None
        self.cwr_due = False
        self._marked = False
        self._reduced_until = iss
        self._timeout_at: int | None = None
        self._last_sent = 0
        self._full_until = iss
        self._filled = 0

    @property
    def end(self) -> int:
        """The end of all that is to be sent, FIN included."""
        return self.buffer.end + self.fin_queued

    @property
    def has_unsent(self) -> bool:
        """Whether something is to be sent, for the first time or again."""
        return self.flight.lost > 0 or self.snd_nxt < self.buffer.end + self.fin_queued

    @property
    def fin_acknowledged(self) -> bool:
        """Whether the peer has everything and our FIN."""
        return self.fin_queued and self.snd_una > self.buffer.end

    @property
    def pipe(self) -> int:
        """Octets that we believe to be in the network."""
        return max(self.flight.pipe - self._duplicate_octets, 0)

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
            dsack = _is_dsack(blocks, ack)
            for left, right in sorted(blocks[dsack:]):
                if self.snd_una <= left < right <= self.snd_nxt:
                    delivered += self.flight.sack(left, right)
        if acked == 0 and in_flight > 0 and (delivered if self.sack else bare) and not self.probing:
            self._duplicates += 1
            if not self.sack and (self._fast or self.recovery_point is None):
                self._duplicate_octets = min(self._duplicate_octets + self.mss, self.snd_nxt - self.snd_una)
        if self._timeout_at is not None and acked > 0:
            self._judge_timeout(now, stamp_rtt)
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
        if self.probing or not flight.runs:
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
            if self._duplicates >= DUP_THRESH and self.flight.runs:
                self.flight.lose_before(min(ack + self.mss, self.snd_nxt))
                self._enter_recovery(now)
        elif acked > 0 and self._fast:
            # A partial ACK: the next segment is lost too (RFC 6582 3.2 step 3).
            self._duplicate_octets = max(self._duplicate_octets - max(acked - self.mss, 0), 0)
            self.flight.lose_before(min(ack + self.mss, self.snd_nxt))
            self._force = True

    def on_old_ack(self, ack: int, blocks: list[tuple[int, int]]) -> None:
        """An acknowledgment that a later one has overtaken: what it says of duplicates is said only once."""
        if self.sack and _is_dsack(blocks, ack):
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

    @property
    def flight_size(self) -> int:
        """FlightSize (RFC 5681 2) when the last segments had been sent: while a batch is read it is less.

        At most ``cwnd``, for in a long recovery much of it is SACKed.
        """
        return min(max(self.snd_nxt - self.snd_una, self._filled), self.congestion.cwnd)

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

    def _leave_recovery(self) -> None:
        self.recovery_point = None
        self._reduction = None
        self._fast = False
        self._force = False
        self._duplicates = 0
        self._duplicate_octets = 0
        self.rack.on_recovered()

    # --- sending ---

    def _fresh(self, length: int, now: int, size: int) -> Cut:
        seq = self.snd_nxt
        self.snd_nxt = seq + length
        self.flight.add(seq, self.snd_nxt, now, size)
        return Cut(seq, length, size, is_new=True)

    def _sent(self, now: int) -> None:
        self._last_sent = now
        self.persist_at = None
        if self.rto_at is None:
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

    def _resize(self, mss: int) -> None:
        self.mss = mss
        self.congestion.on_mss(mss)
        runs = self.flight.runs
        self.flight.lose(
            [run for run in runs if run.mark == SENT and min(run.size, run.end - run.start) > mss]
        )

    def _go_back(self) -> None:
        """Send what is lost again without telling more losses from duplicates, until all is acknowledged."""
        self.recovery_point = self.snd_nxt
        self._reduction = None
        self._undo_left = None
        self._fast = False
        self._force = True
        self._duplicates = 0
        self._duplicate_octets = 0
        self._probe_end = self.probe_at = self.reorder_at = None
        self._syn_sent_at = None

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
        self.retries += 1
        self.rtt.back_off()
        self._go_back()
        self._undo_left = undo_left
        if flight.runs:
            length = min(flight.runs[0].end - flight.runs[0].start, flight.runs[0].size)
            smaller = self.path.after_timeouts(self.mss, self.retries, length, now)
            if smaller is not None:
                self._resize(smaller)
        if not self.sack or (flight.runs and flight.runs[0].mark == SACKED):
            # Without SACK nobody tells more; and a peer that acknowledges less than it had SACKed has thrown
            # away the rest (RFC 2018 8, with the test of RFC 6675 5.1).
            flight.lose(list(flight.runs))
        else:
            window = self.rack.window(self.rtt.srtt or 0, certain=True)
            flight.lose(self.rack.lost_on_timeout(flight, self.snd_una, window, now))
        self.rto_at = now + self.rtt.rto


def _is_dsack(blocks: list[tuple[int, int]], ack: int) -> bool:
    """Whether the first block reports what came twice (RFC 2883 4)."""
    left, right = blocks[0]
    if right <= ack:
        return True
    return len(blocks) > 1 and blocks[1][0] <= left and right <= blocks[1][1]
