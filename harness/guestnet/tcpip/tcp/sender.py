"""The sending half of a connection: what to send when, and what to make of an acknowledgment.

Theory of operation. Everything sent and not acknowledged lies in [snd_una, snd_nxt); ``flight`` knows of each
octet whether it is in the network, lost or SACKed, and when it was sent. We send while ``pipe``, the part in
the network, is below ``cwnd``: first what is lost, then what is new. An octet becomes lost in these ways:

- With SACK by RACK (RFC 8985 6): what was sent after it has arrived. When the peer falls silent, the last
  segment or a new one goes out as a probe after two round trips (TLP, RFC 8985 7), whose acknowledgment
  then tells of the losses; a timeout would cost much more.
- Without SACK by three duplicate ACKs (RFC 5681, RFC 6582): each duplicate stands for a segment that has left
  the network (``_duplicate_octets``), and each partial ACK for the loss of the next segment.
- By the retransmission timer (RFC 6298): ``cwnd`` is one segment then, slow start follows. When the next ACK
  turns out to be for what was sent before, the peer had only paused: all of that is taken back (``undo``).

The first two make a fast recovery, for which ``cwnd`` is reduced once, with SACK at the pace of what arrives
(``prr``). It and the slow start after a timeout last until ``recovery_point``, the ``snd_nxt`` at the
beginning, is acknowledged.

SYN and FIN count as one octet each; FIN is the one at ``buffer.end``. The SYN is the connection's.
A closed window is probed by the persist timer with one octet (RFC 9293 3.8.6.1), which then is in flight
as any other but not guarded by the retransmission timer.
"""

from collections.abc import Callable
from typing import Final

from guestnet.tcpip.tcp.congestion import CongestionControl, NewReno
from guestnet.tcpip.tcp.cubic import Cubic
from guestnet.tcpip.tcp.outstanding import Cut
from guestnet.tcpip.tcp.path import PathMtu
from guestnet.tcpip.tcp.recovery import Recovery
from guestnet.wire.octets import Octets

_CONTROLS: Final[dict[str, Callable[[int], CongestionControl]]] = {"cubic": Cubic, "newreno": NewReno}


class Sender(Recovery):
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = ()

    def synchronize(self, mss: int, options: int, *, sack: bool, ip_header: int) -> None:
        """The handshake has told the segment size with ``options``, and whether SACK may be used."""
        self.mss = mss = mss - options
        self.path = PathMtu(mss, options, self._config.black_hole_timeouts, ip_header)
        self.sack = sack
        self.congestion = _CONTROLS[self._config.congestion](mss)

    def sent_syn(self, now: int) -> None:
        """The SYN or SYN-ACK goes out: the first one is timed, and no other is (Karn)."""
        self.snd_nxt = max(self.snd_nxt, self.snd_una + 1)
        self._last_sent = now
        if self.rto_at is None:
            self._syn_sent_at = now
            self.rto_at = now + self.rtt.rto
        else:
            self._syn_sent_at = None

    def update_window(self, seq: int, ack: int, window: int, now: int) -> bool:
        """SND.WND from a segment that is not older than the last one used; True when it changed."""
        if seq < self.snd_wl1 or (seq == self.snd_wl1 and ack < self.snd_wl2):
            return False
        changed = window != self.snd_wnd
        if self.snd_wnd == 0 < window and self.rto_at is not None:
            # The window was closed over what is in flight, and opens: the wait for that begins anew.
            self.rtt.calm()
            self.rto_at = min(self.rto_at, now + self.rtt.rto)
        self.snd_wl1, self.snd_wl2, self.snd_wnd = seq, ack, window
        if window > self.max_window:
            self.max_window = window
        if window == 0:
            # The peer lives and only cannot take more (RFC 9293 3.8.6.1: as long as it acknowledges).
            self.retries = 0
        elif self.probing:
            self._end_probing(ack)
        return changed

    def on_expected(self, ack: int, seq: int, window: int, now: int) -> bool:
        """``update_window`` and ``on_ack`` for an ACK that comes with data and says that all goes well.

        That is one of nothing new, or of all that is in flight, sent at one time and once. False, and nothing
        is done, for any other.
        """
        flight, una = self.flight, self.snd_una
        if (
            self.recovery_point is not None
            or self.probing
            or self._probe_end is not None
            or self._timeout_at is not None
            or self._forward is not None
            or self._syn_sent_at is not None
            or self.path.probe_end is not None
            or flight.sacked
            or seq < self.snd_wl1
            or not (window and self.snd_wnd)
        ):
            return False
        if ack != una and (ack != self.snd_nxt or len(flight.runs) != 1 or flight.runs[0].again):
            return False
        self.snd_wl1, self.snd_wl2, self.snd_wnd = seq, ack, window
        if window > self.max_window:
            self.max_window = window
        if ack != una:
            delivered = self._advance(ack, now, None)
            if self.sack:
                self.rack.on_delivered(delivered, now, None)
            self.probe_at = None
            if una < self._full_until and not self._marked:
                self.congestion.on_ack(ack - una, now, self.rtt.srtt)
        if self.sack:
            self.reorder_at = None
        self._marked = False
        return True

    def _end_probing(self, ack: int) -> None:
        self.probing = False
        self.persist_at = None
        self._persist_backoff = 0
        if self.snd_nxt > ack:
            # The peer did not take the octet of the probe: it is the first to be sent now.
            self.flight.lose_before(self.snd_nxt)
            self._force = True

    def on_ece(self, now: int) -> None:
        """The peer echoes a congestion mark: less, as after a loss, but once a round (RFC 3168 6.1.2)."""
        self._marked = True
        if self.recovery_point is None and self.snd_una >= self._reduced_until:
            self._reduced_until = self.snd_nxt
            self.congestion.on_loss(self.flight_size, now)
            self.cwr_due = True

    # --- what to send ---

    def next_run(self, now: int, budget: int) -> Cut | None:
        """What is to be sent now, at most ``budget`` octets; it counts as sent."""
        if self.probing:
            return None
        cwnd = self.congestion.cwnd if self._reduction is None else self._reduction.cwnd
        allowance = min(cwnd - self.pipe, budget)
        if self._probe_room:
            allowance = min(self._probe_room, budget)
        if self.flight.lost:
            cut = self._again(allowance, now)
        else:
            unsent = self.buffer.end + self.fin_queued - self.snd_nxt
            cut = self._new(unsent, allowance, now) if unsent > 0 else None
        if self._probe_room and cut is not None:
            # A part of a segment is the last that there is.
            self._probe_room -= min(self._probe_room, cut.length)
        if cut is not None and self._reduction is not None:
            self._reduction.sent(cut.length)
        return cut

    def _again(self, allowance: int, now: int) -> Cut | None:
        run = self.flight.first_lost()
        if run is None:
            return None
        if self._force:
            allowance = max(allowance, self.mss)
        seq, length = run.start, run.end - run.start
        if length > allowance:
            length = allowance - allowance % self.mss
        if length <= 0:
            return None
        self._force = False
        self.flight.resend(run, length, now, self.mss)
        if self._undo_left is not None:
            self._undo_left += length
        self._sent(now)
        return Cut(seq, length, self.mss, is_new=False)

    def _new(self, unsent: int, allowance: int, now: int) -> Cut | None:
        usable = self.snd_una + self.snd_wnd - self.snd_nxt
        length = min(unsent, usable, allowance)
        size = self.mss
        if length >= self.path.largest and self.recovery_point is None and self.path.wants_probe(size, now):
            length = size = self.path.largest
            self.path.probe_sent(self.snd_nxt + length, now)
        elif length < unsent:
            whole = length - length % self.mss if length > 0 else 0
            # SWS avoidance (RFC 9293 3.8.6.2.1): whole segments, or half of the largest window ever seen.
            half = length == usable and 0 < self.max_window <= 2 * length
            if whole == 0 and not half:
                return None
            length = whole or length
        if self.snd_nxt == self.snd_una and now - self._last_sent > self.rtt.rto:
            self.congestion.on_idle()
            length = min(length, max(self.congestion.cwnd, self.mss))
        cut = self._fresh(length, now, size)
        self._sent(now)
        self._arm_probe(now)
        return cut

    def send(self, data: Octets, now: int) -> bool:
        """Write ``data`` and send it as one new segment at ``snd_nxt``; it counts as sent.

        False, and nothing is done, when anything else is to be sent, or a window or a recovery stands in the
        way, or would have something to say about it.
        """
        length, buffer, flight = len(data), self.buffer, self.flight
        seq, una, mss = self.snd_nxt, self.snd_una, self.mss
        end = seq + length
        pipe = flight.pipe + length
        if (
            not 0 < length <= mss == self.path.largest
            or seq != buffer.end
            or self.fin_queued
            or self.probing
            or self.recovery_point is not None
            or self.cwr_due
            or flight.lost
            or self._duplicate_octets
            or self._probe_room
            or end - una > self.snd_wnd
            or pipe > self.congestion.cwnd
            or end - buffer.start > buffer.capacity
        ):
            return False
        buffer.write(data)
        rto = self.rtt.rto
        if seq == una and now - self._last_sent > rto:
            self.congestion.on_idle()
        flight.add(seq, end, now, mss)
        self.snd_nxt = end
        self._last_sent = now
        self.persist_at = None
        if self.rto_at is None:
            self.rto_at = now + rto
        self._arm_probe(now)
        self._filled = end - una
        if pipe + 2 * mss >= self.congestion.cwnd:
            self._full_until = end
        return True

    def settle(self, now: int) -> None:
        """All that could be sent was: note whether ``cwnd`` is full, which lets it grow (RFC 9438 5.8).

        Arm the persist timer when the window stands in the way of the rest.
        """
        self._filled = self.snd_nxt - self.snd_una
        if self.pipe + 2 * self.mss >= self.congestion.cwnd:
            self._full_until = self.snd_nxt
        if self.snd_nxt < self.end and self.snd_una == self.snd_nxt and self.persist_at is None:
            self.persist_at = now + self._persist_interval()

    def _persist_interval(self) -> int:
        return min(self.rtt.rto << self._persist_backoff, self._config.max_rto)

    def on_persist(self, now: int) -> Cut:
        """The persist timer ran out: the probe, or what a silly window permits."""
        self._persist_backoff += 1
        self.retries += 1
        usable = self.snd_una + self.snd_wnd - self.snd_nxt
        seq = self.snd_una
        if usable > 0:
            cut = self._fresh(min(usable, self.end - seq, self.mss), now, self.mss)
            self._sent(now)
            return cut
        self.probing = True
        if self.snd_nxt == seq:
            self._fresh(1, now, self.mss)
        else:
            self.flight.resend(self.flight.runs[0], 1, now, self.mss)
        self.persist_at = now + self._persist_interval()
        return Cut(seq, 1, self.mss, is_new=False)

    def stop(self) -> None:
        """The connection is over: no timer runs any more."""
        self.rto_at = self.probe_at = self.reorder_at = self.persist_at = None
