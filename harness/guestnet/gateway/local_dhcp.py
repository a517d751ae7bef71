"""DHCP and DHCPv6 on the gateway's own addresses."""

from guestnet.core.laptop import LaptopFacts
from guestnet.gateway.addressing import Reach
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.services.dhcp import DhcpConfig, DhcpServer
from guestnet.services.dhcpv6 import Dhcpv6Config, Dhcpv6Server
from guestnet.wire import dhcp, dhcpv6, udp
from guestnet.wire.ip import IpPacket, packet_of
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6


class Dhcp:
    """The `DatagramService` of port 67."""

    def __init__(self, config: GatewayConfig, interface: Interface, outbox: Outbox) -> None:
        self._gateway = config.gateway
        self._interface = interface
        self._outbox = outbox
        self._server = DhcpServer(
            DhcpConfig(
                server=config.gateway, subnet_mask=config.netmask, first=config.first_guest,
                last=config.last_guest, routers=(config.gateway,), dns_servers=(config.gateway,),
                domain_name=_domain(config), mtu=config.mtu, lease_time=config.lease_time,
            )
        )  # fmt: skip

    def takes(self, packet: IpPacket, reach: Reach, *, is_own: bool) -> bool:
        """As of ``DatagramService``."""
        return isinstance(packet, Ipv4)

    def datagram(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """As of ``DatagramService``."""
        answer = self._server.handle(dhcp.parse(datagram.payload), now)
        self._outbox.record(answer.event)
        reply = answer.reply
        if reply is None:
            return
        message = udp.Datagram(dhcp.SERVER_PORT, dhcp.CLIENT_PORT, dhcp.emit(reply.message))
        octets = udp.emit(message, self._gateway, reply.destination)
        self._interface.send_to(reply.mac, Ipv4(self._gateway, reply.destination, Protocol.UDP, octets))

    def laptop_told(self, facts: LaptopFacts) -> None:
        """From now on clients are told of the captive portal, or of none (RFC 8910 section 2.1)."""
        self._server.captive_portal = facts.portal


class Dhcpv6:
    """The `DatagramService` of port 547."""

    def __init__(self, config: GatewayConfig, interface: Interface, outbox: Outbox) -> None:
        self._router = config.ipv6.router
        self._interface = interface
        self._outbox = outbox
        self._server = Dhcpv6Server(_dhcpv6(config))

    def takes(self, packet: IpPacket, reach: Reach, *, is_own: bool) -> bool:
        """As of ``DatagramService``."""
        if not isinstance(packet, Ipv6):
            return False
        return reach is Reach.GATEWAY or packet.destination == dhcpv6.ALL_SERVERS

    def datagram(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """As of ``DatagramService``."""
        mac = self._interface.holder(packet.source)
        if mac is None:
            return
        unicast = packet.destination != dhcpv6.ALL_SERVERS
        answer = self._server.handle(dhcpv6.parse(datagram.payload), mac, now, unicast=unicast)
        self._outbox.record(answer.event)
        if answer.message is None:
            return
        message = udp.Datagram(dhcpv6.SERVER_PORT, datagram.source_port, dhcpv6.emit(answer.message))
        octets = udp.emit(message, self._router, packet.source)
        self._interface.send_packet(packet_of(self._router, packet.source, Protocol.UDP, octets))

    def laptop_told(self, facts: LaptopFacts) -> None:
        """From now on clients are told of the captive portal, or of none (RFC 8910 section 2.2)."""
        self._server.captive_portal = facts.portal


def _domain(config: GatewayConfig) -> str:
    return config.gateway_name.partition(".")[2]


def _dhcpv6(config: GatewayConfig) -> Dhcpv6Config:
    own, domain = config.ipv6, _domain(config)
    return Dhcpv6Config(
        duid=dhcpv6.duid_ll(config.mac), first=own.first_guest, last=own.last_guest,
        dns_servers=(own.gateway,), domain_search=(domain,) if domain else (),
        lease_time=config.lease_time,
    )  # fmt: skip
