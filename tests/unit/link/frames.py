"""Frames of all kinds, for filters and for links."""

import dns.message

from guestnet.core.address import BROADCAST, Mac
from guestnet.wire import arp, dhcp, ethernet, icmp, icmpv6, tcp, udp
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options
from guestnet.wire.ethernet import Ethernet, EtherType
from guestnet.wire.ip import IpAddress, IpPacket, emit, packet_of
from guestnet.wire.ipv4 import ANY, Ipv4, Protocol, ip4
from guestnet.wire.ipv4 import BROADCAST as BROADCAST4
from guestnet.wire.ipv6 import ip6
from guestnet.wire.octets import Octets
from guestnet.wire.tcp import Flags, Segment
from guestnet.wire.udp import Datagram

ONE = Mac.parse("52:54:00:65:00:01")
TWO = Mac.parse("52:54:00:65:00:02")
GUEST = ip4("192.168.65.3")
SERVER = ip4("203.0.113.10")
GUEST6 = ip6("2001:db8::3")
SERVER6 = ip6("2001:db8:1::10")


def frame(packet: IpPacket, *, to: bytes = TWO) -> bytes:
    """``packet`` from ONE."""
    version = EtherType.IPV4 if isinstance(packet, Ipv4) else EtherType.IPV6
    return ethernet.emit(Ethernet(Mac(to), ONE, version, emit(packet)))


def a_tcp(
    flags: Flags = Flags.ACK, payload: Octets = b"", *, source: IpAddress = GUEST, to: IpAddress = SERVER,
    ports: tuple[int, int] = (40000, 443), dont_fragment: bool = True,
) -> bytes:  # fmt: skip
    """A segment."""
    segment = tcp.emit(Segment(*ports, 1, 2, flags, 500, payload), source, to)
    if len(source) == 4:
        return frame(Ipv4(source, to, Protocol.TCP, segment, dont_fragment=dont_fragment))
    return frame(packet_of(source, to, Protocol.TCP, segment))


def a_udp(
    payload: Octets = b"", *, source: IpAddress = GUEST, to: IpAddress = SERVER,
    ports: tuple[int, int] = (50000, 53), mac: bytes = TWO,
) -> bytes:  # fmt: skip
    """A datagram."""
    return frame(packet_of(source, to, Protocol.UDP, udp.emit(Datagram(*ports, payload), source, to)), to=mac)


def a_query(name: str) -> bytes:
    return a_udp(dns.message.make_query(name, "A").to_wire())


def an_answer(name: str) -> bytes:
    answer = dns.message.make_response(dns.message.make_query(name, "A"))
    return a_udp(answer.to_wire(), source=SERVER, to=GUEST, ports=(53, 50000))


def an_echo() -> bytes:
    return frame(Ipv4(GUEST, SERVER, Protocol.ICMP, icmp.emit(icmp.echo_request(1, 2, b"ping"))))


def an_echo6() -> bytes:
    message = icmpv6.emit(icmpv6.echo_request(1, 2, b"ping"), GUEST6, SERVER6)
    return frame(packet_of(GUEST6, SERVER6, Protocol.ICMPV6, message))


def a_frag_needed() -> bytes:
    message = icmp.unreachable(icmp.Unreachable.FRAGMENTATION_NEEDED, a_tcp()[14:42], mtu=1400)
    return frame(Ipv4(SERVER, GUEST, Protocol.ICMP, icmp.emit(message)))


def a_too_big() -> bytes:
    message = icmpv6.packet_too_big(1280, a_tcp(source=GUEST6, to=SERVER6)[14:])
    return frame(packet_of(SERVER6, GUEST6, Protocol.ICMPV6, icmpv6.emit(message, SERVER6, GUEST6)))


def an_arp() -> bytes:
    packet = arp.emit(arp.request(ONE, GUEST, SERVER))
    return ethernet.emit(Ethernet(BROADCAST, ONE, EtherType.ARP, packet))


def a_discover() -> bytes:
    options = Options(message_type=MessageType.DISCOVER)
    message = dhcp.emit(Dhcp(op=Op.REQUEST, xid=7, chaddr=ONE, options=options))
    return a_udp(message, source=ANY, to=BROADCAST4, ports=(68, 67), mac=BROADCAST)
