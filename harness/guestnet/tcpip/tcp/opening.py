"""How a TCP connection begins: both opens, their options, and a refusal (RFC 9293 3.5, 3.10.7.2 to 3.10.7.4).

A passive open has two steps. The guest's SYN makes the connection, which is SYN-RECEIVED but has sent
nothing: the host socket is still connecting. Until ``accept`` or ``refuse`` the guest may send its SYN
again (absorbed), begin anew with another one (taken instead), or reset (the end).
"""

from typing import Final, Self

from msgspec import structs

from guestnet.tcpip.tcp.challenge import ChallengeLimit
from guestnet.tcpip.tcp.config import MAX_WINDOW_SCALE, Config, Endpoint
from guestnet.tcpip.tcp.events import Closed, Established, Event, Reset
from guestnet.tcpip.tcp.output import ACK, CWR, ECE, RST, SYN, Emitter, reset_for
from guestnet.tcpip.tcp.receiver import Receiver
from guestnet.tcpip.tcp.sender import Sender
from guestnet.tcpip.tcp.sequence import MASK, unwrap
from guestnet.tcpip.tcp.state import ON_SHUTDOWN, State
from guestnet.wire.ip import IpAddress
from guestnet.wire.octets import Octets
from guestnet.wire.tcp import Segment

_MAX_OUTBOX: Final = 256
_OPTIONS_WITH_TIMESTAMPS: Final = 12


class Opening:
    """What a connection is made of, and its way to ESTABLISHED; ``Connection`` goes on from here."""

    __slots__ = (
        "_accepted", "_challenges", "_config", "_echo", "_emitter", "_events", "_keepalives", "_more_due",
        "_now", "_outbox", "_peer", "_peer_scale", "_syn_due", "ecn", "ect",
        "keepalive_at", "local", "receiver", "remote", "sender", "state", "time_wait_at",
    )  # fmt: skip

    def __init__(
        self, config: Config, local: Endpoint, remote: Endpoint, iss: int, timestamp_offset: int
    ) -> None:
        """Use ``from_syn`` or ``connect``."""
        self.local = local
        self.remote = remote
        self.state = State.CLOSED
        self.time_wait_at: int | None = None
        self.keepalive_at: int | None = None
        self._keepalives = 0
        self.ecn = config.ecn
        self.ect = False
        self._echo = False
        self.sender = Sender(config, iss)
        self.receiver = Receiver(config, 0, config.mss(local.ip_header))
        self._config = config
        self._emitter = Emitter(local, remote, timestamp_offset)
        self._events: list[Event] = []
        self._outbox: list[Octets] = []
        self._peer: Segment | None = None
        self._peer_scale = 0
        self._accepted = False
        self._syn_due = False
        self._more_due = False
        self._challenges = ChallengeLimit()
        self._now = 0

    @classmethod
    def from_syn(
        cls, segment: Segment, now: int, config: Config, *, source: IpAddress, destination: IpAddress,
        iss: int, timestamp_offset: int = 0,
    ) -> Self:  # fmt: skip
        """SYN-RECEIVED from a guest's SYN; silent until ``accept`` or ``refuse``.

        ``source`` and ``destination`` are the segment's addresses; ``iss`` (RFC 6528) and
        ``timestamp_offset`` are 32-bit numbers that the caller draws. Raises ValueError when it is no SYN.
        """
        if int(segment.flags) & (SYN | ACK | RST) != SYN:
            raise ValueError("a connection begins with a SYN alone")
        local = Endpoint(destination, segment.destination_port)
        connection = cls(config, local, Endpoint(source, segment.source_port), iss, timestamp_offset)
        connection._now = now
        connection.state = State.SYN_RECEIVED
        connection._take_syn(segment, now)
        return connection

    @classmethod
    def connect(
        cls,
        now: int,
        config: Config,
        *,
        local: Endpoint,
        remote: Endpoint,
        iss: int,
        timestamp_offset: int = 0,
    ) -> Self:
        """SYN-SENT; ``transmit`` returns the SYN."""
        connection = cls(config, local, remote, iss, timestamp_offset)
        connection._now = now
        connection.state = State.SYN_SENT
        connection._accepted = connection._syn_due = True
        return connection

    def accept(self, now: int) -> None:
        """The host socket is connected: the SYN-ACK is due."""
        self._now = now
        if self.state is State.SYN_RECEIVED and not self._accepted:
            self._accepted = self._syn_due = True

    def refuse(self, now: int) -> None:
        """The host socket was refused: a RST answers the SYN, as from a closed port (RFC 9293 3.10.7.1)."""
        self._now = now
        if self.state is State.SYN_RECEIVED and not self._accepted and self._peer is not None:
            self._send_now(reset_for(self._peer, self.remote.address, self.local.address))
            self._close()

    def _take_syn(self, segment: Segment, now: int) -> None:
        """What the peer's SYN says: its sequence number and options (RFC 9293 3.7.1, RFC 7323, RFC 2018)."""
        config = self._config
        # A view would keep alive whatever the SYN was read with.
        self._peer = structs.replace(segment, payload=bytes(segment.payload))
        ours = config.mss(self.local.ip_header)
        self.receiver = receiver = Receiver(config, segment.seq, ours)
        sender = self.sender
        receiver.timestamps = config.timestamps and segment.timestamps is not None
        self._emitter.timestamps = receiver.timestamps
        if segment.timestamps is not None:
            receiver.begin_timestamps(segment.timestamps[0], now)
        if config.window_scaling and segment.window_scale is not None:
            # Windows are scaled only when both SYNs carry the option (RFC 7323 2.2).
            receiver.scale = config.window_scale
            self._peer_scale = min(segment.window_scale, MAX_WINDOW_SCALE)
        sender.snd_wnd = sender.max_window = segment.window
        sender.snd_wl1, sender.snd_wl2 = segment.seq, sender.snd_una
        # An MSS too small to hold data would make us send headers only; Linux too does not go below 48.
        mss = max(min(segment.mss if segment.mss is not None else self._least_mss(), ours), 48)
        # An ECN-setup SYN has both flags, an ECN-setup SYN-ACK the one (RFC 3168 6.1.1).
        setup = int(segment.flags) & (ECE | CWR)
        self.ecn = self.ecn and setup == (ECE if int(segment.flags) & ACK else ECE | CWR)
        receiver.sack = config.sack and segment.sack_permitted
        options = _OPTIONS_WITH_TIMESTAMPS if receiver.timestamps else 0
        sender.synchronize(mss, options, sack=receiver.sack, ip_header=self.local.ip_header)

    def _least_mss(self) -> int:
        """What a peer takes that tells no MSS: the least MTU less both headers (RFC 9293 3.7.1)."""
        return 536 if self.local.ip_header == 20 else 1220

    def _before_accept(self, segment: Segment, now: int) -> None:
        """The host socket is still connecting; nothing was sent, so the guest may begin anew or give up."""
        flags = int(segment.flags)
        if flags & RST:
            if segment.seq in (self.receiver.irs, self.receiver.rcv_nxt & MASK):
                self._die(Reset())
        elif flags & (SYN | ACK) == SYN:
            self.ecn = self._config.ecn
            self._take_syn(segment, now)

    def _in_syn_sent(self, segment: Segment, now: int) -> None:
        """RFC 9293 3.10.7.3."""
        flags, sender = int(segment.flags), self.sender
        ack = unwrap(segment.ack, sender.snd_nxt)
        if flags & ACK and not sender.snd_una < ack <= sender.snd_nxt:
            self._send_now(reset_for(segment, self.remote.address, self.local.address))
            return
        if flags & RST:
            if flags & ACK:
                self._die(Reset())
            return
        if not flags & SYN:
            return
        self._take_syn(segment, now)
        if flags & ACK:
            self._establish()
            sender.on_ack(ack, [], now, bare=False, stamp_rtt=None)
            self.receiver.ack_due = True
        else:
            # Simultaneous open (RFC 9293 3.5, figure 7).
            self.state = State.SYN_RECEIVED
            self._syn_due = True

    def _establish(self) -> None:
        self.state = State.ESTABLISHED
        self._syn_due = False
        self._peer = None
        if self.sender.retries:
            self.sender.congestion.on_syn_lost()
        self._events.append(Established())
        if self._config.keepalive:
            self.keepalive_at = self._now + self._config.keepalive
        if self.sender.fin_queued:
            self.state = ON_SHUTDOWN[self.state]

    def _syn(self, now: int) -> bytes:
        self._syn_due = False
        config, receiver, sender, peer = self._config, self.receiver, self.sender, self._peer
        if sender.rto_at is not None and peer is None:
            self.ecn = False  # the flags may be what was not let through (RFC 3168 6.1.1.1)
        sender.sent_syn(now)
        clock = self._emitter.clock(now)
        scale = config.window_scale if config.window_scaling else None
        if peer is None:
            sack, stamps = config.sack, (clock, 0) if config.timestamps else None
        else:
            sack, stamps = sender.sack, (clock, receiver.ts_recent) if receiver.timestamps else None
            scale = scale if peer.window_scale is not None else None
        return self._emitter.syn(
            sender.snd_una, None if peer is None else receiver.rcv_nxt, min(config.receive_buffer, 0xFFFF),
            mss=config.mss(self.local.ip_header), window_scale=scale, sack_permitted=sack, timestamps=stamps,
            ecn=self.ecn,
        )  # fmt: skip

    def _close(self) -> None:
        self._die(Closed())

    def _die(self, last: Event) -> None:
        """CLOSED: no timer is left, nothing more is sent but what is in the outbox."""
        self.state = State.CLOSED
        self.time_wait_at = self.keepalive_at = None
        self._syn_due = self._more_due = False
        self.sender.stop()
        self.receiver.delayed_ack_at = None
        self.receiver.ack_due = False
        self._events.append(last)

    def _send_now(self, octets: bytes | None) -> None:
        if octets is not None and len(self._outbox) < _MAX_OUTBOX:
            self._outbox.append(octets)
