"""Ethernet II frames without their frame check sequence (IEEE 802.3 clause 3, RFC 894)."""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.wire.octets import Octets, require, view

HEADER: Final = 14


class EtherType(IntEnum):
    """Values of the type field (IEEE 802 registry)."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD


class Ethernet(Struct, frozen=True):
    """One frame. ``ethertype`` below 1536 is a length (802.3) and left as it is."""

    destination: Mac
    source: Mac
    ethertype: int
    payload: Octets


def parse(data: Octets) -> Ethernet:
    """Raises WireError when shorter than the header. The payload may carry padding to the minimum of 60."""
    octets = view(data)
    require(octets, HEADER, "ethernet header")
    return Ethernet(Mac(octets[:6]), Mac(octets[6:12]), octets[12] << 8 | octets[13], octets[14:])


def header(destination: bytes, source: bytes, ethertype: int) -> bytes:
    """The 14 octets before the payload, for those who gather pieces rather than join them."""
    return destination + source + ethertype.to_bytes(2, "big")


def emit(frame: Ethernet) -> bytes:
    """The frame, not padded: a cable of ours has no minimum."""
    return b"".join((frame.destination, frame.source, frame.ethertype.to_bytes(2, "big"), frame.payload))


def show(frame: Ethernet) -> str:
    """``52:54:00:00:00:01 > ff:ff:ff:ff:ff:ff, ARP (0x0806), length 42``."""
    name = "802.3" if frame.ethertype < 1536 else "type"
    if frame.ethertype in _KNOWN:
        name = EtherType(frame.ethertype).name
    length = HEADER + len(frame.payload)
    return f"{frame.source} > {frame.destination}, {name} (0x{frame.ethertype:04x}), length {length}"


_KNOWN: Final = frozenset(EtherType)
