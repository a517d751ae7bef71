"""DNS on the gateway's own addresses, over UDP and over TCP (RFC 7766: messages after their length)."""

from collections.abc import Sequence

from msgspec import Struct

from guestnet.gateway import events
from guestnet.gateway.addressing import Reach
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.listener import Stream
from guestnet.gateway.outbox import Outbox
from guestnet.services.dns.service import DnsService, ListServers, Outcome, Reply
from guestnet.wire import udp
from guestnet.wire.dns import PORT, framed, take
from guestnet.wire.ip import IpAddress, IpPacket, packet_of, show_end
from guestnet.wire.ipv4 import Protocol


class _UdpClient(Struct, frozen=True):
    address: IpAddress
    port: int
    own: IpAddress


_Client = _UdpClient | Stream


class _Asked:
    """What a stream has asked: octets of a message that is not whole yet, and queries without an answer."""

    __slots__ = ("pending", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        self.pending = 0


class Dns:
    """The `DatagramService` and the `Service` of port 53."""

    def __init__(self, config: GatewayConfig, interface: Interface, outbox: Outbox) -> None:
        self._interface = interface
        self._outbox = outbox
        names = {config.host_name: [config.host], config.gateway_name: [config.gateway]}
        if config.has_ipv6:
            names[config.host_name].append(config.ipv6.host)
            names[config.gateway_name].append(config.ipv6.gateway)
        self._dns: DnsService[_Client] = DnsService(names, limit=config.limits.dns_pending)
        self._asked: dict[Stream, _Asked] = {}

    # --- datagrams ---

    def takes(self, packet: IpPacket, reach: Reach, *, is_own: bool) -> bool:
        """As of ``DatagramService``."""
        return is_own

    def datagram(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """As of ``DatagramService``."""
        client = _UdpClient(packet.source, datagram.source_port, packet.destination)
        address = show_end(packet.source, datagram.source_port)
        outcome = self._dns.query(bytes(datagram.payload), client, address, now, stream=False)
        self._carry_out([outcome] if outcome is not None else [])

    # --- streams ---

    def opened(self, stream: Stream, now: int) -> None:
        """As of ``Service``."""
        self._asked[stream] = _Asked()

    def received(self, stream: Stream, octets: bytes, now: int) -> None:
        """As of ``Service``."""
        asked = self._asked[stream]
        asked.received += octets
        while (message := take(asked.received)) is not None:
            outcome = self._dns.query(message, stream, stream.client, now, stream=True)
            if outcome is not None:
                asked.pending += 1
                self._carry_out([outcome])

    def drained(self, stream: Stream, now: int) -> None:
        """As of ``Service``."""
        if stream.is_ended and self._asked[stream].pending == 0:
            stream.shutdown()

    def closed(self, stream: Stream, now: int) -> None:
        """As of ``Service``."""
        del self._asked[stream]

    # --- what the laptop's servers say ---

    def servers_listed(self, event: events.ServersListed, now: int) -> None:
        """Whom the laptop's resolver asks."""
        self._carry_out(self._dns.listed(event.token, event.servers, now))

    def server_answered(self, event: events.ServerAnswered, now: int) -> None:
        """One of these servers answered."""
        self._carry_out(self._dns.answered(event.token, event.answer, now))

    def server_failed(self, event: events.ServerFailed, now: int) -> None:
        """One of them can't be asked."""
        self._carry_out(self._dns.failed(event.token, now))

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return self._dns.poll_at()

    def flush(self, now: int) -> None:
        """At the end of a turn: deadlines of what servers were asked."""
        self._carry_out(self._dns.due(now))

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
            octets = udp.emit(udp.Datagram(PORT, client.port, message), client.own, client.address)
            self._interface.send_packet(packet_of(client.own, client.address, Protocol.UDP, octets))
            return
        asked = self._asked.get(client)
        if asked is None:
            return
        asked.pending -= 1
        octets = framed(message)
        # A client that asks and does not read fills its send buffer; what does not fit, it has forfeited.
        if len(octets) <= client.room:
            client.write(octets)
        else:
            client.touch()
