"""IPv6 at the gateway's interface: neighbour discovery, fragments, and the router that it is.

The gateway is fe80::1, the router of the link; fd65:6775:6573:7400::1 for DNS, and ::2 for the laptop itself.
It advertises (RFC 4861 6.2, RFC 8106) what ``Ipv6Config`` says, from when the first turn comes.

It does not look whether its own addresses are free (RFC 4862 5.4): it is on the link before any guest is. Who
comes later finds out that they are taken, for every question about them is answered. Every claim is defended
against and told as an ``AddressConflict``, as ARP does it.
"""

import struct
from typing import ClassVar, Final

from msgspec.structs import replace

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.core.laptop import LaptopFacts
from guestnet.core.rng import Stream
from guestnet.core.time import SECOND
from guestnet.gateway.addressing import Addressing
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.ip_layer import IpLayer
from guestnet.tcpip import icmpv6 as icmpv6_errors
from guestnet.tcpip import reassembly
from guestnet.tcpip.ndp import NdpCache, read
from guestnet.tcpip.neighbour import Outgoing
from guestnet.tcpip.reassembly import CrowdedOut, Reassembler, fragment6
from guestnet.tcpip.router import Advertiser
from guestnet.wire import icmpv6, ipv6, ndp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.ipv6 import Ipv6
from guestnet.wire.ndp import RouterAdvertisement
from guestnet.wire.octets import Octets

_HEADER: Final = struct.Struct("!LHBB16s16s")
_HOPS: Final = 64
_TIMEOUT: Final = 60 * SECOND
"""For the pieces of a packet (RFC 8200 4.5)."""


class Ipv6Layer(IpLayer):
    """NDP and IPv6."""

    ethertype: ClassVar[EtherType] = EtherType.IPV6
    asks: ClassVar[str] = "neighbour solicitations"
    version: ClassVar[int] = 6
    too_late: ClassVar[tuple[int, int]] = (icmpv6.Type.TIME_EXCEEDED, icmpv6.TimeExceeded.REASSEMBLY)

    def __init__(self, config: GatewayConfig, addressing: Addressing, draws: Stream) -> None:
        own = config.ipv6
        self.gateway = own.gateway
        self.ndp = self.neighbours = NdpCache(config.mac, (own.router, own.gateway, own.host))
        self.advertiser = Advertiser(config.mac, own.router, advertisement(config), draws)
        self._addressing = addressing
        self._reassembler = Reassembler[Ipv6](reassembly.Config(timeout=_TIMEOUT))
        self._draws = draws
        self._is_started = False

    def parse(self, octets: memoryview) -> Ipv6:
        """As of ``IpLayer``."""
        return ipv6.parse(octets)

    def take(self, packet: IpPacket, mac: bytes, now: int) -> IpPacket | None:
        """As of ``IpLayer``; neighbour discovery ends here."""
        if not isinstance(packet, Ipv6):
            raise TypeError("an IPv4 packet in the layer of IPv6")
        if packet.extensions:
            icmpv6_errors.check_extensions(packet)
            whole = self._reassembler.on_packet(packet, now)
            if whole is None:
                return None
            if whole is not packet:
                icmpv6_errors.check_extensions(whole)
            packet = whole
        if packet.protocol == Protocol.ICMPV6 and len(packet.payload) and packet.payload[0] in ndp.TYPES:
            self._discover(packet, Mac(mac), now)
            return None
        return packet

    def _discover(self, packet: Ipv6, mac: Mac, now: int) -> None:
        if packet.extensions and packet.fragment is not None:
            raise WireError("ndp in fragments")  # RFC 6980
        message = icmpv6.parse(packet.payload, packet.source, packet.destination)
        found = read(packet, message)
        if isinstance(found, ndp.NeighbourSolicitation):
            self.ndp.on_solicitation(packet.source, found, mac, now)
        elif isinstance(found, ndp.NeighbourAdvertisement):
            self.ndp.on_advertisement(found, mac, now)
        elif isinstance(found, ndp.RouterSolicitation):
            known = found.options.source_mac
            if known is not None and not known.is_group:
                self.ndp.hint(packet.source, known)
            self.advertiser.on_solicitation(packet.source, mac)
        else:
            raise WireError("ndp: a guest speaks as a router")

    def on_impostor(self, packet: IpPacket, mac: bytes, now: int) -> None:
        """As of ``IpLayer``: who speaks of neighbours from an address of ours claims it."""
        if packet.protocol == Protocol.ICMPV6 and len(packet.payload) and packet.payload[0] in ndp.TYPES:
            icmpv6.parse(packet.payload, packet.source, packet.destination)
            self.ndp.on_impostor(packet.source, Mac(mac), now)

    def is_credible(self, packet: IpPacket) -> bool:
        """As of ``IpLayer``."""
        # A guest without an address looks whether one is free and asks for routers (RFC 4862, RFC 4861).
        return self._addressing.is_guest(packet.source) or (
            packet.source == ipv6.UNSPECIFIED
            and ipv6.is_multicast(packet.destination)
            and packet.protocol == Protocol.ICMPV6
        )

    def header(
        self, source: IpAddress, destination: IpAddress, protocol: int, length: int, ecn: int
    ) -> bytes:
        """As of ``IpLayer``."""
        return _HEADER.pack(6 << 28 | ecn << 20, length, protocol, _HOPS, source, destination)

    def pieces(self, packet: IpPacket, mtu: int) -> list[bytes]:
        """As of ``IpLayer``."""
        if not isinstance(packet, Ipv6):
            raise TypeError("an IPv4 packet in the layer of IPv6")
        # Not to be guessed (RFC 7739).
        return [ipv6.emit(piece) for piece in fragment6(packet, mtu, self._draws.getrandbits(32))]

    def error(self, original: Octets, source: IpAddress, kind: int, code: int, rest: int) -> IpPacket | None:
        """As of ``IpLayer``."""
        return icmpv6_errors.error_about(original, source, kind, code, rest=rest)

    def laptop_told(self, facts: LaptopFacts, now: int) -> None:
        """Advertise the captive portal's API, or none any more (RFC 8910 section 2.3): what changes is told
        to everybody and at once."""
        was = self.advertiser.advertisement
        options = replace(was.options, captive_portal=facts.portal or None)
        if options != was.options:
            self.advertiser.change(replace(was, options=options), now)

    def transmit(self) -> list[Outgoing]:
        """As of ``IpLayer``."""
        return self.neighbours.transmit() + self.advertiser.transmit()

    def crowded_out(self) -> list[CrowdedOut]:
        """As of ``IpLayer``."""
        return self._reassembler.crowded_out()

    def poll_at(self) -> int | None:
        """As of ``IpLayer``."""
        times = (self.neighbours.poll_at(), self._reassembler.poll_at(), self.advertiser.poll_at())
        return min((at for at in times if at is not None), default=None)

    def on_timer(self, now: int) -> list[IpPacket]:
        """As of ``IpLayer``."""
        if not self._is_started:
            self._is_started = True
            self.advertiser.start(now)
        self.neighbours.on_timer(now)
        self.advertiser.on_timer(now)
        return list(self._reassembler.on_timer(now))


def advertisement(config: GatewayConfig) -> RouterAdvertisement:
    """What the gateway tells its guests."""
    own = config.ipv6
    prefix = ndp.Prefix(
        own.network.network_address.packed, own.network.prefixlen, on_link=True, autonomous=own.autonomous,
        valid_lifetime=own.valid_lifetime, preferred_lifetime=own.preferred_lifetime,
    )  # fmt: skip
    domain = config.gateway_name.partition(".")[2]
    options = ndp.Options(
        source_mac=config.mac,
        mtu=config.mtu,
        prefixes=(prefix,),
        dns_servers=(ndp.DnsServers((own.gateway,), own.dns_lifetime),),
        dns_search=(ndp.DnsSearch((domain,), own.dns_lifetime),) if domain else (),
    )
    return RouterAdvertisement(
        own.router_lifetime, _HOPS, managed=own.managed, other_config=own.other_config, options=options
    )
