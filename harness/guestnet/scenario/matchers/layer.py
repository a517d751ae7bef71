"""What kind of packet a packet is, in one word, for those that are not of the wanted kind."""

from collections.abc import Iterable
from typing import Literal

from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Asking, Matcher, Question

Layer = Literal["arp", "tcp", "udp", "icmp", "icmpv6", "ndp", "dhcp", "dhcpv6", "dns"]

_INNERMOST: tuple[Layer, ...] = ("arp", "dhcp", "dhcpv6", "dns", "udp", "tcp", "icmp", "ndp", "icmpv6")
_NAMES: dict[Layer, str] = {"icmpv6": "ICMPv6", "dhcpv6": "DHCPv6"}

# What octets 12 (ethertype), 23 (protocol of IPv4) and 20 (next header of IPv6) must be before a packet is
# worth decoding. Behind a next header that is an extension there may be anything.
_ARP, _IPV4, _IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
_PROTOCOL: dict[Layer, int] = {"tcp": 6, "udp": 17, "dhcp": 17, "dns": 17, "icmp": 1}
_NEXT_HEADER: dict[Layer, int] = {"tcp": 6, "udp": 17, "dhcpv6": 17, "dns": 17, "icmpv6": 58, "ndp": 58}
_EXTENSIONS = (0, 43, 44, 60)


def kind_of(packet: Packet) -> str:
    """Its innermost protocol: "TCP", "DNS", or the type of a frame that is none we know."""
    for layer in _INNERMOST:
        if getattr(packet.layers, layer) is not None:
            return _name(layer)
    if packet.ip is not None:
        return "a fragment" if packet.ip.is_fragment else f"IP protocol {packet.ip.protocol}"
    if packet.eth is not None:
        return f"ethertype 0x{packet.eth.ethertype:04x}"
    return "no whole frame"


def packets(title: str, layer: Layer, questions: Iterable[Question]) -> Matcher[Packet]:
    """A matcher of packets that have ``layer`` and answer ``questions`` as wanted."""
    beginnings = _beginnings(layer)

    def has(packet: Packet) -> bool:
        data = packet.record.data
        at = {_IPV4: data[23:24], _IPV6: data[20:21]}.get(data[12:14], b"")
        return data[12:14] + at in beginnings and getattr(packet, layer) is not None

    def has_instead(packet: Packet) -> str:
        return f"it is {kind_of(packet)}, not {_name(layer)}"

    return Asking(title, has, has_instead, questions)


def _beginnings(layer: Layer) -> frozenset[bytes]:
    """Ethertype and protocol of all frames that may have ``layer``."""
    if layer == "arp":
        return frozenset({_ARP})
    found = {_IPV4 + bytes((_PROTOCOL[layer],))} if layer in _PROTOCOL else set()
    if layer in _NEXT_HEADER:
        found |= {_IPV6 + bytes((number,)) for number in (_NEXT_HEADER[layer], *_EXTENSIONS)}
    return frozenset(found)


def _name(layer: Layer) -> str:
    return _NAMES.get(layer, layer.upper())
