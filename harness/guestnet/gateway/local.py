"""What the gateway itself offers on its addresses: a table of services by transport and port.

A service of datagrams is a `DatagramService`, one of streams a `guestnet.gateway.listener.Service` in a
`Listener`. Another one is a file of its own and a line here.
"""

from typing import Final, Protocol

from guestnet.core.laptop import LaptopFacts
from guestnet.core.rng import Stream
from guestnet.core.time import SECOND, earliest
from guestnet.gateway.addressing import Reach
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.listener import Bounds, Listener
from guestnet.gateway.local_dhcp import Dhcp, Dhcpv6
from guestnet.gateway.local_dns import Dns
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.icmp import Quoted
from guestnet.tcpip.tcp.config import Config
from guestnet.wire import dhcp, dhcpv6, dns, tcp, udp
from guestnet.wire.ip import IpPacket

_DNS_STREAMS: Final = Bounds(streams=64, idle=30 * SECOND, limit="dns_streams")


class DatagramService(Protocol):
    """What answers datagrams to a port."""

    def takes(self, packet: IpPacket, reach: Reach, *, is_own: bool) -> bool:
        """Whether ``packet``, to a group or to the gateway (``reach``), is for it.

        ``is_own``: to an address of the gateway alone, and from somebody who has an address.
        """

    def datagram(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """One that it ``takes``. Raises WireError when it is malformed."""


class LocalServices:
    """The services of one gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        interface: Interface,
        outbox: Outbox,
        turned_away: TurnedAway,
        draws: Stream,
    ) -> None:
        self._dhcp = Dhcp(config, interface, outbox)
        self._dhcpv6 = Dhcpv6(config, interface, outbox)
        self.dns = Dns(config, interface, outbox)
        tcp_config = Config(mtu=config.mtu, receive_buffer=65536, send_buffer=131072, time_wait=SECOND)
        self.datagrams: dict[int, DatagramService] = {
            dhcp.SERVER_PORT: self._dhcp,
            dhcpv6.SERVER_PORT: self._dhcpv6,
            dns.PORT: self.dns,
        }
        """By UDP port."""
        self.streams: dict[int, Listener] = {
            dns.PORT: Listener(self.dns, _DNS_STREAMS, tcp_config, interface, turned_away, draws)
        }
        """By TCP port."""

    def laptop_told(self, facts: LaptopFacts) -> None:
        """From now on clients are told of these."""
        self._dhcp.laptop_told(facts)
        self._dhcpv6.laptop_told(facts)

    def segment(self, packet: IpPacket, segment: tcp.Segment, now: int) -> bool:
        """A segment to the gateway; False when it belongs to nobody here."""
        listener = self.streams.get(segment.destination_port)
        return listener is not None and listener.segment(packet, segment, now)

    def packet_too_big(self, quoted: Quoted, mtu: int, now: int) -> None:
        """As of ``TcpFlows``."""
        listener = self.streams.get(quoted.source_port)
        if listener is not None:
            listener.packet_too_big(quoted, mtu, now)

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return earliest(self.dns.poll_at(), *[listener.poll_at() for listener in self.streams.values()])

    def flush(self, now: int) -> None:
        """At the end of a turn: deadlines, then what the streams have to say."""
        self.dns.flush(now)
        for listener in self.streams.values():
            listener.flush(now)
