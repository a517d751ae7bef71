"""ARP for IPv4 over ethernet (RFC 826, RFC 5227)."""

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

from guestnet.core.address import ZERO, Mac
from guestnet.wire.ipv4 import Ip4, show_ip4
from guestnet.wire.octets import Octets, malformed, require, view

LENGTH: Final = 28
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")


class Operation(IntEnum):
    """The two operations (RFC 826)."""

    REQUEST = 1
    REPLY = 2


class Arp(Struct, frozen=True):
    """One packet."""

    operation: int
    sender_mac: Mac
    sender_ip: Ip4
    target_mac: Mac
    target_ip: Ip4


def request(sender_mac: Mac, sender_ip: Ip4, target_ip: Ip4) -> Arp:
    """Who has ``target_ip``?"""
    return Arp(Operation.REQUEST, sender_mac, sender_ip, ZERO, target_ip)


def reply(question: Arp, mac: Mac) -> Arp:
    """``question.target_ip`` is at ``mac``."""
    return Arp(Operation.REPLY, mac, question.target_ip, question.sender_mac, question.sender_ip)


def parse(data: Octets) -> Arp:
    """Raises WireError unless it is a request or reply for IPv4 over ethernet. Padding is ignored."""
    octets = view(data)
    require(octets, LENGTH, "arp packet")
    hardware, protocol, hlen, plen, operation, sender_mac, sender_ip, target_mac, target_ip = (
        _ARP.unpack_from(octets)
    )
    if hardware != 1:
        raise malformed("arp hardware type", 0, f"{hardware} is not 1 (ethernet)")
    if protocol != 0x0800:
        raise malformed("arp protocol type", 2, f"0x{protocol:04x} is not 0x0800 (IPv4)")
    if (hlen, plen) != (6, 4):
        raise malformed("arp address lengths", 4, f"{hlen} and {plen} are not 6 and 4")
    if operation not in (1, 2):
        raise malformed("arp operation", 6, f"{operation} is neither 1 (request) nor 2 (reply)")
    return Arp(Operation(operation), Mac(sender_mac), sender_ip, Mac(target_mac), target_ip)


def emit(packet: Arp) -> bytes:
    """28 octets."""
    return _ARP.pack(
        1,
        0x0800,
        6,
        4,
        packet.operation,
        packet.sender_mac,
        packet.sender_ip,
        packet.target_mac,
        packet.target_ip,
    )


def show(packet: Arp) -> str:
    """``ARP, Request who-has 192.168.65.1 tell 192.168.65.3`` or ``ARP, Reply 192.168.65.1 is-at 52:…``."""
    if packet.operation == Operation.REQUEST:
        return f"ARP, Request who-has {show_ip4(packet.target_ip)} tell {show_ip4(packet.sender_ip)}"
    return f"ARP, Reply {show_ip4(packet.sender_ip)} is-at {packet.sender_mac}"
