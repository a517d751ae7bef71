"""A guest without a kernel: our own wire and tcpip as a client. Frames in, frames out, time given.

It has one address, of either version of IP, and speaks only that.
"""

from dataclasses import dataclass, field

from guestnet.core.address import BROADCAST as BROADCAST_MAC
from guestnet.core.address import Mac
from guestnet.core.port import Frame
from guestnet.tcpip.arp import ArpCache
from guestnet.tcpip.ndp import NdpCache, read
from guestnet.tcpip.reassembly import Reassembler, fragment, fragment6
from guestnet.tcpip.tcp import events as tcp_events
from guestnet.tcpip.tcp.config import Config, Endpoint
from guestnet.tcpip.tcp.connection import Connection
from guestnet.wire import arp, dhcp, dhcpv6, ethernet, icmp, icmpv6, ip, ipv4, ipv6, ndp, tcp, udp
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import ANY, BROADCAST, Ipv4, Protocol, ip4
from guestnet.wire.ipv6 import ALL_NODES, Ipv6, ip6

GATEWAY = ip4("192.168.65.1")
HOST = ip4("192.168.65.2")
ROUTER6 = ip6("fe80::1")
GATEWAY6 = ip6("fd65:6775:6573:7400::1")
HOST6 = ip6("fd65:6775:6573:7400::2")
GUEST6 = ip6("fd65:6775:6573:7400::3")
MAC = Mac.parse("52:54:00:65:00:01")


class Stream:
    """One TCP connection as its user sees it. ``is_reading`` False leaves what arrives in the buffer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.received = bytearray()
        self.happened: list[tcp_events.Event] = []
        self.is_reading = True
        self.unsent = memoryview(b"")
        self.shut_when_sent = False

    def did(self, kind: type[object]) -> bool:
        """Whether such an event has happened."""
        return any(isinstance(event, kind) for event in self.happened)

    @property
    def is_established(self) -> bool:
        """The handshake is done."""
        return self.did(tcp_events.Established)

    @property
    def is_refused(self) -> bool:
        """The peer sent a RST."""
        return self.did(tcp_events.Reset)

    @property
    def has_ended(self) -> bool:
        """The peer sent a FIN and all before it has arrived."""
        return self.connection.peer_closed

    def send(self, data: bytes, *, then_shut: bool = False) -> None:
        """Queue ``data``; what the buffer has no room for goes out later."""
        self.unsent = memoryview(bytes(self.unsent) + data)
        self.shut_when_sent = self.shut_when_sent or then_shut

    def work(self) -> None:
        """Move octets between the user and the connection."""
        self.happened += self.connection.events()
        if self.is_reading and self.connection.readable:
            for piece in self.connection.read(self.connection.readable):
                self.received += piece
                self.connection.consumed(len(piece))
        room = min(self.connection.send_room, len(self.unsent))
        if room:
            self.connection.write(bytes(self.unsent[:room]))
            self.unsent = self.unsent[room:]
        if self.shut_when_sent and not self.unsent:
            self.shut_when_sent = False
            self.connection.shutdown()


@dataclass
class FakeGuest:
    """What it received is kept by kind; ``out`` are frames to be sent."""

    mac: Mac = MAC
    address: IpAddress = ANY
    mtu: int = 1500
    receive_buffer: int = 256 * 1024
    keepalive: int = 0
    out: list[bytes] = field(default_factory=list)
    datagrams: list[tuple[IpAddress, udp.Datagram]] = field(default_factory=list)
    messages: list[tuple[IpAddress, icmp.Icmp | icmpv6.Icmpv6]] = field(default_factory=list)
    discovered: list[ndp.Ndp] = field(default_factory=list)
    answers: list[dhcpv6.Dhcpv6] = field(default_factory=list)
    leases: list[Dhcp] = field(default_factory=list)
    arps: list[arp.Arp] = field(default_factory=list)
    segments: list[tcp.Segment] = field(default_factory=list)
    now: int = 0

    def __post_init__(self) -> None:
        self._streams: dict[tuple[IpAddress, int, int], Stream] = {}
        self._reassembler = Reassembler[IpPacket]()
        self._next_port = 40000
        self.take_address(self.address)

    # --- what its user does ---

    def take_address(self, address: IpAddress) -> None:
        """As after a lease, or an advertised prefix."""
        self.address = address
        self._arp = ArpCache(self.mac, [address])
        self._ndp = NdpCache(self.mac, [address], router=False)
        self._neighbours = self._arp if len(address) == 4 else self._ndp

    def send_dhcp(self, kind: MessageType, **options: object) -> None:
        """Broadcast a DHCP message."""
        made = Options(message_type=kind, **options)  # type: ignore[arg-type]
        octets = udp.emit(
            udp.Datagram(dhcp.CLIENT_PORT, dhcp.SERVER_PORT, dhcp.emit(Dhcp(Op.REQUEST, 7, self.mac, made))),
            ANY,
            BROADCAST,
        )
        packet = ipv4.emit(Ipv4(ANY, BROADCAST, Protocol.UDP, octets))
        self.out.append(ethernet.header(BROADCAST_MAC, self.mac, EtherType.IPV4) + packet)

    def send_datagram(
        self, destination: IpAddress, port: int, payload: bytes, *, source_port: int = 5000, ttl: int = 64
    ) -> None:
        """One UDP datagram, as fragments when it is large."""
        octets = udp.emit(udp.Datagram(source_port, port, payload), self.address, destination)
        if len(destination) == 16:
            packet = Ipv6(self.address, destination, Protocol.UDP, octets, hop_limit=ttl)
            for part in fragment6(packet, self.mtu, 99):
                self.send_packet(part)
            return
        for piece in fragment(
            Ipv4(self.address, destination, Protocol.UDP, octets, ttl=ttl, identification=99), self.mtu
        ):
            self.send_packet(piece)

    def ping(
        self, destination: IpAddress, sequence: int = 1, payload: bytes = b"ping", *, ttl: int = 64
    ) -> None:
        """One echo request with identifier 77."""
        if len(destination) == 16:
            octets = icmpv6.emit(icmpv6.echo_request(77, sequence, payload), self.address, destination)
            self.send_packet(Ipv6(self.address, destination, Protocol.ICMPV6, octets, hop_limit=ttl))
            return
        message = icmp.emit(icmp.echo_request(77, sequence, payload))
        self.send_packet(Ipv4(self.address, destination, Protocol.ICMP, message, ttl=ttl))

    def connect(self, destination: IpAddress, port: int, *, source_port: int | None = None) -> Stream:
        """Open a TCP connection; its SYN is sent by the next ``work``."""
        if source_port is None:
            source_port = self._next_port
            self._next_port += 1
        connection = Connection.connect(
            self.now,
            Config(mtu=self.mtu, receive_buffer=self.receive_buffer, keepalive=self.keepalive),
            local=Endpoint(self.address, source_port),
            remote=Endpoint(destination, port),
            iss=12345,
        )
        stream = self._streams[destination, port, source_port] = Stream(connection)
        return stream

    def send_segment(self, destination: IpAddress, segment: tcp.Segment, *, ttl: int = 64) -> None:
        """A TCP segment of no connection of its own."""
        octets = tcp.emit(segment, self.address, destination)
        self._send_transport(destination, octets, ttl)

    def send_packet(self, packet: IpPacket) -> None:
        """To the gateway, to a neighbour, or in IPv6 to a group."""
        octets = ip.emit(packet)
        destination = packet.destination
        if len(destination) == 4:
            next_hop = destination if destination[:3] == GATEWAY[:3] else GATEWAY
        elif ipv6.is_multicast(destination):
            link = ethernet.header(ipv6.group_mac(destination), self.mac, EtherType.IPV6)
            self.out.append(link + octets)
            return
        else:
            local = destination[:8] == GATEWAY6[:8] or ipv6.is_link_local(destination)
            next_hop = destination if local else ROUTER6
        mac = self._neighbours.send(next_hop, octets, self.now)
        if mac is not None:
            self.out.append(ethernet.header(mac, self.mac, self._neighbours.ethertype) + octets)

    def solicit_router(self) -> None:
        """Ask for a router advertisement."""
        self.send_ndp(ipv6.ALL_ROUTERS, ndp.RouterSolicitation(ndp.Options(source_mac=self.mac)))

    def send_ndp(self, destination: IpAddress, message: ndp.Ndp) -> None:
        """One message of neighbour discovery from its address."""
        octets = icmpv6.emit(ndp.emit(message), self.address, destination)
        self.send_packet(Ipv6(self.address, destination, Protocol.ICMPV6, octets, hop_limit=255))

    def send_dhcpv6(self, message: dhcpv6.Dhcpv6) -> None:
        """To all servers of the link."""
        self.send_datagram(
            dhcpv6.ALL_SERVERS, dhcpv6.SERVER_PORT, dhcpv6.emit(message), source_port=dhcpv6.CLIENT_PORT
        )

    def _send_transport(self, destination: IpAddress, segment: bytes, ttl: int = 64) -> None:
        if len(destination) == 16:
            self.send_packet(Ipv6(self.address, destination, Protocol.TCP, segment, hop_limit=ttl))
        else:
            self.send_packet(
                Ipv4(self.address, destination, Protocol.TCP, segment, ttl=ttl, dont_fragment=True)
            )

    # --- what the cable does ---

    def receive(self, frames: list[Frame], now: int) -> None:
        """A batch of frames from the cable."""
        self.now = now
        for frame in frames:
            self._receive(ethernet.parse(frame))
        self.work(now)

    def work(self, now: int) -> None:
        """Do what is due at ``now``, and gather what is to be sent in ``out``."""
        self.now = now
        self._neighbours.on_timer(now)
        for stream in self._streams.values():
            poll_at = stream.connection.poll_at()
            if poll_at is not None and poll_at <= now:
                stream.connection.on_timer(now)
            stream.work()
            while segments := stream.connection.transmit(now):
                for octets in segments:
                    self._send_transport(stream.connection.remote.address, bytes(octets))
        for outgoing in self._neighbours.transmit():
            self.out.append(
                ethernet.header(outgoing.destination, self.mac, outgoing.ethertype) + outgoing.payload
            )

    def take(self) -> list[Frame]:
        """The frames to be sent."""
        frames: list[Frame] = [*self.out]
        self.out.clear()
        return frames

    def poll_at(self) -> int | None:
        """When ``work`` is due."""
        times = [
            self._neighbours.poll_at(),
            *(stream.connection.poll_at() for stream in self._streams.values()),
        ]
        return min((at for at in times if at is not None), default=None)

    def _receive(self, frame: ethernet.Ethernet) -> None:
        if frame.destination != self.mac and not frame.destination.is_group:
            return
        if frame.ethertype == EtherType.ARP:
            packet = arp.parse(frame.payload)
            self.arps.append(packet)
            self._arp.on_arp(packet, self.now)
        elif frame.ethertype == EtherType.IPV4:
            self._part(ipv4.parse(frame.payload), len(frame.payload))
        elif frame.ethertype == EtherType.IPV6:
            part = ipv6.parse(frame.payload)
            if part.destination in (self.address, ALL_NODES) or ipv6.is_multicast(part.destination):
                self._part(part, len(frame.payload))

    def _part(self, part: IpPacket, length: int) -> None:
        assert length <= self.mtu
        whole = self._reassembler.on_packet(part, self.now)
        if whole is not None:
            self._packet(whole)

    def _packet(self, packet: IpPacket) -> None:
        if packet.protocol == Protocol.TCP:
            segment = tcp.parse(packet.payload, packet.source, packet.destination)
            self.segments.append(segment)
            key = (packet.source, segment.source_port, segment.destination_port)
            if key in self._streams:
                self._streams[key].connection.on_segment(segment, self.now)
        elif packet.protocol == Protocol.UDP:
            datagram = udp.parse(packet.payload, packet.source, packet.destination)
            if datagram.destination_port == dhcp.CLIENT_PORT:
                self.leases.append(dhcp.parse(datagram.payload))
            elif datagram.destination_port == dhcpv6.CLIENT_PORT:
                self.answers.append(dhcpv6.parse(datagram.payload))
            else:
                self.datagrams.append((packet.source, datagram))
        elif packet.protocol == Protocol.ICMP:
            self.messages.append((packet.source, icmp.parse(packet.payload)))
        elif isinstance(packet, Ipv6) and packet.protocol == Protocol.ICMPV6:
            message = icmpv6.parse(packet.payload, packet.source, packet.destination)
            if message.type in ndp.TYPES:
                self._discover(packet, message)
            else:
                self.messages.append((packet.source, message))

    def _discover(self, packet: Ipv6, message: icmpv6.Icmpv6) -> None:
        found = read(packet, message)
        self.discovered.append(found)
        if isinstance(found, ndp.NeighbourSolicitation):
            asker = found.options.source_mac
            assert asker is not None
            self._ndp.on_solicitation(packet.source, found, asker, self.now)
        elif isinstance(found, ndp.NeighbourAdvertisement):
            teller = found.options.target_mac
            assert teller is not None
            self._ndp.on_advertisement(found, teller, self.now)
