"""What may be chosen about the gateway: frozen, apart from everything that runs."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.core.time import SECOND
from guestnet.wire import ipv6
from guestnet.wire.ipv4 import Ip4
from guestnet.wire.ipv6 import Ip6

MIN_MTU: Final = 576
"""Every IPv4 host takes datagrams of this size (RFC 1122 3.3.2)."""
MAX_MTU: Final = 65520
GATEWAY_NAME: Final = "gateway.docker.internal"
HOST_NAME: Final = "host.docker.internal"
KEEPALIVES: Final = 5
"""So many without an answer end a connection."""
LOOPBACK: Final[Ip4] = bytes((127, 0, 0, 1))

_network4 = lru_cache(maxsize=16)(IPv4Network)
_network6 = lru_cache(maxsize=16)(IPv6Network)


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds on what the gateway holds; idle times in nanoseconds.

    ``connecting`` bounds host connects in flight, ``tcp_flows`` all TCP flows. ``tcp_buffer`` is octets a
    direction of one flow. ``udp_idle`` is RFC 4787 REQ-5's recommended five minutes; ``udp_dns_idle`` is for
    flows that only ever asked port 53, of which everybody uses a new one for each question.
    ``udp_inbound_refresh``: what comes from outside also keeps a flow alive (REQ-6 leaves the choice).
    ``icmp_errors`` a second are made for each guest and kind, and ten times as many in all; ``icmp_burst`` at
    once (RFC 1812 4.3.2.8).
    """

    tcp_flows: int = 16_384
    connecting: int = 512
    tcp_buffer: int = 2 << 20
    udp_flows: int = 2_048
    udp_idle: int = 300 * SECOND
    udp_dns_idle: int = 30 * SECOND
    udp_inbound_refresh: bool = True
    echo_flows: int = 256
    echo_idle: int = 30 * SECOND
    dns_pending: int = 512
    icmp_errors: int = 100
    icmp_burst: int = 100


class Ipv6Config(Struct, frozen=True, kw_only=True):
    """The guests' prefix and what the router tells them (RFC 4861 6.2.1); lifetimes in seconds.

    ``managed``: addresses are to be had by DHCPv6; ``other_config``: all else is; ``autonomous``: guests may
    make addresses of the prefix (SLAAC). DHCPv6 answers in any case. ``router_lifetime`` 0: we are no
    default router, so that guests without another know at once that they cannot go out by IPv6.

    Raises DescriptionError when the parts do not fit together.
    """

    prefix: str = "fd65:6775:6573:7400::/64"
    is_on: bool = True
    managed: bool = False
    other_config: bool = True
    autonomous: bool = True
    router_lifetime: int = 1800
    valid_lifetime: int = 86400
    preferred_lifetime: int = 14400
    dns_lifetime: int = 1800

    def __post_init__(self) -> None:
        try:
            network = IPv6Network(self.prefix)
        except ValueError as error:
            raise DescriptionError(
                f"the prefix {self.prefix!r}: {error}", remedy="write it as fd65:6775:6573:7400::/64"
            ) from error
        if network.prefixlen != 64:
            raise DescriptionError(
                f"the prefix {self.prefix} has {network.prefixlen} bits",
                remedy="choose a /64: guests make their addresses of no other (RFC 4291 2.5.1)",
            )
        if not 0 <= self.router_lifetime <= 9000:
            raise DescriptionError(
                f"a router lifetime of {self.router_lifetime} s", remedy="choose 0 to 9000 (RFC 4861 6.2.1)"
            )

    @property
    def network(self) -> IPv6Network:
        """The prefix as an object."""
        return _network6(self.prefix)

    @property
    def router(self) -> Ip6:
        """Link-local: what guests have as their router."""
        return ipv6.ip6("fe80::1")

    @property
    def gateway(self) -> Ip6:
        """The first address: the DNS server."""
        return self._address(1)

    @property
    def host(self) -> Ip6:
        """The second address: leads to the laptop's ::1."""
        return self._address(2)

    @property
    def first_guest(self) -> Ip6:
        """The first address that DHCPv6 gives; ``last_guest`` is the last."""
        return self._address(3)

    @property
    def last_guest(self) -> Ip6:
        """DHCPv6 has as many addresses as a /20 of IPv4: enough for every guest, few enough to count."""
        return self._address(0x0FFF)

    def _address(self, index: int) -> Ip6:
        return self.network[index].packed


class GatewayConfig(Struct, frozen=True, kw_only=True):
    """The guests' subnet and who is who in it; ``mtu`` in octets of IP packet, ``lease_time`` in seconds.

    ``keepalive``, in seconds, is for how long a TCP connection may be silent before both its ends are asked
    whether they are there, 0: for ever. There is IPv6 unless ``ipv6`` or a small MTU forbids it.

    Raises DescriptionError when the parts do not fit together.
    """

    subnet: str = "192.168.65.0/24"
    mac: Mac = Mac(bytes.fromhex("5a94efe40cdd"))
    mtu: int = 1500
    gateway_name: str = GATEWAY_NAME
    host_name: str = HOST_NAME
    lease_time: int = 7200
    keepalive: int = 0
    seed: int = 0
    limits: Limits = Limits()
    ipv6: Ipv6Config = Ipv6Config()

    def __post_init__(self) -> None:
        if not MIN_MTU <= self.mtu <= MAX_MTU:
            raise DescriptionError(f"an MTU of {self.mtu} octets", remedy=f"choose {MIN_MTU} to {MAX_MTU}")
        try:
            network = IPv4Network(self.subnet)
        except ValueError as error:
            raise DescriptionError(
                f"the subnet {self.subnet!r}: {error}", remedy="write it as 192.168.65.0/24"
            ) from error
        if network.prefixlen > 29:
            raise DescriptionError(
                f"the subnet {self.subnet} has no room for a gateway, a host address and guests",
                remedy="choose a prefix of /29 or shorter",
            )

    @property
    def keepalive_interval(self) -> int:
        """Seconds between two keepalives that nobody answers: Linux's, or ``keepalive`` if that is less."""
        return min(self.keepalive, 75)

    @property
    def has_ipv6(self) -> bool:
        """Not over a link with an MTU below 1280 (RFC 8200 5)."""
        return self.ipv6.is_on and self.mtu >= ipv6.MIN_MTU

    @property
    def network(self) -> IPv4Network:
        """The subnet as an object."""
        return _network4(self.subnet)

    @property
    def netmask(self) -> Ip4:
        """Of the subnet."""
        return self.network.netmask.packed

    @property
    def gateway(self) -> Ip4:
        """The first address: router, DHCP and DNS server."""
        return self._address(1)

    @property
    def host(self) -> Ip4:
        """The second address: leads to the laptop's 127.0.0.1."""
        return self._address(2)

    @property
    def first_guest(self) -> Ip4:
        """The pool's first address; ``last_guest`` is its last."""
        return self._address(3)

    @property
    def last_guest(self) -> Ip4:
        """The last address before the subnet's broadcast address."""
        return self._address(-2)

    @property
    def broadcast(self) -> Ip4:
        """The subnet's broadcast address."""
        return self.network.broadcast_address.packed

    def _address(self, index: int) -> Ip4:
        return self.network[index].packed
