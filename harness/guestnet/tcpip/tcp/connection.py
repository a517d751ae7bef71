"""One TCP connection as a machine: segments and time in, segments and events out (RFC 9293).

Theory of operation. The owner (the gateway) sits between a guest and a host socket:

    guest --on_segment--> Connection --read, consumed--> host socket
    guest <--transmit---  Connection <--write----------- host socket

- A guest's SYN makes a connection by ``from_syn``. It answers nothing until the host socket's connect has
  ended: then ``accept`` sends the SYN-ACK, or ``refuse`` the RST. SYNs sent again meanwhile are absorbed.
  ``connect`` opens from our side.
- After any calls, and when ``poll_at`` is due (``on_timer``), the owner calls ``transmit`` until it returns
  nothing, and drains ``events``.
- Backpressure: the window opens only by ``consumed``, and nobody writes more than ``send_room``.

Here are the states (``state``) and the checks of an incoming segment in the order of RFC 9293 3.10.7;
``opening`` has the way to ESTABLISHED, ``outgoing`` the timers and what is sent; ``sender`` and ``receiver``
are the two halves; ``output`` writes the octets. Numbers of the wire are put near a known one on entry
(``sequence``).

Hardening by RFC 5961: a RST counts only at exactly RCV.NXT, a SYN never; anything else that may be forged
gets a challenge ACK, a few a second.

Times: retransmission and persist by RTO; tail loss probe and reordering by the round trip; delayed ACK;
TIME-WAIT. An idle or half-closed connection lives for ever, unless ``Config.keepalive`` is told.
"""

from typing import Final

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp.events import Event, Reset
from guestnet.tcpip.tcp.outgoing import Outgoing
from guestnet.tcpip.tcp.output import ACK, CWR, ECE, FIN, PSH, RST, SYN, reset_for
from guestnet.tcpip.tcp.sequence import MASK, is_before, unwrap
from guestnet.tcpip.tcp.state import (
    ON_FIN_ACKNOWLEDGED,
    ON_FIN_RECEIVED,
    ON_SHUTDOWN,
    RECEIVING,
    WRITABLE,
    State,
)
from guestnet.wire.octets import Octets
from guestnet.wire.tcp import Segment

_SMALL: Final = 2048
"""Octets of an answer: for a larger one numpy is quicker at the checksum."""


class Connection(Outgoing):
    """See the module. ``local`` is our side, ``remote`` the guest's. Times in nanoseconds."""

    __slots__ = ()

    # --- the owner's side ---

    @property
    def send_room(self) -> int:
        """Octets that ``write`` takes now; 0 when no more may be sent."""
        if self.state in WRITABLE and not self.sender.fin_queued:
            return self.sender.buffer.room
        return 0

    def write(self, data: Octets) -> None:
        """Queue octets, which must not change afterwards. Raises ValueError beyond ``send_room``."""
        if len(data) > self.send_room:
            raise ValueError(f"{len(data)} octets written where {self.send_room} may be")
        self.sender.buffer.write(data)

    @property
    def readable(self) -> int:
        """Octets in order that ``read`` would return."""
        return self.receiver.readable

    @property
    def peer_closed(self) -> bool:
        """Whether the peer's FIN has come in order: nothing will be readable after what is now."""
        return self.receiver.fin_received

    @property
    def heard_at(self) -> int:
        """When something last came or went, or a timer was due."""
        return self._now

    def read(self, limit: int) -> list[memoryview]:
        """Take up to ``limit`` octets; the window does not open for them before ``consumed``."""
        return self.receiver.read(limit)

    def consumed(self, count: int) -> None:
        """``count`` octets read before are passed on. Raises ValueError when more than were read."""
        self.receiver.consumed(count)

    def shutdown(self) -> None:
        """No more will be written: FIN after what is queued. Reading goes on."""
        if self.state in WRITABLE and not self.sender.fin_queued:
            self.sender.fin_queued = True
            self.state = ON_SHUTDOWN.get(self.state, self.state)

    def abort(self) -> None:
        """Give up at once: RST to the peer (RFC 9293 3.10.5)."""
        if self.state is State.SYN_RECEIVED and not self._accepted:
            self.refuse(self._now)
            return
        if self.state not in (State.CLOSED, State.SYN_SENT, State.TIME_WAIT):
            self._send_now(self._emitter.rst(self.sender.snd_nxt, self.receiver.rcv_nxt))
        if self.state is not State.CLOSED:
            self._close()

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        drained, self._events = self._events, []
        return drained

    def yields_to(self, segment: Segment) -> bool:
        """Whether this connection, in TIME-WAIT, may be replaced by the one that ``segment`` begins.

        RFC 9293 3.10.7.4 (a SYN beyond the old sequence numbers) and RFC 6191 (or with a later timestamp).
        """
        if self.state is State.CLOSED:
            return True
        if self.state is not State.TIME_WAIT or int(segment.flags) & (SYN | ACK | RST) != SYN:
            return False
        stamps = segment.timestamps
        if self.receiver.timestamps and stamps is not None and is_before(self.receiver.ts_recent, stamps[0]):
            return True
        return unwrap(segment.seq, self.receiver.rcv_nxt) > self.receiver.rcv_nxt

    # --- segments in ---

    def on_packet_too_big(self, mtu: int, seq: int, now: int) -> bool:
        """ICMP: fragmentation needed and DF set (RFC 1191), about a segment of ours that began at ``seq``.

        ``mtu`` is that of the next hop, 0 from a router that does not tell. False, and nothing is done, when
        ``seq`` is not in flight: anybody could have sent that (RFC 5927 4.1).
        """
        self._now = now
        sender = self.sender
        if self.state is State.CLOSED or not sender.flight.runs:
            return False
        if not sender.snd_una <= unwrap(seq, sender.snd_una) < sender.snd_nxt:
            return False
        sender.on_packet_too_big(mtu, now)
        return True

    def on_segment(self, segment: Segment, now: int, *, ce: bool = False) -> None:
        """A segment from the network, its checksum good. ``ce``: with the congestion mark of IP's header."""
        self._now = now
        state = self.state
        if state is State.CLOSED:
            self._send_now(reset_for(segment, self.remote.address, self.local.address))
        elif state is State.SYN_SENT:
            self._in_syn_sent(segment, now)
        elif not self._accepted:
            self._before_accept(segment, now)
        else:
            self._in_synchronized(segment, now, ce)

    def on_expected(
        self, seq: int, ack: int, window: int, stamps: tuple[int, int], length: int, now: int
    ) -> bool:
        """``on_segment`` and ``read`` for what comes most often, by header prediction (Van Jacobson 1990).

        That is a segment in order with ``length`` octets of data and ``stamps``, the other fields as on the
        wire, no flag but ACK and PSH, no congestion mark, while nothing is missing on either side. False, and
        nothing is done, for any other. Its octets count as read.
        """
        receiver, sender = self.receiver, self.sender
        if (
            self.state is not State.ESTABLISHED
            or not receiver.expects(seq, stamps[0], length)
        ):
            return False
        una = sender.snd_una
        whole = una + ((ack - una) & MASK)
        if not sender.on_expected(whole, receiver.rcv_nxt, window << self._peer_scale, now):
            return False
        self._now = now
        if self.keepalive_at is not None:
            self._keep(now)
        receiver.take(stamps[0], length, now)
        return True

    def answer(self, data: Octets, now: int) -> bytes | None:
        """``write`` and ``transmit`` when that makes one segment, now. None, and nothing is done, otherwise.

        ``ect`` as of ``transmit``.
        """
        sender, receiver = self.sender, self.receiver
        seq = sender.snd_nxt
        if (
            self.state is not State.ESTABLISHED
            or self._outbox
            or self._more_due
            or len(data) > _SMALL
            or not receiver.timestamps
            or not sender.send(data, now)
        ):
            return None
        self._now = now
        self.ect = self.ecn
        flags = ACK | PSH | ECE if self._echo else ACK | PSH
        return self._emitter.segment(
            seq, receiver.rcv_nxt, receiver.advertise(), flags, data, now, receiver.ts_recent
        )

    def _in_synchronized(self, segment: Segment, now: int, ce: bool) -> None:
        """RFC 9293 3.10.7.4: the checks in their order."""
        receiver, sender = self.receiver, self.sender
        if self.keepalive_at is not None:
            self._keep(now)
        flags = int(segment.flags)
        stamps = segment.timestamps
        seq = unwrap(segment.seq, receiver.rcv_nxt)
        length = len(segment.payload) + (flags & FIN) + (flags >> 1 & 1)
        if receiver.timestamps and not flags & RST:
            if stamps is None:
                return  # RFC 7323 3.2
            if receiver.is_stale(segment, now):
                self._stale(segment, seq, length, stamps[0], now)
                return
        if not receiver.is_acceptable(seq, length):
            self._unacceptable(segment, seq, length, now)
            return
        if flags & RST:
            self._on_rst(seq, now)
            return
        if flags & SYN:
            self._challenge(now)  # RFC 5961 4
            return
        if not flags & ACK:
            return
        ack = unwrap(segment.ack, sender.snd_nxt)
        if self.state is State.SYN_RECEIVED:
            if not sender.snd_una < ack <= sender.snd_nxt:
                self._send_now(reset_for(segment, self.remote.address, self.local.address))
                return
            self._establish()
        elif ack > sender.snd_nxt or ack < sender.snd_una - sender.max_window:
            self._challenge(now)  # RFC 5961 5.2
            return
        if stamps is not None:
            receiver.note_timestamp(stamps[0], seq, now)
        if self.ecn:
            self._on_congestion_flags(flags, length, ce, now)
        if ack >= sender.snd_una:
            self._on_ack(segment, seq, ack, length, now)
        elif segment.sack:
            sender.on_old_ack(ack, _blocks(segment, ack))
        if length and self.state in RECEIVING:
            self._on_data(seq, segment, now)

    def _stale(self, segment: Segment, seq: int, length: int, stamp: int, now: int) -> None:
        """PAWS wants an acknowledgment (RFC 7323 5.3): with a DSACK for what the network had only held up.

        A bare acknowledgment may have been overtaken, by less than an RTO as Linux has it: its DSACK is news.
        """
        receiver, sender = self.receiver, self.sender
        ack = unwrap(segment.ack, sender.snd_nxt)
        age = (receiver.ts_recent - stamp) & MASK
        if length == 0 and seq == receiver.rcv_nxt and age * MILLISECOND <= sender.rtt.rto:
            if sender.snd_una - sender.max_window <= ack <= sender.snd_una and segment.sack:
                sender.on_old_ack(ack, _blocks(segment, ack))
            return
        end = seq + len(segment.payload)
        if end <= receiver.rcv_nxt:
            receiver.note_duplicate(seq, end)
        self._challenge(now)

    def _on_congestion_flags(self, flags: int, length: int, ce: bool, now: int) -> None:
        """RFC 3168 6.1.2 and 6.1.3."""
        if flags & CWR:
            self._echo = False
        if ce and length and not self._echo:
            self._echo = True
            self.receiver.ack_due = True
        if flags & ECE:
            self.sender.on_ece(now)

    def _unacceptable(self, segment: Segment, seq: int, length: int, now: int) -> None:
        flags, sender = int(segment.flags), self.sender
        if flags & RST:
            return
        if self.state is State.SYN_RECEIVED and flags & SYN and seq == self.receiver.irs:
            ack = unwrap(segment.ack, sender.snd_nxt)
            if flags & ACK and sender.snd_una < ack == sender.snd_nxt:
                # The other SYN-ACK of a simultaneous open.
                self._establish()
                sender.on_ack(ack, [], now, bare=False, stamp_rtt=None)
                self.receiver.ack_due = True
            else:
                self._syn_due = True  # our SYN-ACK was lost
            return
        if self.state is State.TIME_WAIT and flags & FIN:
            self.time_wait_at = now + self._config.time_wait
        if length:
            self.receiver.note_duplicate(seq, seq + len(segment.payload))
            if self.receiver.duplicate is not None:
                self._send_ack(now)
            else:
                self.receiver.ack_due = True
        else:
            # Keepalives and window probes of one octet less; limited, or two of us would go on for ever.
            self._challenge(now)

    def _on_rst(self, seq: int, now: int) -> None:
        """RFC 5961 3.2."""
        if seq != self.receiver.rcv_nxt:
            self._challenge(now)
        elif self.state is State.TIME_WAIT:
            return  # RFC 1337: no assassination
        else:
            self._die(Reset())

    def _on_ack(self, segment: Segment, seq: int, ack: int, length: int, now: int) -> None:
        sender = self.sender
        window_changed = sender.update_window(seq, ack, segment.window << self._peer_scale, now)
        stamp_rtt = None
        if self.receiver.timestamps and segment.timestamps is not None and ack > sender.snd_una:
            stamp_rtt = ((self._emitter.clock(now) - segment.timestamps[1]) & MASK) * MILLISECOND
        blocks = _blocks(segment, ack)
        acked = sender.on_ack(ack, blocks, now, bare=not length and not window_changed, stamp_rtt=stamp_rtt)
        if not acked:
            return
        if sender.fin_acknowledged:
            self._on_fin_acknowledged(now)

    def _on_data(self, seq: int, segment: Segment, now: int) -> None:
        receiver = self.receiver
        if receiver.receive(seq, segment, now):
            self._send_ack(now)
        if receiver.fin_received:
            if self.sender.fin_queued:
                receiver.ack_due = True  # nothing of ours will come that the ACK could go with
            self._enter(ON_FIN_RECEIVED[self.state], now)

    # --- changes of state ---

    def _on_fin_acknowledged(self, now: int) -> None:
        if self.state in ON_FIN_ACKNOWLEDGED:
            self._enter(ON_FIN_ACKNOWLEDGED[self.state], now)

    def _enter(self, state: State, now: int) -> None:
        self.state = state
        if state is State.TIME_WAIT:
            self.time_wait_at = now + self._config.time_wait
            self.keepalive_at = None
        elif state is State.CLOSED:
            self._close()


def _blocks(segment: Segment, ack: int) -> list[tuple[int, int]]:
    """Its SACK blocks, near ``ack``."""
    return [(unwrap(left, ack), unwrap(right, ack)) for left, right in segment.sack]
