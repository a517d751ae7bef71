"""One version of IP at the gateway's interface: what differs between the two, behind one face.

``Interface`` does what is the same for both: frames, whom to tell of errors and how often, what is dropped.
"""

import struct
from abc import ABC, abstractmethod
from typing import ClassVar, Final

from guestnet.gateway.addressing import Addressing
from guestnet.gateway.config import GatewayConfig
from guestnet.tcpip import icmp as icmp_errors
from guestnet.tcpip.arp import ArpCache
from guestnet.tcpip.neighbour import NeighbourCache, Outgoing
from guestnet.tcpip.reassembly import CrowdedOut, Reassembler, fragment
from guestnet.wire import icmp, ipv4
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import ANY, Ip4, Ipv4, Protocol
from guestnet.wire.octets import Octets

_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
_DONT_FRAGMENT: Final = 0x4000
_HOPS: Final = 64


class IpLayer(ABC):
    """For one interface. ``neighbours`` has its link-layer addresses."""

    version: ClassVar[int]
    """4 or 6."""
    ethertype: ClassVar[EtherType]
    neighbours: NeighbourCache
    asks: ClassVar[str]
    """By what it finds out link-layer addresses."""
    too_late: ClassVar[tuple[int, int]]
    """ICMP type and code for fragments that never were a whole."""
    gateway: IpAddress
    """As whom the gateway speaks of errors."""

    @abstractmethod
    def parse(self, octets: memoryview) -> IpPacket:
        """A packet. Raises WireError when it is malformed."""

    @abstractmethod
    def take(self, packet: IpPacket, mac: bytes, now: int) -> IpPacket | None:
        """What is to be delivered of a packet that came in a frame from ``mac``: the whole.

        Raises WireError, or PacketProblem when its sender has to be told.
        """

    @abstractmethod
    def header(
        self, source: IpAddress, destination: IpAddress, protocol: int, length: int, ecn: int
    ) -> bytes:
        """Before a payload of ``length`` octets that is never to be fragmented."""

    @abstractmethod
    def pieces(self, packet: IpPacket, mtu: int) -> list[bytes]:
        """The packet, in fragments when it is larger than ``mtu``."""

    @abstractmethod
    def error(self, original: Octets, source: IpAddress, kind: int, code: int, rest: int) -> IpPacket | None:
        """The ICMP error about ``original``; ``rest`` is its MTU or pointer. None when none may be sent."""

    @abstractmethod
    def is_credible(self, packet: IpPacket) -> bool:
        """Whether the source is one that a guest may have."""

    @abstractmethod
    def on_impostor(self, packet: IpPacket, mac: bytes, now: int) -> None:
        """``packet`` came from ``mac`` with a source that no guest may have; it goes no further."""

    def transmit(self) -> list[Outgoing]:
        """The frames due now; drained."""
        return self.neighbours.transmit()

    @abstractmethod
    def crowded_out(self) -> list[CrowdedOut]:
        """Fragments that gave way to newer ones; drained."""

    @abstractmethod
    def poll_at(self) -> int | None:
        """When ``on_timer`` is due."""

    @abstractmethod
    def on_timer(self, now: int) -> list[IpPacket]:
        """Do what is due. Returns first fragments of what is given up: their senders are to be told."""


class Ipv4Layer(IpLayer):
    """ARP and IPv4."""

    ethertype: ClassVar[EtherType] = EtherType.IPV4
    asks: ClassVar[str] = "ARP"
    version: ClassVar[int] = 4
    too_late: ClassVar[tuple[int, int]] = (icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.REASSEMBLY)

    def __init__(self, config: GatewayConfig, addressing: Addressing) -> None:
        self.gateway: Ip4 = config.gateway
        self.arp = self.neighbours = ArpCache(config.mac, (config.gateway, config.host))
        self._addressing = addressing
        self._broadcasts = (config.broadcast,)
        self._reassembler = Reassembler[Ipv4]()
        self._identification = 0

    def parse(self, octets: memoryview) -> Ipv4:
        """As of ``IpLayer``."""
        return ipv4.parse(octets)

    def take(self, packet: IpPacket, mac: bytes, now: int) -> IpPacket | None:
        """As of ``IpLayer``."""
        if not packet.is_fragment or not isinstance(packet, Ipv4):
            return packet
        return self._reassembler.on_packet(packet, now)

    def on_impostor(self, packet: IpPacket, mac: bytes, now: int) -> None:
        """As of ``IpLayer``: claims are made by ARP, and heard there."""

    def is_credible(self, packet: IpPacket) -> bool:
        """As of ``IpLayer``."""
        # A guest without an address speaks DHCP from 0.0.0.0 (RFC 2131 4.1).
        return self._addressing.is_guest(packet.source) or (
            packet.source == ANY and packet.protocol == Protocol.UDP
        )

    def header(
        self, source: IpAddress, destination: IpAddress, protocol: int, length: int, ecn: int
    ) -> bytes:
        """With DF and identification 0: an atomic datagram (RFC 6864 4)."""
        return ipv4.checksummed(
            _HEADER.pack(0x45, ecn, 20 + length, 0, _DONT_FRAGMENT, _HOPS, protocol, 0, source, destination)
        )

    def pieces(self, packet: IpPacket, mtu: int) -> list[bytes]:
        """As of ``IpLayer``."""
        if not isinstance(packet, Ipv4):
            raise TypeError("an IPv6 packet in the layer of IPv4")
        if not packet.dont_fragment:
            self._identification = (self._identification + 1) & 0xFFFF
            if len(packet.payload) + 20 <= mtu and not packet.options and not packet.is_fragment:
                header = _HEADER.pack(
                    0x45, packet.tos, 20 + len(packet.payload), self._identification, 0, packet.ttl,
                    packet.protocol, 0, packet.source, packet.destination,
                )  # fmt: skip
                return [b"".join((ipv4.checksummed(header), packet.payload))]
            packet = Ipv4(
                packet.source, packet.destination, packet.protocol, packet.payload, packet.ttl,
                self._identification, tos=packet.tos,
            )  # fmt: skip
        return [ipv4.emit(piece) for piece in fragment(packet, mtu)]

    def error(self, original: Octets, source: IpAddress, kind: int, code: int, rest: int) -> IpPacket | None:
        """As of ``IpLayer``."""
        return icmp_errors.error_about(original, source, kind, code, mtu=rest, broadcasts=self._broadcasts)

    def crowded_out(self) -> list[CrowdedOut]:
        """As of ``IpLayer``."""
        return self._reassembler.crowded_out()

    def poll_at(self) -> int | None:
        """As of ``IpLayer``."""
        times = (self.neighbours.poll_at(), self._reassembler.poll_at())
        return min((at for at in times if at is not None), default=None)

    def on_timer(self, now: int) -> list[IpPacket]:
        """As of ``IpLayer``."""
        self.neighbours.on_timer(now)
        return list(self._reassembler.on_timer(now))
