"""What fuzzing starts from: the frames of a Linux guest that was busy on this network (``linux.pcapng``)."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from guestnet.journal.capture import CaptureReader
from guestnet.wire import ethernet

CAPTURE = Path(__file__).with_name("linux.pcapng")
UDP, TCP = 17, 6


@cache
def frames() -> list[bytes]:
    """In the order in which they were on the cable."""
    return [record.data for record in CaptureReader(CAPTURE).read()]


def ethertype(number: int) -> list[bytes]:
    """What frames of this type carry."""
    return _different(octets[ethernet.HEADER :] for octets in frames() if _ethertype(octets) == number)


def of_ipv4(protocol: int) -> list[bytes]:
    """The payloads of whole IPv4 packets with this protocol number."""
    packets = ethertype(0x0800)
    return _different(packet[20:] for packet in packets if packet[9] == protocol and not packet[6] & 0x3F)


def of_ipv6(protocol: int) -> list[bytes]:
    """The same of IPv6, behind any options for each hop."""
    found = []
    for packet in ethertype(0x86DD):
        number, rest = packet[6], packet[40:]
        if number == 0:
            number, rest = rest[0], rest[8 + 8 * rest[1] :]
        if number == protocol:
            found.append(rest)
    return _different(found)


def of_udp(*ports: int) -> list[bytes]:
    """The payloads of datagrams from or to one of ``ports``."""
    return _different(
        datagram[8:]
        for datagram in of_ipv4(UDP) + of_ipv6(UDP)
        if {int.from_bytes(datagram[:2], "big"), int.from_bytes(datagram[2:4], "big")} & set(ports)
    )


def _ethertype(octets: bytes) -> int:
    return int.from_bytes(octets[12:14], "big")


def _different(found: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(found))
