"""The sending half of a connection: what to send when, and what to make of an acknowledgment.

Theory of operation. Everything sent and not acknowledged lies in [snd_una, snd_nxt). Two edges part it:

    snd_una          high_rxt            lost_edge                        snd_nxt        end
       |  sent again    |  lost, to be      |  in the network, or SACKed     |  not sent   |
       |  since the loss|  sent again       |                                |  yet        |

``pipe``, what we believe to be in the network, is the unSACKed part of the first and the third stretch
(SetPipe of RFC 6675 4), and we send while it is below ``cwnd``: first what is lost, then what is new.
All ways into a loss are moves of these edges:

- SACK tells of a loss (RFC 6675), or three duplicate ACKs do (RFC 5681, RFC 6582): fast recovery.
  Without SACK each duplicate stands for a segment that has left the network (``_duplicate_octets``), and
  each partial ACK for the loss of the next segment.
- The retransmission timer (RFC 6298): all in flight is lost, ``cwnd`` is one segment, slow start.

Either lasts until ``recovery_point``, the ``snd_nxt`` at its start, is acknowledged.

SYN and FIN count as one octet each; FIN is the one at ``buffer.end``. The SYN is the connection's.
A closed window is probed by the persist timer with one octet (RFC 9293 3.8.6.1), which then is in flight
as any other but not guarded by the retransmission timer.
"""

from typing import Final

from harness.tcpip.tcp.buffer import SendBuffer
from harness.tcpip.tcp.config import Config
from harness.tcpip.tcp.congestion import CongestionControl, NewReno
from harness.tcpip.tcp.rtt import RttEstimator
from harness.tcpip.tcp.scoreboard import DUP_THRESH, Scoreboard

_NEVER: Final = -1


class Sender:
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = (
        "_config", "_duplicate_octets", "_duplicates", "_fast", "_force", "_last_sent",
        "_persist_backoff", "_rescued", "_timed_at", "_timed_seq", "buffer", "congestion", "fin_queued",
        "high_rxt", "lost_edge", "max_window", "mss", "persist_at", "probing", "recovery_point",
        "retries", "rto_at", "rtt", "sack", "scoreboard", "snd_nxt", "snd_una", "snd_wl1", "snd_wl2",
        "snd_wnd",
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
        self.scoreboard = Scoreboard()
        self.congestion: CongestionControl = NewReno(self.mss)
        self.rtt = RttEstimator(config.initial_rto, config.min_rto, config.max_rto)
        self.rto_at: int | None = None
        self.persist_at: int | None = None
        self.retries = 0
        self.probing = False
        self._persist_backoff = 0
        self.high_rxt = iss
        self.lost_edge = iss
        self.recovery_point: int | None = None
        self._fast = False
        self._force = False
        self._rescued = False
        self._duplicates = 0
        self._duplicate_octets = 0
        self._timed_seq = _NEVER
        self._timed_at = 0
        self._last_sent = 0

    def synchronize(self, mss: int, *, sack: bool) -> None:
        """The handshake has told the segment size (without options) and whether SACK may be used."""
        self.mss = mss
        self.sack = sack
        self.congestion = NewReno(mss)

    def sent_syn(self, now: int) -> None:
        """The SYN or SYN-ACK goes out: the first one is timed, and no other is (Karn)."""
        self.snd_nxt = max(self.snd_nxt, self.snd_una + 1)
        self._last_sent = now
        if self.rto_at is None:
            self._timed_seq, self._timed_at = self.snd_nxt, now
            self.rto_at = now + self.rtt.rto
        else:
            self._timed_seq = _NEVER

    @property
    def end(self) -> int:
        """The end of all that is to be sent, FIN included."""
        return self.buffer.end + self.fin_queued

    @property
    def fin_acknowledged(self) -> bool:
        """Whether the peer has everything and our FIN."""
        return self.fin_queued and self.snd_una > self.buffer.end

    @property
    def pipe(self) -> int:
        """Octets that we believe to be in the network."""
        in_network = self.snd_nxt - max(self.lost_edge, self.snd_una) + max(self.high_rxt - self.snd_una, 0)
        if self.scoreboard.ranges:
            unsacked = self.scoreboard.unsacked
            in_network = unsacked(self.lost_edge, self.snd_nxt) + unsacked(self.snd_una, self.high_rxt)
        return max(in_network - self._duplicate_octets, 0)

    # --- acknowledgments ---

    def update_window(self, seq: int, ack: int, window: int) -> bool:
        """SND.WND from a segment that is not older than the last one used; True when it changed."""
        if seq < self.snd_wl1 or (seq == self.snd_wl1 and ack < self.snd_wl2):
            return False
        changed = window != self.snd_wnd
        self.snd_wl1, self.snd_wl2, self.snd_wnd = seq, ack, window
        if window > self.max_window:
            self.max_window = window
        if window == 0:
            # The peer lives and only cannot take more (RFC 9293 3.8.6.1: as long as it acknowledges).
            self.retries = 0
        elif self.probing:
            self._end_probing(ack)
        return changed

    def _end_probing(self, ack: int) -> None:
        self.probing = False
        self.persist_at = None
        self._persist_backoff = 0
        if self.snd_nxt > ack:
            # The peer did not take the octet of the probe: it is the first to be sent now.
            self._lose(self.snd_nxt)

    def on_ack(
        self, ack: int, blocks: list[tuple[int, int]], now: int, *, bare: bool, stamp_rtt: int | None
    ) -> int:
        """Take an acceptable acknowledgment; returns how many octets it acknowledged.

        ``bare``: neither data, SYN, FIN nor a new window, so that it may be a duplicate (RFC 5681 2).
        ``stamp_rtt``: the round trip that its timestamp tells, if any.
        """
        acked = ack - self.snd_una
        in_flight = self.snd_nxt - self.snd_una
        grows = acked > 0 and not self._fast and in_flight + 2 * self.mss >= self.congestion.cwnd
        if acked > 0:
            self._advance(ack, now, stamp_rtt)
        told_new = False
        if self.sack:
            for left, right in blocks:
                if self.snd_una <= left < right <= self.snd_nxt:
                    told_new |= self.scoreboard.add(left, right)
        if acked == 0 and in_flight > 0 and (told_new if self.sack else bare) and not self.probing:
            self._duplicates += 1
            if not self.sack and (self._fast or self.recovery_point is None):
                self._duplicate_octets = min(self._duplicate_octets + self.mss, self.snd_nxt - self.snd_una)
        if self.scoreboard.ranges and self.recovery_point is not None:
            self.lost_edge = max(self.lost_edge, self.scoreboard.lost_below(self.mss))
        if self.recovery_point is None:
            self._detect_loss(now)
        elif ack >= self.recovery_point:
            self._leave_recovery()
        elif acked > 0 and self._fast and not self.sack:
            # A partial ACK: the next segment is lost too (RFC 6582 3.2 step 3).
            self._duplicate_octets = max(self._duplicate_octets - max(acked - self.mss, 0), 0)
            self.high_rxt = ack
            self.lost_edge = min(ack + self.mss, self.snd_nxt)
            self._force = True
        if grows:
            self.congestion.on_ack(acked, now, self.rtt.srtt)
        return acked

    def _advance(self, ack: int, now: int, stamp_rtt: int | None) -> None:
        self.snd_una = ack
        self.retries = 0
        self._duplicates = 0
        if self.recovery_point is None:
            self._duplicate_octets = 0
        buffer = self.buffer
        if ack > buffer.start:
            buffer.acknowledge(min(ack, buffer.end))
        if self.scoreboard.ranges:
            self.scoreboard.advance(ack)
        if self.high_rxt < ack:
            self.high_rxt = ack
        if self.lost_edge < ack:
            self.lost_edge = ack
        if self._timed_seq != _NEVER:
            if ack >= self._timed_seq:
                self._timed_seq = _NEVER
                self.rtt.sample(now - self._timed_at)
        elif stamp_rtt is not None:
            self.rtt.sample(stamp_rtt)
        self._persist_backoff = 0
        self.rto_at = now + self.rtt.rto if ack < self.snd_nxt and not self.probing else None

    def _detect_loss(self, now: int) -> None:
        if self.probing or self.snd_nxt == self.snd_una:
            return
        lost = self.scoreboard.lost_below(self.mss) if self.scoreboard.ranges else 0
        if self._duplicates < DUP_THRESH and lost <= self.snd_una:
            return
        self.congestion.on_loss(self.snd_nxt - self.snd_una, now)
        self.recovery_point = self.snd_nxt
        self._fast = True
        self._rescued = False
        self._lose(max(lost, min(self.snd_una + self.mss, self.snd_nxt)))
        self.rto_at = now + self.rtt.rto

    def _lose(self, edge: int) -> None:
        """All before ``edge`` is lost and not sent again yet; the first segment goes whatever the pipe."""
        self.lost_edge = edge
        self.high_rxt = self.snd_una
        self._force = True
        self._timed_seq = _NEVER  # Karn: a sample would be ambiguous

    def _leave_recovery(self) -> None:
        self.recovery_point = None
        self._fast = False
        self._force = False
        self._duplicates = 0
        self._duplicate_octets = 0
        self.lost_edge = self.high_rxt = self.snd_una

    # --- what to send ---

    def next_run(self, now: int, budget: int) -> tuple[int, int] | None:
        """(seq, length) of what is to be sent now, at most ``budget`` octets; it counts as sent."""
        if self.probing:
            return None
        allowance = self.congestion.cwnd - self.pipe
        if self.high_rxt < self.lost_edge:
            hole = self.scoreboard.hole(self.high_rxt, self.lost_edge)
            if hole is not None:
                return self._again(hole[0], hole[1], min(allowance, budget), now)
            self.high_rxt = self.lost_edge
        unsent = self.buffer.end + self.fin_queued - self.snd_nxt
        if unsent > 0:
            run = self._new(unsent, min(allowance, budget), now)
            if run is not None:
                return run
        if self._fast and self.sack and allowance >= self.mss:
            return self._speculate(now)
        return None

    def _again(self, seq: int, end: int, allowance: int, now: int) -> tuple[int, int] | None:
        if self._force:
            allowance = max(allowance, self.mss)
        length = end - seq
        if length > allowance:
            length = allowance - allowance % self.mss
        if length <= 0:
            return None
        self._force = False
        self.high_rxt = seq + length
        self._sent(now)
        return seq, length

    def _new(self, unsent: int, allowance: int, now: int) -> tuple[int, int] | None:
        usable = self.snd_una + self.snd_wnd - self.snd_nxt
        length = min(unsent, usable, allowance)
        if length < unsent:
            whole = length - length % self.mss if length > 0 else 0
            # SWS avoidance (RFC 9293 3.8.6.2.1): whole segments, or half of the largest window ever seen.
            half = length == usable and 0 < self.max_window <= 2 * length
            if whole == 0 and not half:
                return None
            length = whole or length
        if self.snd_nxt == self.snd_una and now - self._last_sent > self.rtt.rto:
            self.congestion.on_idle()
            length = min(length, max(self.congestion.cwnd, self.mss))
        seq = self.snd_nxt
        self.snd_nxt = seq + length
        if self.recovery_point is None:
            # Nothing is lost: the edges stay at the first unacknowledged octet.
            self.lost_edge = self.high_rxt = self.snd_una
        if self._timed_seq == _NEVER and self.recovery_point is None:
            self._timed_seq = seq + min(length, self.mss)
            self._timed_at = now
        self._sent(now)
        return seq, length

    def _speculate(self, now: int) -> tuple[int, int] | None:
        """Rules 3 and 4 of NextSeg (RFC 6675 4): below the highest SACK, and once the very last segment."""
        hole = self.scoreboard.hole(max(self.high_rxt, self.snd_una), self.scoreboard.highest)
        if hole is not None:
            seq, length = hole[0], min(hole[1] - hole[0], self.mss)
            self.high_rxt = seq + length
            self.lost_edge = max(self.lost_edge, self.high_rxt)
            self._sent(now)
            return seq, length
        if self._rescued or self.scoreboard.highest >= self.snd_nxt:
            return None
        self._rescued = True
        length = min(self.mss, self.snd_nxt - max(self.scoreboard.highest, self.snd_una))
        self._sent(now)
        return self.snd_nxt - length, length

    def _sent(self, now: int) -> None:
        self._last_sent = now
        self.persist_at = None
        if self.rto_at is None:
            self.rto_at = now + self.rtt.rto

    def settle(self, now: int) -> None:
        """All that could be sent was: arm the persist timer when the window stands in the way of the rest."""
        if self.snd_nxt < self.end and self.snd_una == self.snd_nxt and self.persist_at is None:
            self.persist_at = now + self._persist_interval()

    def _persist_interval(self) -> int:
        return min(self.rtt.rto << self._persist_backoff, self._config.max_rto)

    # --- timers ---

    def on_persist(self, now: int) -> tuple[int, int]:
        """The persist timer ran out: (seq, length) of the probe, or of what a silly window permits."""
        self._persist_backoff += 1
        self.retries += 1
        usable = self.snd_una + self.snd_wnd - self.snd_nxt
        seq = self.snd_una
        if usable > 0:
            length = min(usable, self.end - seq, self.mss)
            self.snd_nxt = seq + length
            self._sent(now)
            return seq, length
        self.probing = True
        self.snd_nxt = max(self.snd_nxt, seq + 1)
        self.persist_at = now + self._persist_interval()
        return seq, 1

    def on_rto(self, now: int) -> None:
        """The retransmission timer ran out: all in flight is lost."""
        if self.retries == 0:
            self.congestion.on_timeout(self.snd_nxt - self.snd_una, now)
        self.retries += 1
        self.rtt.back_off()
        self.scoreboard.clear()
        self._duplicates = 0
        self._duplicate_octets = 0
        self.recovery_point = self.snd_nxt
        self._fast = False
        self._lose(self.snd_nxt)
        self.rto_at = now + self.rtt.rto
