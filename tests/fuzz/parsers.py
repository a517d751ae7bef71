"""Each format: any octets are parsed and shown, or are a WireError; what was parsed can be said again.

``RESTATED`` formats have an ``emit``, and parsing what it says gives the same once more.
"""

from collections.abc import Callable
from typing import Any, Final

from guestnet.core.errors import WireError
from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.journal import pcapng
from guestnet.wire import arp, dhcp, dhcpv6, ethernet, frame, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp
from tests.fuzz import corpus

ADDRESS4, ADDRESS6 = bytes(4), bytes(16)
LARGE: Final = 1 << 20


def _parse_ndp(data: bytes) -> ndp.Ndp:
    return ndp.parse(icmpv6.parse(data))


def _emit_ndp(message: ndp.Ndp) -> bytes:
    return icmpv6.emit(ndp.emit(message), ADDRESS6, ADDRESS6)


FORMATS: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[Any], str]]]] = {
    "arp": (arp.parse, arp.show),
    "dhcp": (dhcp.parse, dhcp.show),
    "dhcpv6": (dhcpv6.parse, dhcpv6.show),
    "ethernet": (ethernet.parse, ethernet.show),
    "icmp": (lambda data: icmp.parse(data, verify=False), icmp.show),
    "icmpv6": (icmpv6.parse, icmpv6.show),
    "ipv4": (lambda data: ipv4.parse(data, verify=False), ipv4.show),
    "ipv6": (ipv6.parse, ipv6.show),
    "ndp": (_parse_ndp, ndp.show),
    "tcp": (tcp.parse, tcp.show),
    "udp": (udp.parse, udp.show),
}
RESTATED: Final[dict[str, Callable[[Any], bytes]]] = {
    "arp": arp.emit,
    "dhcp": lambda message: dhcp.emit(message, limit=LARGE),
    "dhcpv6": dhcpv6.emit,
    "ethernet": ethernet.emit,
    "icmp": icmp.emit,
    "icmpv6": lambda message: icmpv6.emit(message, ADDRESS6, ADDRESS6),
    "ipv4": ipv4.emit,
    "ipv6": ipv6.emit,
    "ndp": _emit_ndp,
    "tcp": lambda segment: tcp.emit(segment, ADDRESS4, ADDRESS4),
    "udp": lambda datagram: udp.emit(datagram, ADDRESS4, ADDRESS4),
}


def parser(name: str) -> Callable[[bytes], None]:
    """What is done with an input for the format ``name``."""
    parse, show = FORMATS[name]
    emit = RESTATED[name]

    def check(data: bytes) -> None:
        try:
            parsed = parse(data)
        except WireError:
            return
        assert show(parsed)
        assert parse(emit(parsed)) == parsed

    return check


def whole_frame(data: bytes) -> None:
    """A frame with all that it carries never fails: what is wrong is in its ``error``. It may be cut."""
    assert frame.show(frame.decode(data))
    assert frame.show(frame.decode(data, len(data) + 8))
    assert frame.show(frame.decode_ip(data))


def dns_message(data: bytes) -> None:
    """The line of a message says when it is malformed."""
    assert frame.show_dns(data)


def capture(data: bytes) -> None:
    """A capture of anybody's, damaged or not, in two reads."""
    reader = pcapng.Parser()
    half = len(data) // 2
    try:
        reader.feed(data[:half])
        reader.feed(data[half:])
    except WireError:
        return


def offloaded(data: bytes) -> None:
    """A frame of a TAP with what its kernel left undone: cut into segments, and put together again."""
    try:
        came = virtio.receive(memoryview(bytearray(data)))
    except WireError:
        return
    if isinstance(came, Train):
        frames = [bytes(one) for one in came]
        assert len(frames) <= len(data)
        assert sum(len(head) + len(payload) for head, payload in virtio.send(came)) > 0


def offloads() -> list[bytes]:
    """TCP segments with a checksum, or both that and the cutting, still to be done."""
    found = []
    for octets in corpus.frames():
        if octets[12:14] == b"\x08\0" and octets[23] == corpus.TCP and len(octets) > 70:
            for kind, size in ((virtio.Gso.NONE, 0), (virtio.Gso.TCPV4, 100)):
                header = virtio.NetHeader(virtio.NEEDS_CSUM, kind, 54, size, 34, 16)
                found.append(virtio.emit(header) + octets)
    return found


CORPORA: Final[dict[str, Callable[[], list[bytes]]]] = {
    "arp": lambda: corpus.ethertype(0x0806),
    "dhcp": lambda: corpus.of_udp(67, 68),
    "dhcpv6": lambda: corpus.of_udp(546, 547),
    "ethernet": corpus.frames,
    "icmp": lambda: corpus.of_ipv4(1),
    "icmpv6": lambda: corpus.of_ipv6(58),
    "ipv4": lambda: corpus.ethertype(0x0800),
    "ipv6": lambda: corpus.ethertype(0x86DD),
    "ndp": lambda: [octets for octets in corpus.of_ipv6(58) if octets[0] in ndp.TYPES],
    "tcp": lambda: corpus.of_ipv4(corpus.TCP),
    "udp": lambda: corpus.of_ipv4(corpus.UDP),
}
