"""The receiving half of a connection: the window, what is kept of a segment, when to acknowledge.

Theory of operation. The window that we advertise ends at ``rcv_adv`` and never moves back (RFC 9293
3.8.6.2.1); nothing beyond it is kept. The owner takes octets with ``read`` and gives their room back with
``consumed``: what lies between (``held``) fills the receive buffer, so a host socket that stalls closes
the guest's window. Octets that came too early fill room that is advertised already.

What comes twice is reported by a DSACK in the first SACK block of the next ACK (RFC 2883): it tells the peer
that it was too quick to send again.

Urgent data (RFC 6093) stays where it is in the stream, as SO_OOBINLINE has it and the RFC recommends: nothing
is lost, only the mark. By ``Config.urgent`` the one urgent octet is taken out: Linux hides it from who does
not ask for it.

An ACK is due at once (``ack_due``) for the first segments of all, after every second full-sized one, after
anything out of order, and when the window opens wide; else with the next data, or when the delayed-ACK
timer runs out (RFC 9293 3.8.6.3, RFC 5681 4.2). ``ack_due`` is one flag: what came in order at once, as many
segments or as one (``coalesce``), is answered once. At least every second full-sized segment SHOULD be
acknowledged, so that the peer's window grows and its clock ticks; for segments that arrive together more ACKs
would say nothing more, and who sends many at once counts octets (RFC 3465, as Linux does, whose GRO leads to
the same ACKs). To whom each ACK is dear (an emulated guest), ``Config.stretch_ack`` gives fewer. What is out
of order is never merged: each of these segments gets its ACK.
"""

from guestnet.tcpip.tcp.buffer import ReceiveBuffer
from guestnet.tcpip.tcp.config import Config
from guestnet.tcpip.tcp.sequence import MASK, is_before
from guestnet.wire.octets import view
from guestnet.wire.tcp import Segment

_TIMESTAMP_LIFE = 24 * 24 * 3600 * 1_000_000_000
"""After this a timestamp may have wrapped (RFC 7323 5.5)."""

_URG = 0x20
_MAX_URGENT = 64
"""Marks that are not read yet; octets of further ones stay in the stream."""


class Receiver:
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = (
        "_capacity", "_config", "_mss", "_peer_segment", "_quick_acks", "_stamp_at", "_unacknowledged",
        "_urgent", "_widest", "ack_due", "buffer", "delayed_ack_at", "duplicate", "fin_received", "fin_seq",
        "held", "irs", "last_ack_sent", "rcv_adv", "rcv_nxt", "sack", "scale", "timestamps", "ts_recent",
    )  # fmt: skip

    def __init__(self, config: Config, irs: int, mss: int) -> None:
        """``irs`` is the peer's first sequence number, ``mss`` what it was told."""
        self._config = config
        self._capacity = config.receive_buffer
        self._mss = mss
        self.irs = irs
        self.rcv_nxt = irs + 1
        self.rcv_adv = self.rcv_nxt + min(self._capacity, 0xFFFF)
        self._widest = self.window
        self.last_ack_sent = self.rcv_nxt
        self.sack = False
        self.scale = 0
        self.held = 0
        self.buffer = ReceiveBuffer(config.max_out_of_order)
        self.duplicate: tuple[int, int] | None = None
        self._urgent: list[int] = []
        self.fin_seq: int | None = None
        self.fin_received = False
        self.timestamps = False
        self.ts_recent = 0
        self._stamp_at = 0
        self.ack_due = False
        self.delayed_ack_at: int | None = None
        self._unacknowledged = 0
        self._quick_acks = config.quick_acks
        self._peer_segment = 536

    @property
    def window(self) -> int:
        """RCV.WND as the peer knows it: octets from ``rcv_nxt`` that we must accept."""
        return self.rcv_adv - self.rcv_nxt

    def is_acceptable(self, seq: int, length: int) -> bool:
        """The four cases of RFC 9293 3.10.7.4, table 6."""
        if length == 0:
            return self.rcv_nxt <= seq < self.rcv_adv or seq == self.rcv_nxt
        return seq < self.rcv_adv and seq + length > self.rcv_nxt

    # --- timestamps (RFC 7323) ---

    def is_stale(self, segment: Segment, now: int) -> bool:
        """PAWS (RFC 7323 5.3): whether the timestamp says that this segment is an old duplicate."""
        stamps = segment.timestamps
        if not self.timestamps or stamps is None:
            return False
        return is_before(stamps[0], self.ts_recent) and now - self._stamp_at < _TIMESTAMP_LIFE

    def begin_timestamps(self, value: int, now: int) -> None:
        """TS.Recent from the peer's SYN."""
        self.ts_recent = value
        self._stamp_at = now

    def note_timestamp(self, value: int, seq: int, now: int) -> None:
        """TS.Recent, from a segment that begins at or before the last ACK that we sent (RFC 7323 4.3)."""
        if seq <= self.last_ack_sent and not is_before(value, self.ts_recent):
            self.ts_recent = value
            self._stamp_at = now

    # --- data ---

    def expects(self, seq: int, stamp: int, length: int) -> bool:
        """Whether a segment with that sequence number and TSval, as on the wire, is nothing but next."""
        return (
            (seq - self.rcv_nxt) & MASK == 0
            and self.timestamps
            and not is_before(stamp, self.ts_recent)
            and 0 < length <= self.rcv_adv - self.rcv_nxt
            and self.duplicate is None
            and self.fin_seq is None
            and not (self.buffer.blocks or self.buffer.readable or self._urgent)
        )

    def take(self, stamp: int, length: int, now: int) -> None:
        """A segment that it ``expects``; its octets count as read."""
        if self.rcv_nxt <= self.last_ack_sent:
            self.ts_recent = stamp
            self._stamp_at = now
        if self._peer_segment < length <= self._mss:
            self._peer_segment = length
        self.rcv_nxt += length
        self.held += length
        self._came_in_order(length, now)

    def receive(self, seq: int, segment: Segment, now: int) -> bool:
        """The data and FIN of an acceptable segment; what lies outside of the window is cut off.

        True when nothing came forward, or came twice: the segment has to be answered by an ACK of its own
        (RFC 5681 4.2, RFC 2883 4).
        """
        data = view(segment.payload)
        end = seq + len(data)
        if int(segment.flags) & _URG and self._config.urgent == "strip":
            self._note_urgent(seq + segment.urgent - 1)
        if int(segment.flags) & 1 and end <= self.rcv_adv and self.fin_seq is None:
            self.fin_seq = end
        limit = self.rcv_adv if self.fin_seq is None else min(self.rcv_adv, self.fin_seq)
        if end > limit:
            data = data[: max(limit - seq, 0)]
            self.ack_due = True
        before = self.rcv_nxt
        had_gap = bool(self.buffer.blocks)
        if data:
            if self._peer_segment < len(data) <= self._mss:  # more came from ``coalesce``
                self._peer_segment = len(data)
            self.note_duplicate(seq, end)
            self.rcv_nxt = self.buffer.insert(seq, data, before)
        advanced = self.rcv_nxt - before
        self.held += advanced
        if self.rcv_nxt == self.fin_seq:
            self.rcv_nxt += 1
            self.fin_received = True
            self._acknowledge_within(self._config.quick_delay, now)
            return self.duplicate is not None
        if advanced == 0 or had_gap:
            # Out of order, or (a part of) a hole filled: the peer must know at once (RFC 5681 4.2).
            self.ack_due = True
            return advanced == 0 or self.duplicate is not None
        if self.duplicate is not None:
            self.ack_due = True
            return True
        self._came_in_order(advanced, now)
        return False

    def _came_in_order(self, octets: int, now: int) -> None:
        """When to acknowledge them."""
        self._unacknowledged += octets
        due, delay = 2 * self._peer_segment, self._config.delayed_ack
        if self._unacknowledged >= due and self.rcv_nxt - self.irs > self._config.stretch_after:
            due, delay = self._config.stretch_ack, self._config.stretch_delay
        if self._quick_acks > 0:
            self._quick_acks -= 1
            delay = self._config.quick_delay
        self._acknowledge_within(0 if self._unacknowledged >= due else delay, now)

    def _acknowledge_within(self, delay: int, now: int) -> None:
        if delay == 0:
            self.ack_due = True
        elif self.delayed_ack_at is None or self.delayed_ack_at > now + delay:
            self.delayed_ack_at = now + delay

    def _note_urgent(self, at: int) -> None:
        """The urgent octet is the one before where the pointer points (RFC 6093 3.1, RFC 9293 3.8.5)."""
        unread = self.rcv_nxt - self.fin_received - self.buffer.readable
        if unread <= at < self.rcv_adv and at not in self._urgent and len(self._urgent) < _MAX_URGENT:
            self._urgent = sorted([*self._urgent, at])

    @property
    def readable(self) -> int:
        """Octets that ``read`` would return."""
        if not self._urgent:
            return self.buffer.readable
        return self.buffer.readable - sum(at < self.rcv_nxt for at in self._urgent)

    def read(self, limit: int) -> list[memoryview]:
        """Up to ``limit`` octets in order, without the urgent ones to be taken out."""
        if not self._urgent:
            return self.buffer.read(limit)
        runs: list[memoryview] = []
        while limit > 0 and self.buffer.readable:
            at = self.rcv_nxt - self.fin_received - self.buffer.readable
            if self._urgent and self._urgent[0] == at:
                self._urgent.pop(0)
                self.buffer.read(1)
                self.held -= 1
                continue
            taken = self.buffer.read(min(limit, self._urgent[0] - at) if self._urgent else limit)
            limit -= sum(map(len, taken))
            runs += taken
        return runs

    def consumed(self, count: int) -> None:
        """The owner has passed on ``count`` octets that it had read. Raises ValueError when it had not."""
        if count > self.held - self.buffer.readable:
            raise ValueError(f"{count} octets consumed where {self.held - self.buffer.readable} were read")
        self.held -= count
        # Tell the peer when it may be waiting: half of what it knew of is gone and much of it is free again.
        most = min(self._capacity, 0xFFFF << self.scale)
        gain = self.rcv_nxt + min(self._capacity - self.held, most) - self.rcv_adv
        if self.window < self._widest // 2 and gain >= min(most // 4, 2 * self._mss):
            self.ack_due = True

    # --- acknowledging ---

    def advertise(self) -> int:
        """The window field of a segment sent now, which counts as an ACK of everything received.

        The right edge moves only by a step worth telling (silly window avoidance, RFC 9293 3.8.6.2.2). An
        edge that stays is rounded up to the unit of the scale: rounding down would take it back.
        """
        current = self.rcv_adv - self.rcv_nxt
        free = min(self._capacity - self.held, 0xFFFF << self.scale)
        if free - current >= min(self._capacity // 2, self._mss):
            field = free >> self.scale
        else:
            field = min(-(-max(current, 0) >> self.scale), 0xFFFF)
        self.rcv_adv = max(self.rcv_adv, self.rcv_nxt + (field << self.scale))
        self._widest = max(self._widest, self.window)
        self.last_ack_sent = self.rcv_nxt
        self.ack_due = False
        self.delayed_ack_at = None
        self._unacknowledged = 0
        return field

    def note_duplicate(self, seq: int, end: int) -> None:
        """Octets [seq, end) came: remember which of them were here before, for the next ACK."""
        if not self.sack or seq >= end:
            return
        if seq < self.rcv_nxt:
            self.duplicate = seq, min(end, self.rcv_nxt)
            return
        for left, right in self.buffer.blocks:
            if left < end and seq < right:
                self.duplicate = max(left, seq), min(right, end)
                return

    def take_blocks(self) -> list[tuple[int, int]]:
        """What SACK has to report: what came twice, once; then what came early, the latest first."""
        if not self.sack:
            return []
        if self.duplicate is None:
            return self.buffer.blocks
        blocks = [self.duplicate, *self.buffer.blocks]
        self.duplicate = None
        return blocks
