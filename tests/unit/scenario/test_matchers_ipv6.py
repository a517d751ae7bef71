"""Matchers of IPv6 and what it carries: what fits, and in which words the others don't."""

import pytest
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_InfoRequest,
    DHCP6_Reply,
    DHCP6OptClientId,
    DHCP6OptDNSServers,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
)
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet as ScapyPacket

from guestnet.core.errors import DescriptionError
from guestnet.journal.capture import Record
from guestnet.journal.query import Packet
from guestnet.scenario import Matcher, arp, dhcpv6, dns, icmp, icmpv6, ndp, tcp, udp

MAC = "52:54:00:65:00:01"
PREFIX = "fd65:6775:6573:7400::"
GUEST, SHOP, GATEWAY, ROUTER = f"{PREFIX}3", "2001:db8::10", f"{PREFIX}1", "fe80::1"


def packet(layers: ScapyPacket) -> Packet:
    octets = bytes(Ether(src=MAC, dst="52:54:00:65:00:fe") / layers)
    return Packet(Record(1, 0, "cable", "up", octets, len(octets)))


def misses(wanted: Matcher[Packet], candidate: Packet) -> list[str]:
    """Why it does not fit; a matcher must answer the same both ways."""
    fit = wanted.compare(candidate)
    assert wanted.matches(candidate) == wanted(candidate) == (not fit.misses)
    return list(fit.misses)


SYN = packet(IPv6(src=GUEST, dst=SHOP) / TCP(sport=40000, dport=80, flags="S", options=[("MSS", 1440)]))
QUOTED = IPv6(src=GUEST, dst=SHOP) / TCP(sport=40000, dport=80)


@pytest.mark.parametrize("to", [SHOP, (SHOP, 80), (SHOP, None), f"[{SHOP}]:80", "2001:0db8:0::0010"])
def test_tcp_to_ends_of_ipv6(to: str) -> None:
    assert misses(tcp.syn(to=to, mss=1440), SYN) == []
    assert misses(tcp.syn(source=to), SYN) != []


def test_tcp_misses_in_words() -> None:
    assert misses(tcp.reset(to=GATEWAY), SYN) == [
        "flags are S, not R",
        f"destination is {SHOP}, not {GATEWAY}",
    ]
    assert misses(tcp.syn(to="203.0.113.10"), SYN) == [f"destination is {SHOP}, not 203.0.113.10"]


def test_udp_and_dns() -> None:
    ports = IPv6(src=GUEST, dst=SHOP) / UDP(sport=1000, dport=7) / b"hello"
    answer = DNS(qr=1, qd=DNSQR(qname="v6.example", qtype="AAAA"),
                 an=DNSRR(rrname="v6.example", type="AAAA", rdata=SHOP))  # fmt: skip

    assert misses(udp.datagram(to=(SHOP, 7), source=(GUEST, 1000), payload="hello"), packet(ports)) == []
    found = packet(IPv6(src=GATEWAY, dst=GUEST) / UDP(sport=53, dport=5) / answer)
    assert misses(dns.answer("v6.example", rdtype="AAAA", addresses=[SHOP]), found) == []


def test_extension_headers_and_fragments() -> None:
    behind = packet(IPv6(src=GUEST, dst=SHOP) / IPv6ExtHdrDestOpt() / TCP(dport=80, flags="S"))
    last = packet(IPv6(src=GUEST, dst=SHOP) / IPv6ExtHdrFragment(nh=17, offset=10) / b"the rest of it")

    assert misses(tcp.syn(to=(SHOP, 80)), behind) == []
    assert misses(udp.datagram(), last) == ["it is a fragment, not UDP"]


def test_a_packet_of_another_protocol() -> None:
    assert misses(icmpv6.echo_request(), SYN) == ["it is TCP, not ICMPv6"]
    assert misses(arp.request(), SYN) == ["it is TCP, not ARP"]
    assert misses(ndp.router_advertisement(), SYN) == ["it is TCP, not NDP"]
    assert misses(dhcpv6.reply(), SYN) == ["it is TCP, not DHCPv6"]
    assert misses(icmp.echo_request(), packet(IPv6() / ICMPv6EchoRequest())) == ["it is ICMPv6, not ICMP"]
    assert misses(ndp.redirect(), packet(IPv6() / ICMPv6EchoRequest())) == ["it is ICMPv6, not NDP"]
    assert misses(tcp.syn(), packet(IPv6() / ICMPv6ND_RS())) == ["it is NDP, not TCP"]
    assert misses(icmpv6.echo_request(), packet(IP() / TCP())) == ["it is TCP, not ICMPv6"]


def test_icmpv6() -> None:
    request = packet(IPv6(src=GUEST, dst=SHOP) / ICMPv6EchoRequest(id=7, seq=3))
    error = packet(IPv6(src=ROUTER, dst=GUEST) / ICMPv6DestUnreach(code=3) / QUOTED)
    too_big = packet(IPv6(src=ROUTER, dst=GUEST) / ICMPv6PacketTooBig(mtu=1280) / QUOTED)
    expired = packet(IPv6(src=ROUTER, dst=GUEST) / ICMPv6TimeExceeded(code=0) / QUOTED)

    assert misses(icmpv6.echo_request(to=SHOP, identifier=7, sequence=3), request) == []
    assert misses(icmpv6.echo_request(sequence=4), request) == ["sequence is 3, not 4"]
    assert misses(icmpv6.echo_reply(), request) == ["type is echo request, not echo reply"]
    assert misses(icmpv6.unreachable("address", to=GUEST, about=(SHOP, 80)), error) == []
    assert misses(icmpv6.unreachable(3), error) == []
    assert misses(icmpv6.unreachable("port", about=GATEWAY), error) == [
        "code is address, not port",
        f"the quoted packet's destination is {SHOP}, not {GATEWAY}",
    ]
    assert misses(icmpv6.packet_too_big(mtu=1280, about=SHOP), too_big) == []
    assert misses(icmpv6.packet_too_big(mtu=1400), too_big) == ["mtu is 1280, not 1400"]
    assert misses(icmpv6.time_exceeded(about=(SHOP, 80)), expired) == []


def test_router_advertisements() -> None:
    options = (
        ICMPv6NDOptPrefixInfo(prefix=PREFIX, prefixlen=64) / ICMPv6NDOptMTU(mtu=1400)
        / ICMPv6NDOptRDNSS(dns=[GATEWAY], lifetime=600)
    )  # fmt: skip
    advertisement = packet(IPv6(src=ROUTER, dst="ff02::1") / ICMPv6ND_RA(O=1, routerlifetime=1800) / options)
    bare = packet(IPv6(src=ROUTER, dst="ff02::1") / ICMPv6ND_RA())

    wanted = ndp.router_advertisement(
        source=ROUTER, prefix=f"{PREFIX}/64", dns=[GATEWAY], mtu=1400, lifetime=1800, managed=False,
        other_config=True,
    )  # fmt: skip
    assert misses(wanted, advertisement) == []
    assert misses(
        ndp.router_advertisement(prefix="2001:db8::/64", dns=[SHOP], managed=True), advertisement
    ) == [
        f"prefixes are {PREFIX}/64, not 2001:db8::/64",
        f"dns servers is {GATEWAY}, not {SHOP}",
        "managed is False, not True",
    ]
    assert misses(ndp.router_advertisement(dns=[GATEWAY], mtu=1400), bare) == [
        f"dns servers is none, not {GATEWAY}",
        "mtu is missing, not 1400",
    ]
    assert misses(ndp.router_solicitation(), packet(IPv6(src="::") / ICMPv6ND_RS())) == []
    assert misses(ndp.router_solicitation(), bare) == ["it is a router advertisement"]


def test_neighbours() -> None:
    solicitation = packet(IPv6(src=GUEST, dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt=GATEWAY))
    probe = packet(IPv6(src="::", dst="ff02::1:ff00:3") / ICMPv6ND_NS(tgt=GUEST))
    advertisement = packet(
        IPv6(src=GATEWAY, dst=GUEST)
        / ICMPv6ND_NA(tgt=GATEWAY, R=1, S=1)
        / ICMPv6NDOptDstLLAddr(lladdr="5a:94:ef:e4:0c:dd")
    )

    assert misses(ndp.neighbour_solicitation(GATEWAY, source=GUEST), solicitation) == []
    assert misses(ndp.neighbour_solicitation(SHOP), solicitation) == [f"target is {GATEWAY}, not {SHOP}"]
    assert misses(ndp.probe(GUEST), probe) == []
    assert misses(ndp.probe(GATEWAY), solicitation) == [f"source is {GUEST}, not ::"]
    wanted = ndp.neighbour_advertisement(GATEWAY, mac="5A:94:EF:E4:0C:DD", router=True, solicited=True)
    assert misses(wanted, advertisement) == []
    assert misses(ndp.neighbour_advertisement(mac=MAC), advertisement) == [
        f"mac is 5a:94:ef:e4:0c:dd, not {MAC}"
    ]
    assert misses(ndp.neighbour_advertisement(GATEWAY), solicitation) == ["it is a neighbour solicitation"]


def test_dhcpv6() -> None:
    client = DHCP6OptClientId(duid=DUID_LL(lladdr=MAC))
    ports = IPv6(src=GATEWAY, dst=GUEST) / UDP(sport=547, dport=546)
    lease = DHCP6OptIA_NA(ianaopts=[DHCP6OptIAAddress(addr=GUEST)])
    reply = packet(ports / DHCP6_Reply(trid=1) / client / lease / DHCP6OptDNSServers(dnsservers=[GATEWAY]))
    inform = packet(IPv6(src=GUEST) / UDP(sport=546, dport=547) / DHCP6_InfoRequest(trid=1) / client)

    assert misses(dhcpv6.reply(mac=MAC, address=GUEST, dns_servers=[GATEWAY]), reply) == []
    assert misses(dhcpv6.information_request(mac=MAC), inform) == []
    assert misses(dhcpv6.message(source=GATEWAY), reply) == []
    assert misses(dhcpv6.advertise(address=SHOP, dns_servers=[SHOP]), reply) == [
        "it is REPLY, not ADVERTISE",
        f"addresses are {GUEST}, not {SHOP}",
        f"dns_servers is {GATEWAY}, not {SHOP}",
    ]
    assert misses(dhcpv6.reply(mac="52:54:00:65:00:02", dns_servers=[GATEWAY]), inform) == [
        "it is INFORMATION_REQUEST, not REPLY",
        f"client is {MAC}, not 52:54:00:65:00:02",
        f"dns_servers is missing, not {GATEWAY}",
    ]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (icmpv6.unreachable("no route", about=(SHOP, 80)),
         f"an ICMPv6 no route unreachable about a packet to {SHOP} port 80"),
        (icmpv6.packet_too_big(mtu=1280), "an ICMPv6 packet too big with mtu 1280"),
        (ndp.router_advertisement(prefix=f"{PREFIX}/64", managed=False),
         f"a router advertisement with prefix {PREFIX}/64 with managed False"),
        (ndp.probe(GUEST), f"a duplicate address probe for {GUEST} from ::"),
        (ndp.neighbour_advertisement(GATEWAY), f"a neighbour advertisement for {GATEWAY}"),
        (dhcpv6.request(mac=MAC, address=GUEST), f"a DHCPv6 REQUEST of {MAC} for {GUEST}"),
    ],
)  # fmt: skip
def test_matchers_say_what_they_look_for(wanted: Matcher[Packet], words: str) -> None:
    assert wanted.describe() == words


def test_impossible_matchers_say_what_is_possible() -> None:
    with pytest.raises(DescriptionError, match=r"no DHCPv6 option 'dns'.*dns_servers"):
        dhcpv6.reply(dns=[GATEWAY])
    with pytest.raises(DescriptionError, match=r"no ICMPv6 unreachable code 'host'.*no_route"):
        icmpv6.unreachable("host")
