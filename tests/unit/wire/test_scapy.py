"""Scapy as an independent oracle: what it builds we parse, what we build it parses, checksums too."""

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers import dhcp as scapy_dhcp
    from scapy.layers import dhcp6 as scapy_dhcp6
    from scapy.layers import inet, inet6, l2

from guestnet.core.address import Mac
from guestnet.wire import arp, dhcp, dhcpv6, ethernet, frame, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp
from tests.support import strategies as of

A, B = ipv4.ip4("192.168.65.3"), ipv4.ip4("93.184.216.34")
PORTAL = "https://portal.example/api"
MAC_A, MAC_B = Mac.parse("52:54:00:12:34:56"), Mac.parse("5a:94:ef:e4:0c:ee")


def ip(**fields: Any) -> Any:
    return inet.IP(src="192.168.65.3", dst="93.184.216.34", **fields)


def reparsed(packet: Any) -> Any:
    """As scapy reads it back with its checksums deleted and computed anew."""
    return packet.__class__(bytes(packet))


def assert_same_checksums(octets: bytes, layer: Any = inet.IP) -> Any:
    theirs = layer(octets)
    again = layer(octets)
    for part in (inet.IP, inet.TCP, inet.UDP, inet.ICMP):
        if part in again and not (part is inet.IP and again[inet.IP].frag):
            del again[part].chksum
    assert bytes(again) == octets
    return theirs


def test_scapy_arp_is_ours() -> None:
    theirs = bytes(l2.ARP(op=1, hwsrc=str(MAC_A), psrc="192.168.65.3", pdst="93.184.216.34"))
    assert arp.parse(theirs) == arp.request(MAC_A, A, B)
    assert arp.emit(arp.request(MAC_A, A, B)) == theirs


@given(of.ipv4s)
def test_our_ipv4_is_scapys(packet: ipv4.Ipv4) -> None:
    packet = ipv4.Ipv4(
        packet.source, packet.destination, 253, packet.payload, packet.ttl, packet.identification,
        packet.dont_fragment, packet.more_fragments, packet.fragment_offset, packet.tos,
    )  # fmt: skip
    theirs = assert_same_checksums(ipv4.emit(packet))
    assert (theirs.src, theirs.dst) == (ipv4.show_ip4(packet.source), ipv4.show_ip4(packet.destination))
    assert (theirs.ttl, theirs.id, theirs.tos) == (packet.ttl, packet.identification, packet.tos)
    assert theirs.frag * 8 == packet.fragment_offset
    assert ("MF" in theirs.flags, "DF" in theirs.flags) == (packet.more_fragments, packet.dont_fragment)


SCAPY_OPTIONS = [
    [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)],
    [("NOP", None), ("NOP", None), ("Timestamp", (4294967295, 1))],
    [("NOP", None), ("NOP", None), ("SAck", (1, 2, 3, 4))],
    [
        ("NOP", None),
        ("NOP", None),
        ("Timestamp", (5, 6)),
        ("NOP", None),
        ("NOP", None),
        ("SAck", (1, 2, 3, 4, 5, 6)),
    ],
    [],
]


@pytest.mark.parametrize("options", SCAPY_OPTIONS)
@pytest.mark.parametrize("payload", [b"", b"x", b"hello" * 300])
def test_scapy_tcp_is_ours(options: list[Any], payload: bytes) -> None:
    built = ip() / inet.TCP(
        sport=4000, dport=80, seq=4294967295, ack=9, flags="PAE", window=512, urgptr=3, options=options
    ) / payload  # fmt: skip
    octets = bytes(built)
    packet = ipv4.parse(octets)
    segment = tcp.parse(packet.payload, A, B)
    found = dict(options)
    assert (segment.source_port, segment.destination_port, segment.seq, segment.ack) == (
        4000,
        80,
        0xFFFFFFFF,
        9,
    )
    assert segment.flags == tcp.Flags.PSH | tcp.Flags.ACK | tcp.Flags.ECE
    assert (segment.window, segment.urgent, segment.payload) == (512, 3, payload)
    assert segment.mss == found.get("MSS")
    assert segment.window_scale == found.get("WScale")
    assert segment.sack_permitted == ("SAckOK" in found)
    assert segment.timestamps == found.get("Timestamp")
    assert [edge for block in segment.sack for edge in block] == list(found.get("SAck", ()))


@given(of.segments)
def test_our_tcp_is_scapys(segment: tcp.Segment) -> None:
    octets = ipv4.emit(ipv4.Ipv4(A, B, 6, tcp.emit(segment, A, B)))
    theirs = assert_same_checksums(octets)[inet.TCP]
    assert (theirs.sport, theirs.dport) == (segment.source_port, segment.destination_port)
    assert (theirs.seq, theirs.ack, theirs.window) == (segment.seq, segment.ack, segment.window)
    assert int(theirs.flags) == int(segment.flags)
    found = {name: value for name, value in theirs.options if name not in ("NOP", "EOL")}
    assert found.get("MSS") == segment.mss
    assert found.get("WScale") == segment.window_scale
    assert found.get("Timestamp") == segment.timestamps
    assert bytes(theirs.payload) == segment.payload


@given(st.binary(max_size=3000))
def test_udp_is_the_same_both_ways(payload: bytes) -> None:
    # scapy guesses layers from ports; these it knows nothing about
    theirs = bytes(ip() / inet.UDP(sport=40001, dport=40002) / payload)
    packet = ipv4.parse(theirs)
    assert udp.parse(packet.payload, A, B) == udp.Datagram(40001, 40002, payload)
    assert udp.emit(udp.Datagram(40001, 40002, payload), A, B) == packet.payload


@given(st.binary(max_size=3000), of.u16, of.u16)
def test_echo_is_the_same_both_ways(payload: bytes, identifier: int, sequence: int) -> None:
    theirs = bytes(inet.ICMP(type=8, id=identifier, seq=sequence) / payload)
    message = icmp.echo_request(identifier, sequence, payload)
    assert icmp.parse(theirs) == message
    assert icmp.emit(message) == theirs


def test_fragmentation_needed_is_scapys() -> None:
    theirs = inet.ICMP(icmp.emit(icmp.unreachable(4, b"q" * 28, mtu=1400)))
    assert (theirs.type, theirs.code, theirs.nexthopmtu) == (3, 4, 1400)


def test_scapy_dhcp_is_ours() -> None:
    built = (
        l2.Ether(src=str(MAC_A), dst="ff:ff:ff:ff:ff:ff")
        / inet.IP(src="0.0.0.0", dst="255.255.255.255")
        / inet.UDP(sport=68, dport=67)
        / scapy_dhcp.BOOTP(chaddr=bytes(MAC_A), xid=0x1234, flags=0x8000)
        / scapy_dhcp.DHCP(
            options=[
                ("message-type", "request"),
                ("requested_addr", "192.168.65.3"),
                ("server_id", "192.168.65.1"),
                ("param_req_list", [1, 3, 6]),
                ("hostname", b"tiny"),
                "end",
            ]
        )
    )
    packet = frame.decode(bytes(built))
    assert packet.error is None
    message = packet.dhcp
    assert message is not None
    assert (message.type, message.xid, message.chaddr, message.broadcast) == (3, 0x1234, MAC_A, True)
    assert message.options.requested_address == A
    assert message.options.server_identifier == ipv4.ip4("192.168.65.1")
    assert message.options.parameter_request_list == (1, 3, 6)
    assert message.options.host_name == "tiny"


def test_our_dhcp_is_scapys() -> None:
    options = dhcp.Options(
        message_type=dhcp.MessageType.ACK, subnet_mask=b"\xff\xff\xff\0", routers=(B,), dns_servers=(A, B),
        domain_name="lab.example", interface_mtu=1500, lease_time=3600, server_identifier=B,
    )  # fmt: skip
    theirs = scapy_dhcp.BOOTP(dhcp.emit(dhcp.Dhcp(dhcp.Op.REPLY, 5, MAC_A, options, yiaddr=A)))
    found = {option[0]: option[1:] for option in theirs[scapy_dhcp.DHCP].options if isinstance(option, tuple)}
    assert theirs.yiaddr == "192.168.65.3"
    assert found["message-type"] == (5,)
    assert found["subnet_mask"] == ("255.255.255.0",)
    assert found["router"] == ("93.184.216.34",)
    assert found["name_server"] == ("192.168.65.3", "93.184.216.34")
    assert found["domain"] == (b"lab.example",)
    assert found["interface-mtu"] == (1500,)
    assert found["lease_time"] == (3600,)


def test_our_frame_is_scapys() -> None:
    octets = ethernet.emit(ethernet.Ethernet(MAC_B, MAC_A, 0x0806, arp.emit(arp.request(MAC_A, A, B))))
    theirs = l2.Ether(octets)
    assert (theirs.src, theirs.dst, theirs[l2.ARP].pdst) == (str(MAC_A), str(MAC_B), "93.184.216.34")


GUEST, ROUTER = "fd65:6775:6573:7400::3", "fe80::1"
A6, B6 = ipv6.ip6(GUEST), ipv6.ip6(ROUTER)


def ip_6(**fields: Any) -> Any:
    return inet6.IPv6(src=GUEST, dst=ROUTER, **fields)


@pytest.mark.parametrize("payload", [b"", b"x", b"hello" * 300])
def test_tcp_and_udp_over_ipv6_are_scapys(payload: bytes) -> None:
    packet = ipv6.parse(bytes(ip_6(tc=3, fl=7, hlim=9) / inet.TCP(sport=4000, dport=4001, seq=5) / payload))
    assert (packet.source, packet.destination, packet.protocol) == (A6, B6, 6)
    assert (packet.traffic_class, packet.flow_label, packet.hop_limit) == (3, 7, 9)
    assert tcp.parse(packet.payload, A6, B6).payload == payload
    datagram = ipv6.parse(bytes(ip_6() / inet.UDP(sport=40001, dport=40002) / payload))
    assert udp.emit(udp.Datagram(40001, 40002, payload), A6, B6) == datagram.payload


def test_extension_headers_are_scapys() -> None:
    theirs = bytes(
        ip_6()
        / inet6.IPv6ExtHdrHopByHop(options=[inet6.RouterAlert(value=0)])
        / inet6.IPv6ExtHdrDestOpt(options=[inet6.PadN(optdata=b"abcdefghij")])
        / inet6.IPv6ExtHdrFragment(offset=3, m=1, id=77, nh=17)
        / b"12345678"
    )
    packet = ipv6.parse(theirs)
    assert [one.kind for one in packet.extensions if isinstance(one, ipv6.Extension)] == [0, 60]
    assert packet.fragment == ipv6.Fragment(24, True, 77)
    assert (packet.protocol, packet.payload) == (17, b"12345678")
    assert ipv6.emit(packet) == theirs


@given(st.binary(max_size=1000), of.u16, of.u16)
def test_echo_over_ipv6_is_the_same_both_ways(payload: bytes, identifier: int, sequence: int) -> None:
    theirs = bytes(ip_6() / inet6.ICMPv6EchoRequest(id=identifier, seq=sequence, data=payload))[40:]
    message = icmpv6.echo_request(identifier, sequence, payload)
    assert icmpv6.parse(theirs, A6, B6) == message
    assert icmpv6.emit(message, A6, B6) == theirs


def test_scapys_router_advertisement_is_ours() -> None:
    theirs = bytes(
        ip_6()
        / inet6.ICMPv6ND_RA(M=1, O=1, prf=0, routerlifetime=1800, chlim=64)
        / inet6.ICMPv6NDOptSrcLLAddr(lladdr=str(MAC_A))
        / inet6.ICMPv6NDOptMTU(mtu=1400)
        / inet6.ICMPv6NDOptPrefixInfo(
            prefix="fd65:6775:6573:7400::", prefixlen=64, validlifetime=100, preferredlifetime=50
        )
        / inet6.ICMPv6NDOptRDNSS(dns=[GUEST], lifetime=300)
        / inet6.ICMPv6NDOptDNSSL(searchlist=["lab.example"], lifetime=300)
        / inet6.ICMPv6NDOptCaptivePortal(URI=PORTAL.encode())
    )[40:]
    options = ndp.Options(
        source_mac=MAC_A, mtu=1400,
        prefixes=(ndp.Prefix(ipv6.ip6("fd65:6775:6573:7400::"), 64, True, True, 100, 50),),
        dns_servers=(ndp.DnsServers((A6,), 300),),
        dns_search=(ndp.DnsSearch(("lab.example",), 300),), captive_portal=PORTAL,
    )  # fmt: skip
    ours = ndp.RouterAdvertisement(1800, managed=True, other_config=True, options=options)
    assert ndp.parse(icmpv6.parse(theirs, A6, B6)) == ours
    assert icmpv6.emit(ndp.emit(ours), A6, B6) == theirs


def test_our_advertisement_is_scapys() -> None:
    ours = ndp.NeighbourAdvertisement(A6, router=True, override=True, options=ndp.Options(target_mac=MAC_B))
    octets = ipv6.emit(ipv6.Ipv6(A6, B6, 58, icmpv6.emit(ndp.emit(ours), A6, B6), hop_limit=255))
    theirs = inet6.IPv6(octets)[inet6.ICMPv6ND_NA]
    assert (theirs.tgt, theirs.R, theirs.S, theirs.O, theirs.lladdr) == (GUEST, 1, 0, 1, str(MAC_B))


def test_scapys_dhcpv6_is_ours() -> None:
    theirs = bytes(
        scapy_dhcp6.DHCP6_Request(trid=0x123456)
        / scapy_dhcp6.DHCP6OptClientId(duid=scapy_dhcp6.DUID_LL(lladdr=str(MAC_A)))
        / scapy_dhcp6.DHCP6OptIA_NA(
            iaid=7, T1=10, T2=20,
            ianaopts=[scapy_dhcp6.DHCP6OptIAAddress(addr=GUEST, preflft=30, validlft=40)],
        )
        / scapy_dhcp6.DHCP6OptOptReq(reqopts=[23, 24])
        / scapy_dhcp6.DHCP6OptElapsedTime(elapsedtime=5)
        / scapy_dhcp6.DHCP6OptCaptivePortal(URI=PORTAL.encode())
    )  # fmt: skip
    options = dhcpv6.Options(
        client_id=dhcpv6.duid_ll(MAC_A),
        ia_na=(dhcpv6.IaNa(7, 10, 20, (dhcpv6.IaAddress(A6, 30, 40),)),),
        option_request=(23, 24),
        elapsed_time=5,
        captive_portal=PORTAL,
    )
    ours = dhcpv6.Dhcpv6(dhcpv6.MessageType.REQUEST, 0x123456, options)
    assert dhcpv6.parse(theirs) == ours
    again = scapy_dhcp6.DHCP6_Request(dhcpv6.emit(ours))
    assert again[scapy_dhcp6.DHCP6OptIAAddress].addr == GUEST
    assert again[scapy_dhcp6.DHCP6OptOptReq].reqopts == [23, 24]
