"""What kind of packet a packet is, in one word, for those that are not of the wanted kind."""

from collections.abc import Iterable
from typing import Literal

from harness.journal.query import Packet
from harness.scenario.matchers.base import Asking, Matcher, Question

Layer = Literal["arp", "tcp", "udp", "icmp", "dhcp", "dns"]

_INNERMOST: tuple[Layer, ...] = ("arp", "dhcp", "dns", "udp", "tcp", "icmp")

# What octets 12 (ethertype) and 23 (protocol of IPv4) must be before a packet is worth decoding.
_ETHERTYPE: dict[Layer, bytes] = {"arp": b"\x08\x06"}
_PROTOCOL: dict[Layer, int] = {"tcp": 6, "udp": 17, "dhcp": 17, "dns": 17, "icmp": 1}


def kind_of(packet: Packet) -> str:
    """Its innermost protocol: "TCP", "DNS", or the type of a frame that is none we know."""
    for layer in _INNERMOST:
        if getattr(packet.layers, layer) is not None:
            return layer.upper()
    if packet.ip is not None:
        return "a fragment" if packet.ip.is_fragment else f"IP protocol {packet.ip.protocol}"
    if packet.eth is not None:
        return f"ethertype 0x{packet.eth.ethertype:04x}"
    return "no whole frame"


def packets(title: str, layer: Layer, questions: Iterable[Question]) -> Matcher[Packet]:
    """A matcher of packets that have ``layer`` and answer ``questions`` as wanted."""
    ethertype = _ETHERTYPE.get(layer, b"\x08\x00")
    protocol = bytes((_PROTOCOL[layer],)) if layer in _PROTOCOL else None

    def has(packet: Packet) -> bool:
        data = packet.record.data
        plausible = data[12:14] == ethertype and (protocol is None or data[23:24] == protocol)
        return plausible and getattr(packet, layer) is not None

    def has_instead(packet: Packet) -> str:
        return f"it is {kind_of(packet)}, not {layer.upper()}"

    return Asking(title, has, has_instead, questions)
