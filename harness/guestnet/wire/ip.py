"""What both versions of IP have in common: addresses and packets of either, and how they are shown."""

from typing import TypeAlias

from guestnet.core.endpoint import show_endpoint
from guestnet.wire import ipv4, ipv6
from guestnet.wire.ipv4 import Ipv4, show_ip4
from guestnet.wire.ipv6 import Ipv6, show_ip6
from guestnet.wire.octets import Octets

IpAddress: TypeAlias = bytes
"""Four or sixteen octets in network order: the length tells the version."""

IpPacket: TypeAlias = Ipv4 | Ipv6
"""A packet of either version; ``source``, ``ttl``, ``tos`` … mean the same in both."""


def show_ip(address: IpAddress) -> str:
    """``"192.168.65.1"`` or ``"fd65:6775:6573:7400::1"``."""
    return show_ip4(address) if len(address) == 4 else show_ip6(address)


def show_end(address: IpAddress, port: int) -> str:
    """``"192.168.65.1:53"`` or ``"[fd65:6775:6573:7400::1]:53"``: as journals and URLs write it."""
    return show_endpoint(show_ip(address), port)


def packet_of(
    source: IpAddress, destination: IpAddress, protocol: int, payload: Octets, *, tos: int = 0, ttl: int = 64
) -> IpPacket:
    """A packet of the version of its addresses."""
    if len(source) == 4:
        return Ipv4(source, destination, protocol, payload, ttl, tos=tos)
    return Ipv6(source, destination, protocol, payload, ttl, traffic_class=tos)


def emit(packet: IpPacket) -> bytes:
    """The packet. Raises ValueError when it cannot be written."""
    return ipv4.emit(packet) if isinstance(packet, Ipv4) else ipv6.emit(packet)
