"""ICMP errors that guests send about what they got from us, in either version: to whom they matter.

Only what is about a flow of that very guest counts, and for TCP only what quotes a sequence number in
flight (RFC 5927 4.1); everything else is a lie or too late, and is ignored as RFC 1122 3.2.2 lets us. Other
errors about TCP are soft (RFC 5927 5): its own timers know better.
"""

from typing import Final

from guestnet.gateway.addressing import Addressing, Reach
from guestnet.gateway.local import LocalServices
from guestnet.gateway.tcp_flows import TcpFlows
from guestnet.gateway.udp_flows import UdpFlows
from guestnet.tcpip import icmp as icmp_quotes
from guestnet.tcpip import icmpv6 as icmpv6_quotes
from guestnet.wire import icmpv6
from guestnet.wire.icmp import Icmp, Type, Unreachable
from guestnet.wire.icmpv6 import Icmpv6
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Protocol

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
_NOBODY_6: Final = frozenset({icmpv6.Unreachable.PROHIBITED, icmpv6.Unreachable.PORT})


class GuestErrors:
    """Of one gateway."""

    def __init__(self, addressing: Addressing, tcp: TcpFlows, udp: UdpFlows, local: LocalServices) -> None:
        self._addressing = addressing
        self._tcp = tcp
        self._udp = udp
        self._local = local

    def receive(self, packet: IpPacket, message: Icmp | Icmpv6, now: int) -> None:
        """``message``, an error, came in ``packet``."""
        if isinstance(message, Icmp):
            about = icmp_quotes.quoted(message)
            unreachable = message.type == Type.DESTINATION_UNREACHABLE
            too_big = unreachable and message.code == Unreachable.FRAGMENTATION_NEEDED
            nobody = unreachable and message.code in _NOBODY
        else:
            about = icmpv6_quotes.quoted(message)
            too_big = message.type == icmpv6.Type.PACKET_TOO_BIG
            nobody = message.type == icmpv6.Type.DESTINATION_UNREACHABLE and message.code in _NOBODY_6
        if about is None or (about.source, about.destination) != (packet.destination, packet.source):
            return
        if about.protocol == Protocol.UDP and nobody:
            self._udp.unreachable(about, now)
        elif about.protocol == Protocol.TCP and too_big:
            if self._addressing.reach(about.source) is Reach.GATEWAY:
                self._local.packet_too_big(about, message.mtu, now)
            else:
                self._tcp.packet_too_big(about, message.mtu, now)
