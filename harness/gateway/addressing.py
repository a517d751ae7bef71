"""Where a destination leads, and as whom a host answers: the one place that translates addresses.

==========================  =============================================================
the guest says              that is
==========================  =============================================================
192.168.65.1                the gateway itself: DHCP, DNS, ping; everything else is refused
192.168.65.2                the laptop's 127.0.0.1
another of the subnet       a guest: the switch brings it there; the gateway stays out of it
broadcast, multicast        not forwarded; the switch floods it
0/8, 127/8, 240/4           not forwarded (RFC 1122 3.2.1.3)
any other                   that address
==========================  =============================================================
"""

from enum import Enum
from typing import Final

from harness.gateway.config import LOOPBACK, GatewayConfig
from harness.wire.ipv4 import BROADCAST, Ip4

_CLASS_D: Final = 224
_CLASS_E: Final = 240


class Reach(Enum):
    """What becomes of a packet to some destination."""

    GATEWAY = "gateway"
    HOST = "host"
    """The laptop itself, by the host address."""
    FORWARD = "forward"
    GROUP = "group"
    NOWHERE = "nowhere"


class Addressing:
    """The policy for one subnet."""

    def __init__(self, config: GatewayConfig) -> None:
        self.gateway = config.gateway
        self.host = config.host
        self._broadcast = config.broadcast
        self._prefix = int.from_bytes(config.netmask, "big")
        self._network = int.from_bytes(config.gateway, "big") & self._prefix

    def reach(self, destination: Ip4) -> Reach:
        """What becomes of a packet to ``destination``."""
        if destination == self.gateway:
            return Reach.GATEWAY
        if destination == self.host:
            return Reach.HOST
        first = destination[0]
        if destination in (BROADCAST, self._broadcast) or _CLASS_D <= first < _CLASS_E:
            return Reach.GROUP
        if first in (0, 127) or first >= _CLASS_E or self.is_local(destination):
            return Reach.NOWHERE
        return Reach.FORWARD

    def is_local(self, address: Ip4) -> bool:
        """Whether ``address`` is in the guests' subnet."""
        return int.from_bytes(address, "big") & self._prefix == self._network

    def is_guest(self, address: Ip4) -> bool:
        """Whether ``address`` may be a guest's: in the subnet, and nobody else's."""
        return self.is_local(address) and address not in (self.gateway, self.host, self._broadcast)

    def to_host(self, destination: Ip4) -> bytes:
        """The address for the laptop's sockets."""
        return LOOPBACK if destination == self.host else destination

    def to_guest(self, address: bytes) -> Ip4:
        """The address under which a guest sees whom the laptop's socket heard from."""
        return self.host if address[0] == LOOPBACK[0] else address
