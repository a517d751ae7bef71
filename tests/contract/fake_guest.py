"""A guest without a kernel: our own wire and tcpip as a client. Frames in, frames out, time given."""

from dataclasses import dataclass, field

from harness.core.address import BROADCAST as BROADCAST_MAC
from harness.core.address import Mac
from harness.core.port import Frame
from harness.tcpip.arp import ArpCache
from harness.tcpip.reassembly import Reassembler, fragment
from harness.tcpip.tcp import events as tcp_events
from harness.tcpip.tcp.config import Config, Endpoint
from harness.tcpip.tcp.connection import Connection
from harness.wire import arp, dhcp, ethernet, icmp, ipv4, tcp, udp
from harness.wire.dhcp import Dhcp, MessageType, Op, Options
from harness.wire.ethernet import EtherType
from harness.wire.ipv4 import ANY, BROADCAST, Ip4, Ipv4, Protocol, ip4

GATEWAY = ip4("192.168.65.1")
HOST = ip4("192.168.65.2")
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
        return self.did(tcp_events.PeerClosed)

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
    address: Ip4 = ANY
    mtu: int = 1500
    receive_buffer: int = 256 * 1024
    out: list[bytes] = field(default_factory=list)
    datagrams: list[tuple[Ip4, udp.Datagram]] = field(default_factory=list)
    messages: list[tuple[Ip4, icmp.Icmp]] = field(default_factory=list)
    leases: list[Dhcp] = field(default_factory=list)
    arps: list[arp.Arp] = field(default_factory=list)
    segments: list[tcp.Segment] = field(default_factory=list)
    now: int = 0

    def __post_init__(self) -> None:
        self._streams: dict[tuple[Ip4, int, int], Stream] = {}
        self._neighbours = ArpCache(self.mac, [self.address])
        self._reassembler = Reassembler[Ipv4]()
        self._next_port = 40000

    # --- what its user does ---

    def take_address(self, address: Ip4) -> None:
        """As after a lease."""
        self.address = address
        self._neighbours = ArpCache(self.mac, [address])

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
        self, destination: Ip4, port: int, payload: bytes, *, source_port: int = 5000, ttl: int = 64
    ) -> None:
        """One UDP datagram, as fragments when it is large."""
        octets = udp.emit(udp.Datagram(source_port, port, payload), self.address, destination)
        for piece in fragment(
            Ipv4(self.address, destination, Protocol.UDP, octets, ttl=ttl, identification=99), self.mtu
        ):
            self.send_packet(piece)

    def ping(self, destination: Ip4, sequence: int = 1, payload: bytes = b"ping", *, ttl: int = 64) -> None:
        """One echo request with identifier 77."""
        message = icmp.emit(icmp.echo_request(77, sequence, payload))
        self.send_packet(Ipv4(self.address, destination, Protocol.ICMP, message, ttl=ttl))

    def connect(self, destination: Ip4, port: int, *, source_port: int | None = None) -> Stream:
        """Open a TCP connection; its SYN is sent by the next ``work``."""
        if source_port is None:
            source_port = self._next_port
            self._next_port += 1
        connection = Connection.connect(
            self.now,
            Config(mtu=self.mtu, receive_buffer=self.receive_buffer),
            local=Endpoint(self.address, source_port),
            remote=Endpoint(destination, port),
            iss=12345,
        )
        stream = self._streams[destination, port, source_port] = Stream(connection)
        return stream

    def send_segment(self, destination: Ip4, segment: tcp.Segment, *, ttl: int = 64) -> None:
        """A TCP segment of no connection of its own."""
        octets = tcp.emit(segment, self.address, destination)
        self.send_packet(Ipv4(self.address, destination, Protocol.TCP, octets, ttl=ttl, dont_fragment=True))

    def send_packet(self, packet: Ipv4) -> None:
        """To the gateway, or to a neighbour."""
        octets = ipv4.emit(packet)
        local = packet.destination[:3] == GATEWAY[:3]
        mac = self._neighbours.send(packet.destination if local else GATEWAY, octets, self.now)
        if mac is not None:
            self.out.append(ethernet.header(mac, self.mac, EtherType.IPV4) + octets)

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
                    remote = stream.connection.remote.address
                    self.send_packet(Ipv4(self.address, remote, Protocol.TCP, octets, dont_fragment=True))
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
            self._neighbours.on_arp(packet, self.now)
        elif frame.ethertype == EtherType.IPV4:
            part = ipv4.parse(frame.payload)
            assert len(frame.payload) <= self.mtu
            whole = self._reassembler.on_packet(part, self.now)
            if whole is not None:
                self._packet(whole)

    def _packet(self, packet: Ipv4) -> None:
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
            else:
                self.datagrams.append((packet.source, datagram))
        elif packet.protocol == Protocol.ICMP:
            self.messages.append((packet.source, icmp.parse(packet.payload)))
