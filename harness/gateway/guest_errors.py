"""ICMP errors that guests send about what they got from us: to whom they matter.

Only what is about a flow of that very guest counts, and for TCP only what quotes a sequence number in
flight (RFC 5927 4.1); everything else is a lie or too late, and is ignored as RFC 1122 3.2.2 lets us. Other
errors about TCP are soft (RFC 5927 5): its own timers know better.
"""

from typing import Final

from harness.gateway.local import DNS_PORT, LocalServices
from harness.gateway.tcp_flows import TcpFlows
from harness.gateway.udp_flows import UdpFlows
from harness.tcpip.icmp import quoted
from harness.wire.icmp import Icmp, Type, Unreachable
from harness.wire.ipv4 import Ip4, Ipv4, Protocol

_NOBODY: Final = frozenset(
    {
        Unreachable.PROTOCOL,
        Unreachable.PORT,
        Unreachable.NET_PROHIBITED,
        Unreachable.HOST_PROHIBITED,
        Unreachable.COMMUNICATION_PROHIBITED,
    }
)
"""What a guest says for itself when it has no socket there, or its firewall does."""


class GuestErrors:
    """Of one gateway."""

    def __init__(self, gateway: Ip4, tcp: TcpFlows, udp: UdpFlows, local: LocalServices) -> None:
        self._gateway = gateway
        self._tcp = tcp
        self._udp = udp
        self._local = local

    def receive(self, packet: Ipv4, message: Icmp, now: int) -> None:
        """``message``, an error, came in ``packet``."""
        about = quoted(message)
        if about is None or message.type != Type.DESTINATION_UNREACHABLE:
            return
        if (about.source, about.destination) != (packet.destination, packet.source):
            return
        if about.protocol == Protocol.UDP:
            if message.code in _NOBODY:
                self._udp.unreachable(about, now)
        elif about.protocol == Protocol.TCP and message.code == Unreachable.FRAGMENTATION_NEEDED:
            if about.source == self._gateway and about.source_port == DNS_PORT:
                self._local.packet_too_big(about, message.mtu, now)
            else:
                self._tcp.packet_too_big(about, message.mtu, now)
