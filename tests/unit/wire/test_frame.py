"""Whole frames: layers, lines, damage, and captures that were cut."""

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.wire import arp, dhcp, dhcpv6, ethernet, frame, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp
from guestnet.wire.tcp import Flags
from tests.support import strategies as of

A, B = ipv4.ip4("192.168.65.3"), ipv4.ip4("1.2.3.4")
A6, B6 = ipv6.ip6("fd65:6775:6573:7400::3"), ipv6.ip6("2001:db8::1")
MAC = Mac.parse("52:54:00:12:34:56")


def eth(ethertype: int, payload: bytes) -> bytes:
    return ethernet.emit(ethernet.Ethernet(MAC, MAC, ethertype, payload))


def ip(protocol: int, payload: bytes) -> bytes:
    return eth(0x0800, ipv4.emit(ipv4.Ipv4(A, B, protocol, payload)))


def ip6(protocol: int, payload: bytes) -> bytes:
    return eth(0x86DD, ipv6.emit(ipv6.Ipv6(A6, B6, protocol, payload)))


SYN = tcp.Segment(
    4000, 80, 1, 0, Flags.SYN, 64240, mss=1460, window_scale=7, sack_permitted=True, timestamps=(1, 0)
)
DATA = tcp.Segment(4000, 80, 1, 9, Flags.PSH | Flags.ACK, 500, b"x" * 100, timestamps=(1, 2), sack=((3, 4),))
QUERY = dns.message.make_query("example.com", "AAAA", id=7)
RESPONSE = dns.message.from_text(
    "id 7\nopcode QUERY\nrcode NOERROR\nflags QR RD RA\n;QUESTION\nexample.com. IN A\n"
    ";ANSWER\nexample.com. 60 IN CNAME www.example.com.\nwww.example.com. 60 IN A 1.2.3.5\n"
)
DISCOVER = dhcp.Dhcp(dhcp.Op.REQUEST, 7, MAC, dhcp.Options(message_type=dhcp.MessageType.DISCOVER))
QUOTE = ipv4.emit(ipv4.Ipv4(B, A, 17, udp.emit(udp.Datagram(53, 4000, b"12345678"), B, A)))
PLAIN = tcp.Segment(4000, 80, 1, 9, Flags.ACK, 500)
SOLICIT = dhcpv6.Dhcpv6(dhcpv6.MessageType.SOLICIT, 7)
QUOTE6 = ipv6.emit(ipv6.Ipv6(B6, A6, 17, udp.emit(udp.Datagram(53, 4000, b"12345678"), B6, A6)))
IP = "IP 192.168.65.3"
IP6 = "IP6 fd65:6775:6573:7400::3"
ABOUT6 = "IP6 2001:db8::1.53 > fd65:6775:6573:7400::3.4000: UDP, length 8"
PORTS = f"{IP}.4000 > 1.2.3.4.80"
ABOUT = "IP 1.2.3.4.53 > 192.168.65.3.4000: UDP, length 8"

LINES = [
    (eth(0x0806, arp.emit(arp.request(MAC, A, B))), "ARP, Request who-has 1.2.3.4 tell 192.168.65.3"),
    (eth(0x0806, arp.emit(arp.reply(arp.request(MAC, A, B), MAC))), f"ARP, Reply 1.2.3.4 is-at {MAC}"),
    (
        ip(6, tcp.emit(SYN, A, B)),
        f"{PORTS}: Flags [S], seq 1, win 64240, options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7], length 0",
    ),
    (
        ip(6, tcp.emit(DATA, A, B)),
        f"{PORTS}: Flags [P.], seq 1:101, ack 9, win 500, options [TS val 1 ecr 2,sack {{3:4}}], length 100",
    ),
    (
        ip(1, icmp.emit(icmp.echo_request(1, 2, b"x" * 56))),
        f"{IP} > 1.2.3.4: ICMP echo request, id 1, seq 2, length 64",
    ),
    (
        ip(1, icmp.emit(icmp.unreachable(icmp.Unreachable.PORT, QUOTE))),
        f"{IP} > 1.2.3.4: ICMP port unreachable, length 44, about: {ABOUT}",
    ),
    (
        ip(1, icmp.emit(icmp.unreachable(4, QUOTE[:28], mtu=1400))),
        f"{IP} > 1.2.3.4: ICMP unreachable - need to frag (mtu 1400), length 36, about: {ABOUT}",
    ),
    (ip(17, udp.emit(udp.Datagram(7, 9, b"abc"), A, B)), f"{IP}.7 > 1.2.3.4.9: UDP, length 3"),
    (
        ip(17, udp.emit(udp.Datagram(68, 67, dhcp.emit(DISCOVER)), A, B)),
        f"{IP}.68 > 1.2.3.4.67: DHCP DISCOVER {MAC} xid 0x7",
    ),
    (
        ip(17, udp.emit(udp.Datagram(4000, 53, QUERY.to_wire()), A, B)),
        f"{IP}.4000 > 1.2.3.4.53: DNS 7 AAAA? example.com.",
    ),
    (
        ip(17, udp.emit(udp.Datagram(53, 4000, RESPONSE.to_wire()), A, B)),
        f"{IP}.53 > 1.2.3.4.4000: DNS 7 NOERROR A? example.com. = CNAME www.example.com., A 1.2.3.5",
    ),
    (ip(47, b"gre"), f"{IP} > 1.2.3.4: 47, ttl 64, length 3"),
    (eth(0x8100, bytes(40)), f"{MAC} > {MAC}, VLAN (0x8100), length 54"),
    (ip6(6, tcp.emit(PLAIN, A6, B6)), f"{IP6}.4000 > 2001:db8::1.80: Flags [.], ack 9, win 500, length 0"),
    (ip6(17, udp.emit(udp.Datagram(7, 9, b"abc"), A6, B6)), f"{IP6}.7 > 2001:db8::1.9: UDP, length 3"),
    (
        ip6(17, udp.emit(udp.Datagram(546, 547, dhcpv6.emit(SOLICIT)), A6, B6)),
        f"{IP6}.546 > 2001:db8::1.547: DHCPv6 SOLICIT xid 0x7",
    ),
    (
        ip6(17, udp.emit(udp.Datagram(4000, 53, QUERY.to_wire()), A6, B6)),
        f"{IP6}.4000 > 2001:db8::1.53: DNS 7 AAAA? example.com.",
    ),
    (
        ip6(58, icmpv6.emit(icmpv6.echo_request(1, 2, b"x" * 56), A6, B6)),
        f"{IP6} > 2001:db8::1: ICMP6 echo request, id 1, seq 2, length 64",
    ),
    (
        ip6(58, icmpv6.emit(icmpv6.unreachable(icmpv6.Unreachable.PORT, QUOTE6), A6, B6)),
        f"{IP6} > 2001:db8::1: ICMP6 unreachable - port unreachable, length 64, about: {ABOUT6}",
    ),
    (
        ip6(58, icmpv6.emit(icmpv6.packet_too_big(1400, QUOTE6[:56]), A6, B6)),
        f"{IP6} > 2001:db8::1: ICMP6 packet too big, mtu 1400, length 64, about: {ABOUT6}",
    ),
    (
        ip6(58, icmpv6.emit(ndp.emit(ndp.NeighbourSolicitation(B6)), A6, B6)),
        f"{IP6} > 2001:db8::1: ICMP6 neighbour solicitation, who has 2001:db8::1",
    ),
    (ip6(59, b""), f"{IP6} > 2001:db8::1: 59, hlim 64, length 0"),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "line"), LINES)
def test_a_frame_in_one_line(octets: bytes, line: str) -> None:
    packet = frame.decode(octets)
    assert packet.error is None
    assert frame.show(packet) == line


@pytest.mark.parametrize(("octets", "line"), LINES)
def test_a_cut_frame_is_no_error(octets: bytes, line: str) -> None:
    for length in range(len(octets)):
        packet = frame.decode(octets[:length], len(octets))
        assert packet.error is None
        assert packet.length == len(octets)
        assert frame.show(packet)


@pytest.mark.parametrize("octets", [octets for octets, _ in LINES if octets[12:14] == b"\x08\0"])
def test_a_frame_that_ends_early_is_an_error(octets: bytes) -> None:
    assert "ipv4 total length" in (frame.decode(octets[:-1]).error or "")


def test_a_headers_only_capture_tells_the_length_on_the_wire() -> None:
    octets = ip(6, tcp.emit(DATA, A, B))
    packet = frame.decode(octets[:-60], len(octets))
    assert packet.tcp is not None
    assert len(packet.tcp.payload) == 40
    assert frame.show(packet).endswith(
        "seq 1:101, ack 9, win 500, options [TS val 1 ecr 2,sack {3:4}], length 100"
    )
    datagram = ip(17, udp.emit(udp.Datagram(7, 9, b"abc" * 50), A, B))
    assert frame.show(frame.decode(datagram[:60], len(datagram))).endswith("UDP, length 150")


@pytest.mark.parametrize(
    ("octets", "layer"),
    [
        (ip(6, tcp.emit(DATA, A, B)), "tcp"),
        (ip(17, udp.emit(udp.Datagram(7, 9, b"abc"), A, B)), "udp"),
        (ip(1, icmp.emit(icmp.echo_request(1, 2, b"abc"))), "icmp"),
        (ip6(6, tcp.emit(DATA, A6, B6)), "tcp"),
        (ip6(17, udp.emit(udp.Datagram(7, 9, b"abc"), A6, B6)), "udp"),
        (ip6(58, icmpv6.emit(icmpv6.echo_request(1, 2, b"abc"), A6, B6)), "icmpv6"),
    ],
)
def test_a_wrong_checksum_is_reported_beside_the_layer(octets: bytes, layer: str) -> None:
    packet = frame.decode(octets[:-1] + bytes([octets[-1] ^ 1]))
    assert packet.error is not None
    assert packet.error.startswith(f"{layer} checksum at offset")
    assert getattr(packet, layer) is not None
    assert frame.show(packet).endswith(f"[{packet.error}]")


def test_a_first_fragment_shows_its_ports_and_a_later_one_does_not() -> None:
    whole = udp.emit(udp.Datagram(7, 9, b"abc" * 1000), A, B)
    first = eth(0x0800, ipv4.emit(ipv4.Ipv4(A, B, 17, whole[:1480], more_fragments=True)))
    later = eth(0x0800, ipv4.emit(ipv4.Ipv4(A, B, 17, whole[1480:], fragment_offset=1480)))
    decoded = frame.decode(first)
    assert decoded.error is None
    assert decoded.udp is not None
    assert "frag id 0 0:1480+" in frame.show(decoded)
    assert frame.decode(later).udp is None
    assert "frag id 0 1480:1528" in frame.show(frame.decode(later))


def test_the_quote_of_an_icmp_error_shows_the_ports_of_a_segment() -> None:
    quote = ipv4.emit(ipv4.Ipv4(A, B, 6, tcp.emit(SYN, A, B)))[:28]
    line = frame.show(frame.decode(ip(1, icmp.emit(icmp.unreachable(icmp.Unreachable.HOST, quote)))))
    assert line.endswith(f"about: {PORTS}: TCP, seq 1, the rest is cut")


def test_a_malformed_dns_message_is_shown_as_such() -> None:
    packet = frame.decode(ip(17, udp.emit(udp.Datagram(4000, 53, b"nonsense"), A, B)))
    assert packet.dns == b"nonsense"
    assert "DNS malformed" in frame.show(packet)


@given(st.binary(max_size=200), st.none() | st.integers(0, 300))
def test_nothing_makes_decode_raise(octets: bytes, wire_length: int | None) -> None:
    assert frame.show(frame.decode(octets, wire_length))
    assert frame.show(frame.decode(eth(0x0800, octets), wire_length))
    assert frame.show(frame.decode(eth(0x0806, octets), wire_length))
    assert frame.show(frame.decode(eth(0x86DD, octets), wire_length))
    assert frame.show(frame.decode(ip6(58, octets), wire_length))


@given(st.sampled_from([octets for octets, _ in LINES]), st.data())
def test_no_damage_makes_decode_raise(octets: bytes, data: st.DataObject) -> None:
    damaged = bytearray(octets)
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=4)):
        damaged[at] = data.draw(of.u8)
    assert frame.show(frame.decode(damaged))
