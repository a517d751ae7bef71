"""Matchers: what fits, and in which words the others don't."""

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet as ScapyPacket

from guestnet.core.errors import DescriptionError
from guestnet.journal.capture import Record
from guestnet.journal.query import Packet
from guestnet.scenario import Matcher, arp, dhcp, dns, icmp, tcp, udp
from guestnet.scenario.matchers.base import matcher, nearest
from guestnet.wire.tcp import Flags

MAC = "52:54:00:65:00:01"
GUEST, SHOP, GATEWAY = "192.168.65.3", "203.0.113.10", "192.168.65.1"


def packet(layers: ScapyPacket, snaplen: int = 2000) -> Packet:
    octets = bytes(Ether(src=MAC, dst="52:54:00:65:00:fe") / layers)
    return Packet(Record(1, 0, "cable", "up", octets[:snaplen], len(octets)))


def misses(wanted: Matcher[Packet], candidate: Packet) -> list[str]:
    """Why it does not fit; a matcher must answer the same both ways."""
    fit = wanted.compare(candidate)
    assert wanted.matches(candidate) == wanted(candidate) == (not fit.misses)
    return list(fit.misses)


def segment(flags: str, *, to: int = 80, seq: int = 0) -> Packet:
    return packet(IP(src=GUEST, dst=SHOP) / TCP(sport=40000, dport=to, flags=flags, seq=seq))


SYN = packet(
    IP(src=GUEST, dst=SHOP) / TCP(sport=40000, dport=80, flags="S", options=[("MSS", 1460), ("WScale", 7)])
)


@pytest.mark.parametrize(
    ("flags", "fitting"),
    [
        ("S", [tcp.syn()]),
        ("SA", [tcp.syn_ack()]),
        ("RA", [tcp.reset()]),
        ("R", [tcp.reset()]),
        ("FA", [tcp.fin()]),
        ("A", []),
    ],
)
def test_tcp_flags(flags: str, fitting: list[Matcher[Packet]]) -> None:
    candidate = segment(flags)

    every = {one.describe(): one for one in (tcp.syn(), tcp.syn_ack(), tcp.reset(), tcp.fin())}
    found = {words for words, one in every.items() if not misses(one, candidate)}
    assert found == {one.describe() for one in fitting}


@pytest.mark.parametrize("to", [SHOP, 80, (SHOP, 80), (SHOP, None), (None, 80), f"{SHOP}:80"])
def test_ends_may_be_written_in_many_ways(to: tuple[str, int]) -> None:
    assert misses(tcp.syn(to=to), SYN) == []
    assert misses(tcp.syn(source=to), SYN) != []


def test_tcp_misses_in_words() -> None:
    assert misses(tcp.syn(to=(SHOP, 81), source=GATEWAY), SYN) == [
        "destination port is 80, not 81",
        "source is 192.168.65.3, not 192.168.65.1",
    ]
    assert misses(tcp.reset(to=SHOP), SYN) == ["flags are S, not R"]
    assert misses(tcp.syn_ack(), SYN) == ["flags are S, not S."]
    assert misses(tcp.syn(mss=1400, window_scale=7), SYN) == ["mss is 1460, not 1400"]
    assert misses(tcp.syn(mss=1400), segment("S")) == ["it has nothing with mss 1400"]
    assert misses(tcp.segment(flags=Flags.ACK, seq=7), segment("PA", seq=6)) == ["seq is 6, not 7"]


def test_tcp_data() -> None:
    empty, full = segment("A"), packet(IP(dst=SHOP) / TCP(flags="PA") / b"GET / HTTP/1.1")

    assert misses(tcp.data(), full) == []
    assert misses(tcp.data(contains="HTTP"), full) == []
    assert misses(tcp.data(contains=b"POST"), full) == ["its 14 octets do not have it"]
    assert misses(tcp.data(), empty) == ["it carries no data"]
    assert misses(tcp.data(), packet(IP() / TCP(flags="A") / bytes(1000), snaplen=54)) == []


def test_a_packet_of_another_protocol() -> None:
    query = packet(IP(src=GUEST, dst=GATEWAY) / UDP(sport=5, dport=53) / DNS(qd=DNSQR(qname="shop.example")))

    assert misses(tcp.syn(to=GATEWAY), query) == ["it is DNS, not TCP"]
    assert misses(tcp.syn(to=SHOP), query) == [
        "it is DNS, not TCP",
        "destination is 192.168.65.1, not 203.0.113.10",
    ]
    assert misses(arp.request(GATEWAY), query) == ["it is DNS, not ARP"]
    assert misses(udp.datagram(to=(GATEWAY, 53)), query) == []
    assert misses(tcp.syn(), packet(IP(proto=47))) == ["it is IP protocol 47, not TCP"]
    assert misses(tcp.syn(), Packet(Record(1, 0, "cable", "up", b"short", 5))) == [
        "it is no whole frame, not TCP"
    ]


def test_udp() -> None:
    candidate = packet(IP(src=GUEST, dst=SHOP) / UDP(sport=1000, dport=7) / b"hello")

    assert misses(udp.datagram(to=(SHOP, 7), source=(GUEST, 1000), payload="hello"), candidate) == []
    assert misses(udp.datagram(payload=b"hallo"), candidate) == ["payload is b'hello', not b'hallo'"]
    assert misses(udp.datagram(contains="ell"), candidate) == []
    assert misses(udp.datagram(contains="x"), candidate) == ["its 5 octets do not have it"]


def test_arp() -> None:
    request = packet(ARP(op=1, hwsrc=MAC, psrc=GUEST, pdst=GATEWAY))
    probe = packet(ARP(op=1, hwsrc=MAC, psrc="0.0.0.0", pdst=GUEST))
    reply = packet(ARP(op=2, hwsrc=MAC, psrc=GUEST, pdst=GATEWAY))

    assert misses(arp.request(GATEWAY, sender=GUEST, mac=MAC), request) == []
    assert misses(arp.request(target=SHOP), request) == ["target is 192.168.65.1, not 203.0.113.10"]
    assert misses(arp.probe(GUEST), probe) == []
    assert misses(arp.probe(GATEWAY), request) == ["sender is 192.168.65.3, not 0.0.0.0"]
    assert misses(arp.reply(GUEST), reply) == []
    assert misses(arp.reply(GUEST), request) == ["it is a request"]
    assert misses(arp.announcement(GUEST), packet(ARP(op=1, psrc=GUEST, pdst=GUEST))) == []
    other = "52:54:00:65:00:09"
    assert misses(arp.request(mac=other), request) == [f"sender's MAC is {MAC}, not {other}"]


def dhcp_message(kind: str, **options: object) -> Packet:
    bootp = BOOTP(op=2, chaddr=bytes.fromhex(MAC.replace(":", "")), yiaddr=GUEST)
    fields = [("message-type", kind), *options.items(), "end"]
    return packet(IP(src=GATEWAY, dst=GUEST) / UDP(sport=67, dport=68) / bootp / DHCP(options=fields))


def test_dhcp() -> None:
    ack = dhcp_message("ack", router=GATEWAY, lease_time=3600)

    assert misses(dhcp.ack(mac=MAC, address=GUEST, routers=[GATEWAY], lease_time=3600), ack) == []
    assert misses(dhcp.message(), ack) == []
    assert misses(dhcp.message(to=(GUEST, 68)), ack) == []
    assert misses(dhcp.offer(address="192.168.65.4"), ack) == [
        "it is ACK, not OFFER",
        "yiaddr is 192.168.65.3, not 192.168.65.4",
    ]
    assert misses(dhcp.ack(routers=["10.0.0.1", "10.0.0.2"]), ack) == [
        "routers is 192.168.65.1, not 10.0.0.1, 10.0.0.2"
    ]
    assert misses(dhcp.ack(interface_mtu=1500), ack) == ["interface_mtu is missing, not 1500"]
    assert misses(dhcp.discover(mac="52:54:00:65:00:02"), ack) == [
        "it is ACK, not DISCOVER",
        f"client is {MAC}, not 52:54:00:65:00:02",
    ]
    assert misses(dhcp.nak(), dhcp_message("nak")) == []
    assert misses(dhcp.request(), dhcp_message("request")) == []
    assert misses(dhcp.decline() | dhcp.release(), dhcp_message("release")) == []


def test_dns() -> None:
    question = DNSQR(qname="Shop.Example")
    query = packet(IP(dst=GATEWAY) / UDP(dport=53) / DNS(qd=question))
    address = DNSRR(rrname="Shop.Example", rdata=SHOP)
    answer = packet(IP(src=GATEWAY) / UDP(sport=53) / DNS(qr=1, qd=question, an=address))
    nothing = packet(IP(src=GATEWAY) / UDP(sport=53) / DNS(qr=1, rcode=3, qd=question))

    assert misses(dns.query("shop.example", "a", to=(GATEWAY, 53)), query) == []
    assert misses(dns.query("www.example", "AAAA"), query) == [
        "name is Shop.Example, not www.example",
        "type is A, not AAAA",
    ]
    assert misses(dns.query(), answer) == ["it is an answer"]
    assert misses(dns.answer("shop.example.", addresses=[SHOP]), answer) == []
    assert misses(dns.answer(rcode="NXDOMAIN", addresses=[]), nothing) == []
    assert misses(dns.answer("shop.example", rcode="noerror", addresses=[SHOP]), nothing) == [
        "rcode is NXDOMAIN, not NOERROR",
        "addresses are none, not 203.0.113.10",
    ]


def test_icmp() -> None:
    request = packet(IP(src=GUEST, dst=SHOP) / ICMP(id=7, seq=3))
    quoted = IP(src=GUEST, dst=SHOP) / TCP(sport=40000, dport=80)
    error = packet(IP(src=GATEWAY, dst=GUEST) / ICMP(type=3, code=1) / quoted)
    expired = packet(IP(src=GATEWAY, dst=GUEST) / ICMP(type=11, code=0) / quoted)

    assert misses(icmp.echo_request(to=SHOP, identifier=7, sequence=3), request) == []
    assert misses(icmp.echo_request(sequence=4), request) == ["sequence is 3, not 4"]
    assert misses(icmp.echo_reply(), request) == ["type is echo request, not echo reply"]
    assert misses(icmp.unreachable("host", to=GUEST, about=(SHOP, 80)), error) == []
    assert misses(icmp.unreachable(1), error) == []
    assert misses(icmp.unreachable("port"), error) == ["code is host, not port"]
    assert misses(icmp.unreachable(about=GATEWAY), error) == [
        "the quoted packet's destination is 203.0.113.10, not 192.168.65.1"
    ]
    assert misses(icmp.unreachable("port"), request) == ["type is echo request, not destination unreachable"]
    assert misses(icmp.time_exceeded(about=(SHOP, 80)), expired) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (tcp.syn(to=(SHOP, 80)), "a TCP SYN to 203.0.113.10 port 80"),
        (tcp.reset(source=80), "a TCP reset from port 80"),
        (tcp.data(contains="x"), "TCP data containing b'x'"),
        (tcp.segment(flags=Flags.ACK | Flags.PSH, ack=3), "a TCP segment with flags P. with ack 3"),
        (udp.datagram(payload="hello"), "a UDP datagram with payload b'hello'"),
        (dns.query("a.example", "AAAA"), "a DNS query for a.example of type AAAA"),
        (dns.answer(rcode="NXDOMAIN", addresses=[]), "a DNS answer with NXDOMAIN with no address"),
        (dhcp.ack(mac=MAC, address=GUEST), f"a DHCP ACK of {MAC} for {GUEST}"),
        (dhcp.offer(routers=["10.0.0.1"]), "a DHCP OFFER with routers 10.0.0.1"),
        (arp.request(GATEWAY, sender=GUEST), "an ARP request for 192.168.65.1 from 192.168.65.3"),
        (icmp.unreachable("host", about=(SHOP, 80)),
         "an ICMP host unreachable about a packet to 203.0.113.10 port 80"),
        (tcp.syn() & ~tcp.fin(), "a TCP SYN that is not a TCP FIN"),
        (tcp.syn() | tcp.reset(), "a TCP SYN or a TCP reset"),
    ],
)  # fmt: skip
def test_matchers_say_what_they_look_for(wanted: Matcher[Packet], words: str) -> None:
    assert wanted.describe() == words


def is_long(candidate: Packet) -> bool:
    return candidate.wire_length > 100


def test_matchers_combine() -> None:
    assert misses(tcp.syn() & tcp.segment(seq=0), SYN) == []
    assert misses(tcp.reset() & tcp.fin(), SYN) == ["flags are S, not R", "flags are S, not F"]
    assert misses(tcp.reset() | tcp.syn(), SYN) == []
    assert misses(tcp.reset(to=SHOP) | arp.request(), SYN) == ["flags are S, not R"]
    assert misses(~tcp.reset(), SYN) == []
    assert misses(~tcp.syn(), SYN) == ["it is a TCP SYN"]
    assert misses(tcp.syn() & is_long, SYN) == ["it is not what is_long accepts"]
    assert misses(is_long | tcp.syn(), SYN) == []
    assert misses(matcher(lambda candidate: candidate.number == 2), SYN) == [
        "it is not what the scenario's function accepts"
    ]


def test_the_nearest_are_those_of_which_most_fits_and_then_the_latest() -> None:
    wanted = tcp.reset(to=(SHOP, 80))
    reset_elsewhere, syn, arp_request = segment("R", to=81), SYN, packet(ARP())
    other = packet(IP(src=GUEST, dst=SHOP) / ICMP())

    found = nearest(wanted, [syn, arp_request, other, reset_elsewhere, segment("R")], count=5)

    assert [miss.item for miss in found] == [reset_elsewhere, syn, other]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tcp.syn(to="shop.example"), "'shop.example' is no IP address"),
        (lambda: dhcp.ack(mtu=1500), "no DHCP option 'mtu'.*interface_mtu"),
        (lambda: icmp.unreachable("hots"), "no ICMP unreachable code 'hots'.*host"),
        (lambda: icmp.unreachable(99), "no ICMP unreachable code 99"),
    ],
)
def test_impossible_matchers_say_what_is_possible(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(DescriptionError, match=words):
        make()
