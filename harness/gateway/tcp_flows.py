"""TCP flows: for each, a connection with the guest on the inside and a socket of the host on the outside.

Theory of operation
-------------------
::

    guest ── segments ── Connection (harness.tcpip.tcp) ── octets ── commands and events ── host socket

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
half-closed flows live for as long as both sides like. A reset on one side is a reset on the other. When both
directions are closed and all octets are out, the host's socket is closed; the connection stays through
TIME-WAIT, and is the first to go when the table is full.

*Bounds.* ``TcpTable``: at a bound somebody gives way, or the SYN is dropped, each with a journal event; the
guest's retransmission tries again.
"""

import errno
from typing import Final

from msgspec.structs import replace

from harness.core.events import FlowClosed, FlowOpened
from harness.core.rng import Stream
from harness.core.time import MILLISECOND, SECOND
from harness.gateway import commands, events
from harness.gateway.answers import answer_error, show_errno
from harness.gateway.config import GatewayConfig
from harness.gateway.interface import CE, ECT_0, NOT_ECT, Interface
from harness.gateway.outbox import Outbox
from harness.gateway.tcp_flow import Flow, Key, ending, ends, key_of, refused
from harness.gateway.tcp_table import TcpTable
from harness.gateway.timers import Timers
from harness.gateway.turned_away import TurnedAway
from harness.tcpip.icmp import Quoted
from harness.tcpip.tcp.config import Config
from harness.tcpip.tcp.connection import Connection
from harness.tcpip.tcp.output import reset_for
from harness.tcpip.tcp.sequence import MASK
from harness.tcpip.tcp.state import RECEIVING, State
from harness.wire import ip, tcp
from harness.wire.ip import IpAddress, IpPacket
from harness.wire.ipv4 import Protocol

_RESET: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})
"""What a RST tells. Else ``BY_ERRNO`` says how. ETIMEDOUT is in neither: no ICMP message makes a connect()
fail with it, but the guest's own patience does, which silence lets run out."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The laptop has no room for another socket. That passes, so the guest's SYN is left to come again."""
_TIME_WAIT: Final = 10 * SECOND
"""Twice the maximum segment lifetime of a cable of ours, generously."""
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
        self._turned_away = turned_away
        self._draws = draws
        self._tcp = Config(
            mtu=config.mtu,
            receive_buffer=config.limits.tcp_buffer,
            send_buffer=config.limits.tcp_buffer,
            time_wait=_TIME_WAIT,
            ecn=True,
            # An ACK costs an emulated guest as much as several segments.
            stretch_ack=config.limits.tcp_buffer // 4,
            # Time for the answer of a server nearby, with which the ACK goes along.
            quick_delay=1 * MILLISECOND,
        )
        self._table = TcpTable(config.limits)
        self._touched: dict[int, Flow] = {}
        self._dated: dict[int, Flow] = {}
        self._timers: Timers[int] = Timers()

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
            self._detach(flow)
            flow = None
        if flow is not None and flow.syn is not None and flags & _SYN and flow.syn.ttl != packet.ttl:
            # Another probe of a traceroute. The host's socket keeps to the TTL that it began with.
            self._outbox.command(commands.Reset(flow.number))
            self._forget(flow)
            flow = None
        if flow is not None:
            if flow.syn is not None and flags & _SYN:
                flow.syn = packet
            flow.connection.on_segment(segment, now, ce=packet.tos & CE == CE)
            self._touched[flow.number] = flow
        elif flags & _SYN_ACK_RST == _SYN:
            self._open(key, packet, segment, now)
        else:
            self.refuse(packet, segment)

    def expected(
        self,
        key: Key,
        seq: int,
        ack: int,
        window: int,
        stamps: tuple[int, int],
        payload: memoryview,
        now: int,
    ) -> commands.Send | None:
        """A segment with its fields as in the frame, ACK alone of the flags that matter (``short_way``).

        None, and nothing is done, unless it is just what its connection expects.
        """
        flow = self._table.by_key(key)
        if flow is None or not flow.is_connected:
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
        if flow is None or flow.connection.state not in RECEIVING or packet.tos & CE == CE:
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
        """Answer a segment that belongs to no connection with the RST of RFC 9293 3.10.7.1."""
        answer = reset_for(segment, packet.source, packet.destination)
        if answer is not None:
            self._interface.send(packet.destination, packet.source, Protocol.TCP, [answer])

    def packet_too_big(self, quoted: Quoted, mtu: int, now: int) -> None:
        """The guest got less than a whole segment of ours and says what its way takes (RFC 1191)."""
        key = key_of(quoted.destination, quoted.destination_port, quoted.source, quoted.source_port)
        flow = self._table.by_key(key)
        if flow is not None and flow.connection.on_packet_too_big(mtu, quoted.seq, now):
            self._touched[flow.number] = flow

    def _open(self, key: Key, packet: IpPacket, segment: tcp.Segment, now: int) -> None:
        if not self._make_room(key, packet.destination, now):
            return
        connection = Connection.from_syn(
            segment, now, self._tcp, source=packet.source, destination=packet.destination,
            iss=self._draws.getrandbits(32), timestamp_offset=self._draws.getrandbits(32),
        )  # fmt: skip
        flow = Flow(self._table.number(), key, packet, connection, now)
        self._table.add(flow)
        addressing = self._interface.addressing
        ttl = packet.ttl if addressing.is_host(packet.destination) else packet.ttl - 1
        address = addressing.to_host(packet.destination)
        self._outbox.command(commands.Connect(flow.number, address, segment.destination_port, ttl))

    def _make_room(self, key: Key, destination: IpAddress, now: int) -> bool:
        limit, victim = self._table.full(destination, now)
        if not limit and victim is None:
            return True
        if victim is not None and victim.is_recorded:
            self._forget(victim)
            return True
        bound = self._limits.connecting if limit == "connecting" else self._limits.tcp_flows
        if victim is None:
            error = f"no room: limits.{limit} is {bound}"
            event = refused(self._table.number(), key, error, "none", now)
            self._turned_away.note(limit, bound, now, event)
            return False
        reason = f"made room for another: limits.{limit} is {bound}"
        if victim.is_connected:
            self._turned_away.note(limit, bound, now)
            self._give_up(victim, reason, now)
        else:
            self._turned_away.note(limit, bound, now, refused(victim.number, victim.key, reason, "none", now))
            self._outbox.command(commands.Reset(victim.number))
            self._forget(victim)
        return True

    # --- from the host ---

    def connected(self, event: events.Connected, now: int) -> None:
        """The host side is open: the guest gets its SYN-ACK."""
        flow = self._table.by_number(event.flow)
        if flow is None or flow.is_connected:
            return
        self._table.connected(flow)
        flow.syn = None
        guest, remote = ends(flow.key)
        self._outbox.record(
            FlowOpened(at=now, flow=flow.number, transport="tcp", guest=guest, remote=remote, host=event.host)
        )
        flow.connection.accept(now)
        self._touched[flow.number] = flow

    def connect_failed(self, event: events.ConnectFailed, now: int) -> None:
        """The host side was refused: so is the guest, with the same error."""
        flow = self._table.by_number(event.flow)
        if flow is None or flow.is_connected:
            return
        shown = "none"
        if event.errno in _RESET:
            shown = "rst"
            flow.connection.refuse(now)
            self._transmit(flow, now)
        elif flow.syn is not None:
            # Owed, however many there are: each is the answer to a connect(), as a RST would be.
            shown = answer_error(self._interface, ip.emit(flow.syn), event.errno, event.cause, is_owed=True)
        told = refused(flow.number, flow.key, show_errno(event.errno), shown, now)
        if event.errno in _EXHAUSTED:
            self._turned_away.note("descriptors", 0, now, told)
        else:
            self._table.silent(flow.destination)
            self._outbox.record(told)
        if event.errno in _RESET:
            self._table.heard(flow.destination)
        self._forget(flow)

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
        """The host's socket failed: the guest gets a reset, after all that came before it.

        A program on the laptop reads what has arrived before it is told of a reset; and so does the guest's.
        """
        flow = self._table.by_number(event.flow)
        if flow is None or flow.lost:
            return
        flow.lost = (
            "reset by the host" if event.errno == errno.ECONNRESET else f"host: {show_errno(event.errno)}"
        )
        flow.host_done = flow.write_shut = True
        self._settle_lost(flow, now)

    def _settle_lost(self, flow: Flow, now: int) -> None:
        """Bring a flow without a host forward: its reset is due when the guest has acknowledged all."""
        self._transmit(flow, now)
        buffer = flow.connection.sender.buffer
        if buffer.end != buffer.start:
            self._timers.set(flow.number, flow.connection.poll_at())
            self._dated.pop(flow.number, None)
            return
        flow.connection.abort()
        self._transmit(flow, now)
        self._close_record(flow, flow.lost, now)
        self._forget(flow)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called.

        Deadlines of what went the short way are looked at only here: they change several times in a turn.
        """
        if self._dated:
            dated, self._dated = self._dated, {}
            for number, flow in dated.items():
                self._timers.set(number, flow.connection.poll_at())
        return self._timers.poll_at()

    def flush(self, now: int) -> None:
        """At the end of a turn: timers, then everything that the touched flows have to say."""
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
            self._transmit(flow, now)
            self._give_up(flow, reason, now)
            return
        if flow.lost:
            self._settle_lost(flow, now)
            return
        if flow.is_half_open and connection.state is not State.SYN_RECEIVED:
            self._table.opened(flow)
        if flow.is_connected:
            self._move_up(flow)
            self._move_credit(flow)
        if not flow.is_answering:
            self._transmit(flow, now)
        if connection.state in (State.TIME_WAIT, State.CLOSED) and flow.host_done and flow.is_out:
            self._close_host(flow, now)
            if connection.state is State.CLOSED:
                self._forget(flow)
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

    def _transmit(self, flow: Flow, now: int) -> None:
        connection = flow.connection
        while True:
            runs = connection.transmit_runs(now)
            ecn = ECT_0 if connection.ect else NOT_ECT
            for segments in runs:
                self._interface.send(flow.destination, flow.guest, Protocol.TCP, segments, ecn)
            if not runs or not connection.has_more:
                return

    # --- the end ---

    def _give_up(self, flow: Flow, reason: str, now: int) -> None:
        self._outbox.command(commands.Reset(flow.number))
        if flow.is_connected:
            self._close_record(flow, reason, now)
        else:
            self._outbox.record(refused(flow.number, flow.key, reason, "none", now))
        self._forget(flow)

    def _close_host(self, flow: Flow, now: int) -> None:
        if not flow.is_recorded:
            self._outbox.command(commands.Close(flow.number))
            self._close_record(flow, "closed by both sides", now)

    def _close_record(self, flow: Flow, reason: str, now: int) -> None:
        if flow.is_recorded:
            return
        flow.is_recorded = True
        guest, remote = ends(flow.key)
        self._outbox.record(
            FlowClosed(
                at=now, flow=flow.number, transport="tcp", guest=guest, remote=remote, reason=reason,
                up=flow.up, down=flow.down,
            )
        )  # fmt: skip

    def _detach(self, flow: Flow) -> None:
        """Make room for a new flow of the same addresses and ports."""
        if flow.is_recorded:
            self._forget(flow)
        else:
            self._table.detach(flow)

    def _forget(self, flow: Flow) -> None:
        self._table.forget(flow)
        self._timers.set(flow.number, None)
        self._dated.pop(flow.number, None)
