"""How TCP flows begin: a guest's SYN, the host's connect(), and what the guest gets of its outcome."""

import errno
from typing import Final

from guestnet.core.events import FlowOpened
from guestnet.core.rng import Stream
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.answers import answer_error, show_errno
from guestnet.gateway.config import KEEPALIVES, GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.tcp_ending import Ending
from guestnet.gateway.tcp_flow import Flow, Key, ends, refused
from guestnet.gateway.tcp_segments import transmit
from guestnet.gateway.tcp_table import TcpTable
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.tcp.config import Config
from guestnet.tcpip.tcp.connection import Connection
from guestnet.wire import ip, tcp
from guestnet.wire.ip import IpAddress, IpPacket

_RESET: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})
"""What a RST tells. Else ``BY_ERRNO`` says how. ETIMEDOUT is in neither: no ICMP message makes a connect()
fail with it, but the guest's own patience does, which silence lets run out."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The laptop has no room for another socket. That passes, so the guest's SYN is left to come again."""
_TIME_WAIT: Final = 10 * SECOND
"""Twice the maximum segment lifetime of a cable of ours, generously."""


class Opening:
    """Of the flows in ``table``."""

    def __init__(
        self,
        config: GatewayConfig,
        table: TcpTable,
        interface: Interface,
        outbox: Outbox,
        turned_away: TurnedAway,
        draws: Stream,
        ending: Ending,
    ) -> None:
        self._limits = config.limits
        self._table = table
        self._interface = interface
        self._outbox = outbox
        self._turned_away = turned_away
        self._draws = draws
        self._ending = ending
        self._keepalive = (
            (config.keepalive, config.keepalive_interval, KEEPALIVES) if config.keepalive else None
        )
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
            keepalive=config.keepalive * SECOND,
            keepalive_interval=config.keepalive_interval * SECOND,
            keepalive_probes=KEEPALIVES,
        )

    def open(self, key: Key, packet: IpPacket, segment: tcp.Segment, now: int) -> None:
        """A guest's SYN: ask the host to connect, if there is room."""
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
        port, keepalive = segment.destination_port, self._keepalive
        self._outbox.command(commands.Connect(flow.number, address, port, ttl, flow.tos, keepalive))

    def connected(self, event: events.Connected, now: int) -> Flow | None:
        """The host side is open: the guest gets its SYN-ACK, which the flow has to say now."""
        flow = self._table.by_number(event.flow)
        if flow is None or flow.is_connected:
            return None
        self._table.connected(flow)
        flow.syn = None
        guest, remote = ends(flow.key)
        self._outbox.record(
            FlowOpened(at=now, flow=flow.number, transport="tcp", guest=guest, remote=remote, host=event.host)
        )
        flow.connection.accept(now)
        return flow

    def failed(self, event: events.ConnectFailed, now: int) -> None:
        """The host side was refused: so is the guest, with the same error."""
        flow = self._table.by_number(event.flow)
        if flow is None or flow.is_connected:
            return
        shown = "none"
        if event.errno in _RESET:
            shown = "rst"
            flow.connection.refuse(now)
            transmit(self._interface, flow, now)
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
        self._ending.forget(flow)

    def _make_room(self, key: Key, destination: IpAddress, now: int) -> bool:
        limit, victim = self._table.full(destination, now)
        if not limit and victim is None:
            return True
        if victim is not None and victim.is_recorded:
            self._ending.forget(victim)
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
            if not victim.is_half_open:
                # Whoever still waits at one of its ends is to know; of half-open ones the guest's SYN comes
                # again.
                victim.connection.abort()
                transmit(self._interface, victim, now)
            self._ending.give_up(victim, reason, now)
        else:
            self._turned_away.note(limit, bound, now, refused(victim.number, victim.key, reason, "none", now))
            self._outbox.command(commands.Reset(victim.number))
            self._ending.forget(victim)
        return True
