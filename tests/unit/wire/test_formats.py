"""Every format: what was emitted parses to the same, and strange octets raise nothing but WireError."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.wire import arp, dhcp, ethernet, icmp, ipv4, tcp, udp
from tests.support import strategies as of

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "ethernet": ethernet.parse,
    "arp": arp.parse,
    "ipv4": ipv4.parse,
    "ipv4 unverified": lambda data: ipv4.parse(data, verify=False),
    "icmp": lambda data: icmp.parse(data, verify=False),
    "udp": udp.parse,
    "udp of a cut frame": lambda data: udp.parse(data, wire_length=65535),
    "tcp": tcp.parse,
    "dhcp": dhcp.parse,
}
SHOWS: dict[str, Callable[[Any], str]] = {
    "ethernet": ethernet.show, "arp": arp.show, "ipv4": ipv4.show, "icmp": icmp.show, "udp": udp.show,
    "tcp": tcp.show, "dhcp": dhcp.show,
}  # fmt: skip


@given(of.ethernets)
def test_ethernet_round_trip(frame: ethernet.Ethernet) -> None:
    assert ethernet.parse(ethernet.emit(frame)) == frame


@given(of.arps)
def test_arp_round_trip(packet: arp.Arp) -> None:
    assert arp.parse(arp.emit(packet)) == packet
    assert arp.parse(arp.emit(packet) + bytes(18)) == packet


@given(of.ipv4s)
def test_ipv4_round_trip(packet: ipv4.Ipv4) -> None:
    octets = ipv4.emit(packet)
    assert ipv4.parse(octets) == packet
    assert ipv4.parse(octets + b"padding") == packet


@given(of.icmps)
def test_icmp_round_trip(message: icmp.Icmp) -> None:
    assert icmp.parse(icmp.emit(message)) == message


@given(of.datagrams, of.ip4s, of.ip4s)
def test_udp_round_trip(datagram: udp.Datagram, source: bytes, destination: bytes) -> None:
    assert udp.parse(udp.emit(datagram, source, destination), source, destination) == datagram


@given(of.segments, of.ip4s, of.ip4s)
def test_tcp_round_trip(segment: tcp.Segment, source: bytes, destination: bytes) -> None:
    assert tcp.parse(tcp.emit(segment, source, destination), source, destination) == segment


@pytest.mark.parametrize(
    "options",
    [
        b"\x08\x0a" + bytes(8) + b"\x05\x1a" + bytes(24) + b"\xfd\x04ab",
        b"\x05\x22" + bytes(32) + b"\x04\x02" + b"\x02\x04" + bytes(2),
        b"\x03\x03\x07" * 12 + b"\xfd\x04ab",
    ],
)
def test_tcp_options_that_fit_only_without_alignment(options: bytes) -> None:
    assert len(options) == tcp.MAX_OPTIONS
    bare = tcp.emit(tcp.Segment(1, 2, 3, 4, tcp.Flags.ACK, 5), bytes(4), bytes(4))
    segment = tcp.parse(bare[:12] + b"\xf0" + bare[13:] + options)
    assert tcp.parse(tcp.emit(segment, bytes(4), bytes(4))) == segment


def test_too_many_tcp_options_are_refused() -> None:
    segment = tcp.Segment(1, 2, 3, 4, tcp.Flags.ACK, 5, other_options=((253, bytes(39)),))
    with pytest.raises(ValueError, match="44 octets of TCP options"):
        tcp.emit(segment, bytes(4), bytes(4))


@given(of.dhcps)
def test_dhcp_round_trip(message: dhcp.Dhcp) -> None:
    assert dhcp.parse(dhcp.emit(message, limit=20_000)) == message


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=400))
def test_random_octets_raise_only_wire_errors(name: str, data: bytes) -> None:
    parsed = None
    with contextlib.suppress(WireError):
        parsed = PARSERS[name](data)
    assert parsed is None or SHOWS[name.split()[0]](parsed)


@given(of.dhcps, st.data())
def test_damaged_dhcp_raises_only_wire_errors(message: dhcp.Dhcp, data: st.DataObject) -> None:
    octets = bytearray(dhcp.emit(message, limit=20_000))
    for at in data.draw(st.lists(st.integers(240, len(octets) - 1), min_size=1, max_size=5)):
        octets[at] = data.draw(of.u8)
    with contextlib.suppress(WireError):
        assert dhcp.show(dhcp.parse(bytes(octets)))


@given(of.segments, st.data())
def test_damaged_tcp_is_noticed_by_the_checksum(segment: tcp.Segment, data: st.DataObject) -> None:
    source, destination = b"\1\2\3\4", b"\5\6\7\x08"
    octets = bytearray(tcp.emit(segment, source, destination))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    with pytest.raises(WireError):
        tcp.parse(bytes(octets), source, destination)


@pytest.mark.parametrize(
    ("octets", "culprit"),
    [
        (b"\x45", "ipv4 header at offset 1"),
        (b"\x65" + bytes(19), "ipv4 version at offset 0"),
        (b"\x44" + bytes(19), "ipv4 header length at offset 0"),
        (b"\x45\0\0\x13" + bytes(16), "ipv4 total length at offset 2"),
        (b"\x45\0\0\x15" + bytes(16), "ipv4 total length at offset 2"),
        (b"\x45\0\0\x14" + bytes(16), "ipv4 header checksum at offset 10"),
    ],
)
def test_an_ipv4_error_names_field_and_offset(octets: bytes, culprit: str) -> None:
    with pytest.raises(WireError, match=culprit):
        ipv4.parse(octets)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (b"\2\0\0\0", "option 2 of 0 octets"),
        (b"\2\x08\5\xb4", "option 2 of 8 octets"),
        (b"\3\4\1\0", "option 3 cannot have 4 octets"),
        (b"\1\1\1\x08", "option 8 of 0 octets"),
    ],
)
def test_a_tcp_error_names_the_option(options: bytes, culprit: str) -> None:
    header = bytes(12) + bytes([(20 + len(options)) << 2, 0x10]) + bytes(6)
    with pytest.raises(WireError, match=culprit):
        tcp.parse(header + options)


def test_a_payload_is_a_view_of_what_was_parsed() -> None:
    octets = bytearray(udp.emit(udp.Datagram(1, 2, b"before"), b"\1\1\1\1", b"\2\2\2\2"))
    datagram = udp.parse(octets)
    octets[8:] = b"after!"
    assert datagram.payload == b"after!"


def test_a_cut_datagram_keeps_what_is_left() -> None:
    octets = udp.emit(udp.Datagram(1, 2, b"0123456789"), b"\1\1\1\1", b"\2\2\2\2")
    assert udp.parse(octets[:12], b"\1\1\1\1", b"\2\2\2\2", wire_length=18).payload == b"0123"
    with pytest.raises(WireError, match="udp length"):
        udp.parse(octets[:12])


def test_a_udp_checksum_of_zero_is_not_checked() -> None:
    octets = bytearray(udp.emit(udp.Datagram(1, 2, b"data"), b"\1\1\1\1", b"\2\2\2\2"))
    octets[6:8] = b"\0\0"
    assert udp.parse(octets, b"\1\1\1\1", b"\2\2\2\2").payload == b"data"
    octets[6:8] = b"\0\1"
    with pytest.raises(WireError, match="udp checksum"):
        udp.parse(octets, b"\1\1\1\1", b"\2\2\2\2")


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.256", "1.2.3.-4", "a.b.c.d", "1.2.3.4.5", ""])
def test_what_is_no_address_is_said_so(text: str) -> None:
    with pytest.raises(Exception, match="is no IPv4 address"):
        ipv4.ip4(text)


@given(of.ip4s)
def test_addresses_for_people(address: bytes) -> None:
    assert ipv4.ip4(ipv4.show_ip4(address)) == address
