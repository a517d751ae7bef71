"""TCP flows: for each, a connection with the guest on the inside and a socket of the host on the outside.

Theory of operation
-------------------
::

    guest ── segments ── Connection (guestnet.tcpip.tcp) ── octets ── commands and events ── host socket

*Opening.* A guest's SYN makes a flow and a ``Connect``; the connection stays silent. ``Connected`` accepts
it: only then the guest gets its SYN-ACK. ``ConnectFailed`` gives the guest what makes its own connect()
fail with the errno that the host saw (``answers``), however late it comes: the flow is forgotten, so that a
SYN which comes again asks the host again.

*Up.* What the connection has in order is read and goes out as ``Send``; the window that the guest sees opens
again only for what ``Sent`` reports. So the socket's queue at the edge never holds more than one window.
The edge answers each Send by a Sent in the same turn, and only then this flow's segments are written: one
ACK that acknowledges and opens the window, instead of two.

*Down.* ``Receive`` tells the edge how much it may read: what the connection's send buffer has room for. It is
renewed when a quarter of the buffer is free, so that a slow guest does not make small reads.

*Closing.* A FIN becomes ``ShutdownWrite``, the host's end of stream a FIN, each for its direction:
half-closed flows live for as long as both sides like, unless another needs their place. A reset on one side
is a reset on the other. When both directions are closed and all octets are out, the host's socket is
closed; the connection stays through TIME-WAIT, and is the first to go when the table is full.

*Marks.* The host's socket sends with the DSCP of the guest's latest segment. What a server marks is not
carried, nor the TTL of what comes from it: the host's kernel does not tell them of a stream.

*Keepalives* do not cross: the kernel of the laptop answers a server's, this stack a guest's. By
``keepalive`` of the configuration both sides ask for themselves, and whoever does not answer is a reset for
the other side.

*Bounds.* ``TcpTable``: at a bound somebody gives way, or the SYN is dropped, each with a journal event; the
guest's retransmission tries again.

*Strays.* A segment of no flow is answered by a RST (RFC 9293 3.10.7.1) only in the name of who is known to
live: the laptop, and hosts that have answered lately. In the name of another nobody may speak; a dead host
that resets would be up for whoever scans. But a guest may be older than this stack, which then knows nothing
of its connections: in the first seconds each is told at once that it is over, not left to find out by its
last retransmission a quarter of an hour later.

How flows begin is in ``tcp_opening``, how they end in ``tcp_ending``; all between is here.
"""

from typing import Final

from msgspec.structs import replace

from guestnet.core.rng import Stream
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import CE, DSCP, ECT_0, NOT_ECT, Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.tcp_ending import Ending
from guestnet.gateway.tcp_flow import Flow, Key, ending, key_of
from guestnet.gateway.tcp_opening import Opening
from guestnet.gateway.tcp_segments import refuse, transmit
from guestnet.gateway.tcp_table import TcpTable
from guestnet.gateway.timers import Timers
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.icmp import Quoted
from guestnet.tcpip.tcp.sequence import MASK
from guestnet.tcpip.tcp.state import RECEIVING, State
from guestnet.wire import tcp
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import Protocol

_YOUNG: Final = 5 * SECOND
"""For how long after the first event strays may be of connections that are older than the stack."""
_SYN: Final = 0x02
_SYN_ACK_RST: Final = 0x16


class TcpFlows:
    """All TCP flows of one gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        interface: Interface,
        outbox: Outbox,
        turned_away: TurnedAway,
        draws: Stream,
    ) -> None:
        self._limits = config.limits
        self._interface = interface
        self._outbox = outbox
        self._table = TcpTable(config.limits)
        self._touched: dict[int, Flow] = {}
        self._dated: dict[int, Flow] = {}
        self._timers: Timers[int] = Timers()
        self._begun_at: int | None = None
        self._ending = Ending(self._table, interface, outbox, self._timers, self._dated)
        self._opening = Opening(config, self._table, interface, outbox, turned_away, draws, self._ending)

    def __len__(self) -> int:
        return len(self._table)

    # --- from the guest ---

    def receive(self, packet: IpPacket, now: int) -> None:
        """A TCP packet to be forwarded. Raises WireError when it is malformed."""
        segment = tcp.parse(packet.payload, packet.source, packet.destination)
        key = b"".join((packet.source, packet.destination, packet.payload[:4]))
        flags = int(segment.flags)
        if flags & _SYN:
            # Kept for as long as the flow lives: a view would keep alive all that was read with it.
            packet = replace(packet, payload=bytes(packet.payload))
            segment = replace(segment, payload=bytes(segment.payload))
        flow = self._table.by_key(key)
        if flow is not None and flow.connection.yields_to(segment):
            self._ending.detach(flow)
            flow = None
        if flow is not None and flow.syn is not None and flags & _SYN and flow.syn.ttl != packet.ttl:
            # Another probe of a traceroute. The host's socket keeps to the TTL that it began with.
            self._outbox.command(commands.Reset(flow.number))
            self._ending.forget(flow)
            flow = None
        if flow is not None:
            if flow.syn is not None and flags & _SYN:
                flow.syn = packet
            tos = packet.tos
            if tos & DSCP != flow.tos:
                flow.tos = tos & DSCP
                self._outbox.command(commands.Mark(flow.number, flow.tos))
            flow.connection.on_segment(segment, now, ce=tos & CE == CE)
            self._touched[flow.number] = flow
        elif flags & _SYN_ACK_RST == _SYN:
            self._opening.open(key, packet, segment, now)
        elif self._may_refuse(packet.destination, now):
            self.refuse(packet, segment)

    def _may_refuse(self, destination: IpAddress, now: int) -> bool:
        """Whether a stray to ``destination`` is answered; see the module."""
        if self._begun_at is None or now - self._begun_at < _YOUNG:
            return True
        return self._interface.addressing.is_host(destination) or self._table.knows(destination)

    def expected(
        self,
        key: Key,
        seq: int,
        ack: int,
        window: int,
        stamps: tuple[int, int],
        payload: memoryview,
        tos: int,
        now: int,
    ) -> commands.Send | None:
        """A segment with its fields as in the frame, ACK alone of the flags that matter (``short_way``).

        None, and nothing is done, unless it is just what its connection expects.
        """
        flow = self._table.by_key(key)
        if flow is None or not flow.is_connected or tos & DSCP != flow.tos:
            return None
        length = len(payload)
        if not flow.connection.on_expected(seq, ack, window, stamps, length, now):
            return None
        if flow.is_half_open:
            self._table.opened(flow)
        flow.unsent += length
        flow.is_answering = True
        self._renew_credit(flow)
        self._dated[flow.number] = flow
        return commands.Send(flow.number, [payload])

    def receive_merged(self, packet: IpPacket, segment: tcp.Segment, now: int) -> bool:
        """Segments as one (``coalesce``). False, and nothing is done, unless it is just what comes next.

        Of those out of order, each would be answered by an ACK of its own.
        """
        key = key_of(packet.source, segment.source_port, packet.destination, segment.destination_port)
        flow = self._table.by_key(key)
        if flow is None or flow.connection.state not in RECEIVING:
            return False
        if packet.tos & CE == CE or packet.tos & DSCP != flow.tos:
            return False
        receiver = flow.connection.receiver
        if (
            receiver.rcv_nxt & MASK != segment.seq
            or receiver.window < len(segment.payload)
            or receiver.buffer.blocks
        ):
            return False
        flow.connection.on_segment(segment, now)
        self._touched[flow.number] = flow
        return True

    def refuse(self, packet: IpPacket, segment: tcp.Segment) -> None:
        """Answer a segment that belongs to no connection."""
        refuse(self._interface, packet, segment)

    def packet_too_big(self, quoted: Quoted, mtu: int, now: int) -> None:
        """The guest got less than a whole segment of ours and says what its way takes (RFC 1191)."""
        key = key_of(quoted.destination, quoted.destination_port, quoted.source, quoted.source_port)
        flow = self._table.by_key(key)
        if flow is not None and flow.connection.on_packet_too_big(mtu, quoted.seq, now):
            self._touched[flow.number] = flow

    # --- from the host ---

    def connected(self, event: events.Connected, now: int) -> None:
        """The host side is open: the guest gets its SYN-ACK."""
        flow = self._opening.connected(event, now)
        if flow is not None:
            self._touched[flow.number] = flow

    def connect_failed(self, event: events.ConnectFailed, now: int) -> None:
        """The host side was refused: so is the guest, with the same error."""
        self._opening.failed(event, now)

    def received(self, event: events.DataReceived, now: int) -> None:
        """Octets for the guest."""
        flow = self._table.by_number(event.flow)
        if flow is None:
            return
        data, connection = event.data, flow.connection
        flow.credit -= len(data)
        flow.down += len(data)
        if not flow.is_answering and flow.number not in self._touched:
            segment = connection.answer(data, now)
            if segment is not None:
                ecn = ECT_0 if connection.ect else NOT_ECT
                local, remote = connection.local.address, connection.remote.address
                self._interface.send(local, remote, Protocol.TCP, [segment], ecn)
                self._renew_credit(flow)
                self._dated[flow.number] = flow
                return
        # The guest may have reset the connection since the credit was given.
        if connection.send_room >= len(data):
            connection.write(data)
        self._touched[flow.number] = flow

    def ended(self, event: events.EndOfStream, now: int) -> None:
        """The remote end will send no more."""
        flow = self._table.by_number(event.flow)
        if flow is not None:
            flow.host_done = True
            self._table.half_closed(flow)
            flow.connection.shutdown()
            self._touched[flow.number] = flow

    def sent(self, event: events.Sent, now: int) -> None:
        """The host's socket took octets: the guest may send as many more."""
        flow = self._table.by_number(event.flow)
        if flow is not None:
            flow.is_answering = False
            flow.unsent -= event.count
            flow.up += event.count
            connection = flow.connection
            if event.count:
                connection.consumed(event.count)
            # Most often there is nothing to say yet: the ACK waits for an answer to go along with.
            if not connection.is_silent or connection.state is not State.ESTABLISHED:
                self._touched[flow.number] = flow

    def lost(self, event: events.ConnectionLost, now: int) -> None:
        """The host's socket failed: so does the guest's connection."""
        self._ending.lost(event, now)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called.

        Deadlines of what went the short way are looked at only here: they change several times in a turn.
        """
        if self._dated:
            for number, flow in self._dated.items():
                self._timers.set(number, flow.connection.poll_at())
            self._dated.clear()
        return self._timers.poll_at()

    def flush(self, now: int) -> None:
        """At the end of a turn: timers, then everything that the touched flows have to say."""
        if self._begun_at is None:
            self._begun_at = now
        for number in self._timers.due(now):
            flow = self._table.by_number(number)
            if flow is not None:
                flow.connection.on_timer(now)
                self._touched[number] = flow
        touched, self._touched = self._touched, {}
        for flow in touched.values():
            if self._table.by_number(flow.number) is flow:
                self._settle(flow, now)

    def _settle(self, flow: Flow, now: int) -> None:
        """Bring one flow forward: octets up, closing, credit, segments, timer."""
        connection = flow.connection
        # Readable data and closing are asked of the connection itself; only why it ended is told by an event.
        reason = ending(connection.events())
        if reason:
            transmit(self._interface, flow, now)
            self._ending.give_up(flow, reason, now)
            return
        if flow.lost:
            self._ending.settle_lost(flow, now)
            return
        if flow.is_half_open and connection.state is not State.SYN_RECEIVED:
            self._table.opened(flow)
        if flow.is_connected:
            self._move_up(flow)
            self._move_credit(flow)
        if not flow.is_answering:
            transmit(self._interface, flow, now)
        if connection.state in (State.TIME_WAIT, State.CLOSED) and flow.host_done and flow.is_out:
            self._ending.close_host(flow, now)
            if connection.state is State.CLOSED:
                self._ending.forget(flow)
                return
            self._table.waits(flow)
        self._timers.set(flow.number, connection.poll_at())
        self._dated.pop(flow.number, None)

    def _move_up(self, flow: Flow) -> None:
        connection = flow.connection
        if connection.readable:
            data = connection.read(connection.readable)
            flow.unsent += sum(map(len, data))
            flow.is_answering = True
            self._outbox.command(commands.Send(flow.number, data))
        if connection.receiver.fin_received and not flow.write_shut:
            flow.write_shut = True
            self._table.half_closed(flow)
            self._outbox.command(commands.ShutdownWrite(flow.number))

    def _move_credit(self, flow: Flow) -> None:
        if flow.host_done:
            return
        room = flow.connection.send_room
        if room - flow.credit >= self._limits.tcp_buffer // 4:
            flow.credit = room
            self._outbox.command(commands.Receive(flow.number, room))

    def _renew_credit(self, flow: Flow) -> None:
        """``_move_credit`` for a flow whose both sides are open."""
        buffer = flow.connection.sender.buffer
        if buffer.capacity - (buffer.end - buffer.start) - flow.credit >= self._limits.tcp_buffer // 4:
            self._move_credit(flow)
