"""Where a destination leads, and as whom a host answers: the one place that translates addresses.

=========================== ============================================================
the guest says              that is
=========================== ============================================================
192.168.65.1                the gateway itself: DHCP, DNS, ping; all else is refused
fd65:6775:6573:7400::1      the same, and so is fe80::1, the router
192.168.65.2                the laptop's 127.0.0.1
fd65:6775:6573:7400::2      the laptop's ::1
another of the subnet       a guest: the switch brings it there; the gateway stays out of it
broadcast, multicast        not forwarded; the switch floods it
0/8, 127/8, 240/4           not forwarded (RFC 1122 3.2.1.3)
::, ::1, ::ffff:0:0/96      not forwarded (RFC 4291 2.5, RFC 4942 2.2)
fe80::/10                   not forwarded (RFC 4291 2.5.6)
any other                   that address
=========================== ============================================================
"""

from enum import Enum
from typing import Final, Protocol

from guestnet.gateway.config import LOOPBACK, GatewayConfig
from guestnet.wire import ipv6
from guestnet.wire.ip import IpAddress
from guestnet.wire.ipv4 import BROADCAST

_TTL: Final = 64
"""What hosts mostly begin with."""
_CLASS_D: Final = 224
_CLASS_E: Final = 240
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Reach(Enum):
    """What becomes of a packet to some destination."""

    GATEWAY = "gateway"
    HOST = "host"
    """The laptop itself, by the host address."""
    FORWARD = "forward"
    GROUP = "group"
    NOWHERE = "nowhere"


class _Version(Protocol):
    """The policy for one version of IP."""

    host: IpAddress
    loopback: IpAddress

    def reach(self, destination: IpAddress) -> Reach: ...

    def is_guest(self, address: IpAddress) -> bool: ...

    def is_loopback(self, address: IpAddress) -> bool: ...


class Addressing:
    """The policy for one subnet of each version."""

    def __init__(self, config: GatewayConfig) -> None:
        self._versions: dict[int, _Version] = {4: _Ipv4(config)}
        if config.has_ipv6:
            self._versions[16] = _Ipv6(config)

    def reach(self, destination: IpAddress) -> Reach:
        """What becomes of a packet to ``destination``."""
        return self._versions[len(destination)].reach(destination)

    def is_guest(self, address: IpAddress) -> bool:
        """Whether ``address`` may be a guest's: in the subnet, and nobody else's."""
        return self._versions[len(address)].is_guest(address)

    def is_outside(self, address: IpAddress) -> bool:
        """Whether a guest may hear of ``address``: it is not one that means something else on its side."""
        return self.reach(address) in (Reach.FORWARD, Reach.HOST)

    def is_host(self, address: IpAddress) -> bool:
        """Whether ``address`` leads to the laptop itself."""
        return address == self._versions[len(address)].host

    def to_host(self, destination: IpAddress) -> IpAddress:
        """The address for the laptop's sockets."""
        version = self._versions[len(destination)]
        return version.loopback if destination == version.host else destination

    def ttl_inside(self, source: IpAddress, ttl: int) -> int:
        """With which TTL a guest gets what came for it from ``source``, as a guest sees that, with ``ttl``.

        One less for the router that the laptop is (RFC 1812 5.3.1); never 0, for it has arrived. ``ttl`` 0:
        it is not known, and what hosts mostly begin with is taken.
        """
        if ttl == 0 or self.is_host(source):
            return ttl or _TTL
        return max(ttl - 1, 1)

    def to_guest(self, address: IpAddress) -> IpAddress:
        """The address under which a guest sees whom the laptop's socket heard from."""
        version = self._versions[len(address)]
        return version.host if version.is_loopback(address) else address


class _Ipv4:
    def __init__(self, config: GatewayConfig) -> None:
        self.host = config.host
        self.loopback = LOOPBACK
        self._gateway = config.gateway
        self._broadcast = config.broadcast
        self._prefix = int.from_bytes(config.netmask, "big")
        self._network = int.from_bytes(config.gateway, "big") & self._prefix

    def reach(self, destination: IpAddress) -> Reach:
        if destination == self._gateway:
            return Reach.GATEWAY
        if destination == self.host:
            return Reach.HOST
        first = destination[0]
        if destination in (BROADCAST, self._broadcast) or _CLASS_D <= first < _CLASS_E:
            return Reach.GROUP
        if first in (0, 127) or first >= _CLASS_E or self._is_local(destination):
            return Reach.NOWHERE
        return Reach.FORWARD

    def _is_local(self, address: IpAddress) -> bool:
        return int.from_bytes(address, "big") & self._prefix == self._network

    def is_guest(self, address: IpAddress) -> bool:
        return self._is_local(address) and address not in (self._gateway, self.host, self._broadcast)

    def is_loopback(self, address: IpAddress) -> bool:
        return address[0] == LOOPBACK[0]


class _Ipv6:
    def __init__(self, config: GatewayConfig) -> None:
        own = config.ipv6
        self.host = own.host
        self.loopback = ipv6.LOOPBACK
        self._own = (own.router, own.gateway)
        # The prefix has whole octets (``Ipv6Config``).
        self._network = own.network.network_address.packed[: own.network.prefixlen // 8]

    def reach(self, destination: IpAddress) -> Reach:
        if destination in self._own:
            return Reach.GATEWAY
        if destination == self.host:
            return Reach.HOST
        if destination[0] == 0xFF:
            return Reach.GROUP
        if destination[0] == 0 and (
            destination in (ipv6.UNSPECIFIED, ipv6.LOOPBACK) or destination[:12] == _MAPPED
        ):
            return Reach.NOWHERE
        if self._is_local(destination) or ipv6.is_link_local(destination):
            return Reach.NOWHERE
        return Reach.FORWARD

    def _is_local(self, address: IpAddress) -> bool:
        return address[: len(self._network)] == self._network

    def is_guest(self, address: IpAddress) -> bool:
        if address == self.host or address in self._own:
            return False
        return self._is_local(address) or ipv6.is_link_local(address)

    def is_loopback(self, address: IpAddress) -> bool:
        return address == ipv6.LOOPBACK
