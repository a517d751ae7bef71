"""Scapy as an independent oracle: what it builds we parse, what we build it parses, checksums too."""

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers import dhcp as scapy_dhcp
    from scapy.layers import inet, l2

from harness.core.address import Mac
from harness.wire import arp, dhcp, ethernet, frame, icmp, ipv4, tcp, udp
from tests.unit.wire import strategies as of

A, B = ipv4.ip4("192.168.65.3"), ipv4.ip4("93.184.216.34")
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
