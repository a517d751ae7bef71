"""What the gateway itself offers on its addresses: DHCP and DHCPv6, and DNS over UDP and TCP.

DNS over TCP (RFC 7766): a connection without a host socket, messages after their length. Bounded in
connections, in queries that wait and in silence.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from guestnet.core.laptop import LaptopFacts
from guestnet.core.rng import Stream
from guestnet.core.time import SECOND
from guestnet.gateway import events
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.timers import Timers
from guestnet.gateway.turned_away import TurnedAway
from guestnet.services.dhcp import DhcpConfig, DhcpServer
from guestnet.services.dhcpv6 import Dhcpv6Config, Dhcpv6Server
from guestnet.services.dns.service import DnsService, ListServers, Outcome, Reply
from guestnet.tcpip.icmp import Quoted
from guestnet.tcpip.tcp.config import Config
from guestnet.tcpip.tcp.connection import Connection
from guestnet.tcpip.tcp.state import State
from guestnet.wire import dhcp, dhcpv6, tcp, udp
from guestnet.wire.dns import PORT as DNS_PORT
from guestnet.wire.dns import framed, take
from guestnet.wire.ip import IpAddress, IpPacket, packet_of, show_end
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6

_STREAMS: Final = 64
_STREAM_IDLE: Final = 30 * SECOND
_SYN_ACK_RST: Final = 0x16

StreamKey = tuple[IpAddress, int, IpAddress]
"""The client's address and port, and as whom it knows us."""


class _UdpClient(Struct, frozen=True):
    address: IpAddress
    port: int
    own: IpAddress


class _StreamClient(Struct, frozen=True):
    key: StreamKey


_Client = _UdpClient | _StreamClient


class _Stream:
    __slots__ = ("connection", "pending", "received", "used_at")

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self.received = bytearray()
        self.pending = 0
        self.used_at = now


class LocalServices:
    """DHCP and DNS of one gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        interface: Interface,
        outbox: Outbox,
        turned_away: TurnedAway,
        draws: Stream,
    ) -> None:
        self._gateway = config.gateway
        self._router = config.ipv6.router
        self._interface = interface
        self._outbox = outbox
        self._turned_away = turned_away
        self._draws = draws
        self._dhcp = DhcpServer(
            DhcpConfig(
                server=config.gateway, subnet_mask=config.netmask, first=config.first_guest,
                last=config.last_guest, routers=(config.gateway,), dns_servers=(config.gateway,),
                domain_name=config.gateway_name.partition(".")[2], mtu=config.mtu,
                lease_time=config.lease_time,
            )
        )  # fmt: skip
        self._dhcpv6 = Dhcpv6Server(_dhcpv6(config))
        names = {config.host_name: [config.host], config.gateway_name: [config.gateway]}
        if config.has_ipv6:
            names[config.host_name].append(config.ipv6.host)
            names[config.gateway_name].append(config.ipv6.gateway)
        self._dns: DnsService[_Client] = DnsService(names, limit=config.limits.dns_pending)
        self._tcp = Config(mtu=config.mtu, receive_buffer=65536, send_buffer=131072, time_wait=SECOND)
        self._streams: dict[StreamKey, _Stream] = {}
        self._touched: dict[StreamKey, _Stream] = {}
        self._timers: Timers[StreamKey] = Timers()

    # --- datagrams ---

    def dhcp(self, datagram: udp.Datagram, now: int) -> None:
        """A datagram to port 67. Raises WireError when it is malformed."""
        answer = self._dhcp.handle(dhcp.parse(datagram.payload), now)
        self._outbox.record(answer.event)
        reply = answer.reply
        if reply is None:
            return
        message = udp.Datagram(dhcp.SERVER_PORT, dhcp.CLIENT_PORT, dhcp.emit(reply.message))
        octets = udp.emit(message, self._gateway, reply.destination)
        packet = Ipv4(self._gateway, reply.destination, Protocol.UDP, octets)
        self._interface.send_to(reply.mac, packet)

    def dhcpv6(self, packet: Ipv6, datagram: udp.Datagram, now: int) -> None:
        """A datagram to port 547. Raises WireError when it is malformed."""
        mac = self._interface.holder(packet.source)
        if mac is None:
            return
        unicast = packet.destination != dhcpv6.ALL_SERVERS
        answer = self._dhcpv6.handle(dhcpv6.parse(datagram.payload), mac, now, unicast=unicast)
        self._outbox.record(answer.event)
        if answer.message is None:
            return
        message = udp.Datagram(dhcpv6.SERVER_PORT, datagram.source_port, dhcpv6.emit(answer.message))
        octets = udp.emit(message, self._router, packet.source)
        self._interface.send_packet(packet_of(self._router, packet.source, Protocol.UDP, octets))

    def laptop_told(self, facts: LaptopFacts) -> None:
        """From now on clients are told of the captive portal, or of none (RFC 8910)."""
        self._dhcp.captive_portal = self._dhcpv6.captive_portal = facts.portal

    def dns_datagram(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """A datagram to port 53 of the gateway."""
        client = _UdpClient(packet.source, datagram.source_port, packet.destination)
        address = show_end(packet.source, datagram.source_port)
        outcome = self._dns.query(bytes(datagram.payload), client, address, now, stream=False)
        self._carry_out([outcome] if outcome is not None else [])

    def servers_listed(self, event: events.ServersListed, now: int) -> None:
        """Whom the laptop's resolver asks."""
        self._carry_out(self._dns.listed(event.token, event.servers, now))

    def server_answered(self, event: events.ServerAnswered, now: int) -> None:
        """One of these servers answered."""
        self._carry_out(self._dns.answered(event.token, event.answer, now))

    def server_failed(self, event: events.ServerFailed, now: int) -> None:
        """One of them can't be asked."""
        self._carry_out(self._dns.failed(event.token, now))

    def _carry_out(self, outcomes: Sequence[Outcome[_Client] | ListServers]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, Reply):
                self._outbox.command(outcome)
                continue
            if outcome.event is not None:
                self._outbox.record(outcome.event)
            self._reply(outcome.client, outcome.message)

    def _reply(self, client: _Client, message: bytes) -> None:
        if isinstance(client, _UdpClient):
            octets = udp.emit(udp.Datagram(DNS_PORT, client.port, message), client.own, client.address)
            self._interface.send_packet(packet_of(client.own, client.address, Protocol.UDP, octets))
            return
        stream = self._streams.get(client.key)
        if stream is None:
            return
        stream.pending -= 1
        octets = framed(message)
        # A client that asks and does not read fills its send buffer; what does not fit, it has forfeited.
        if len(octets) <= stream.connection.send_room:
            stream.connection.write(octets)
        self._touched[client.key] = stream

    # --- streams ---

    def dns_segment(self, packet: IpPacket, segment: tcp.Segment, now: int) -> bool:
        """A segment to port 53 of the gateway; False when it belongs to no stream and opens none."""
        key = (packet.source, segment.source_port, packet.destination)
        stream = self._streams.get(key)
        if stream is not None and stream.connection.yields_to(segment):
            self._forget(key)
            stream = None
        if stream is not None:
            stream.connection.on_segment(segment, now)
        elif int(segment.flags) & _SYN_ACK_RST == 0x02 and self._has_room(now):
            connection = Connection.from_syn(
                segment, now, self._tcp, source=packet.source, destination=packet.destination,
                iss=self._draws.getrandbits(32), timestamp_offset=self._draws.getrandbits(32),
            )  # fmt: skip
            connection.accept(now)
            stream = self._streams[key] = _Stream(connection, now)
        else:
            return False
        stream.used_at = now
        self._touched[key] = stream
        return True

    def _has_room(self, now: int) -> bool:
        if len(self._streams) < _STREAMS:
            return True
        self._turned_away.note("dns_streams", _STREAMS, now)
        for key, stream in self._streams.items():
            # Who sent a SYN and then nothing gives way, else a flood of them would close the door.
            if stream.connection.state is State.SYN_RECEIVED and now - stream.used_at >= SECOND:
                self._forget(key)
                return True
        return False

    def packet_too_big(self, quoted: Quoted, mtu: int, now: int) -> None:
        """As of ``TcpFlows``."""
        key = (quoted.destination, quoted.destination_port, quoted.source)
        stream = self._streams.get(key)
        if stream is not None and stream.connection.on_packet_too_big(mtu, quoted.seq, now):
            self._touched[key] = stream

    def _settle(self, key: StreamKey, stream: _Stream, now: int) -> None:
        connection = stream.connection
        connection.events()
        if now - stream.used_at >= _STREAM_IDLE:
            connection.abort()
        if connection.readable:
            self._read(key, stream, now)
        if connection.receiver.fin_received and stream.pending == 0:
            connection.shutdown()
        while segments := connection.transmit(now):
            self._interface.send(key[2], key[0], Protocol.TCP, segments)
        if connection.state is State.CLOSED:
            self._forget(key)
            return
        poll_at = connection.poll_at()
        idle_at = stream.used_at + _STREAM_IDLE
        self._timers.set(key, idle_at if poll_at is None else min(poll_at, idle_at))

    def _read(self, key: StreamKey, stream: _Stream, now: int) -> None:
        connection, received = stream.connection, stream.received
        for piece in connection.read(connection.readable):
            received += piece
            connection.consumed(len(piece))
        while (message := take(received)) is not None:
            stream.pending += 1
            address = show_end(key[0], key[1])
            outcome = self._dns.query(message, _StreamClient(key), address, now, stream=True)
            if outcome is None:
                stream.pending -= 1
            self._carry_out([outcome] if outcome is not None else [])

    def _forget(self, key: StreamKey) -> None:
        self._streams.pop(key, None)
        self._timers.set(key, None)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        times = (self._timers.poll_at(), self._dns.poll_at())
        return min((at for at in times if at is not None), default=None)

    def flush(self, now: int) -> None:
        """At the end of a turn: deadlines, then what the streams have to say."""
        self._carry_out(self._dns.due(now))
        for key in self._timers.due(now):
            stream = self._streams.get(key)
            if stream is not None:
                stream.connection.on_timer(now)
                self._touched[key] = stream
        touched, self._touched = self._touched, {}
        for key, stream in touched.items():
            if self._streams.get(key) is stream:
                self._settle(key, stream, now)


def _dhcpv6(config: GatewayConfig) -> Dhcpv6Config:
    own = config.ipv6
    domain = config.gateway_name.partition(".")[2]
    return Dhcpv6Config(
        duid=dhcpv6.duid_ll(config.mac), first=own.first_guest, last=own.last_guest,
        dns_servers=(own.gateway,), domain_search=(domain,) if domain else (),
        lease_time=config.lease_time,
    )  # fmt: skip
