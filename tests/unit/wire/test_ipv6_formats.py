"""The formats of IPv6: what was emitted parses to the same, and strange octets raise only WireError."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError, WireError
from guestnet.wire import dhcpv6, icmpv6, ip, ipv6, names, ndp, tcp, udp
from guestnet.wire.ipv6 import Extension, Fragment, Ipv6, NextHeader, ip6
from tests.support import strategies as of

A, B = ip6("fd65:6775:6573:7400::3"), ip6("2001:db8::1")

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "ipv6": ipv6.parse,
    "icmpv6": icmpv6.parse,
    "ndp": lambda data: ndp.parse(icmpv6.parse(data)),
    "dhcpv6": dhcpv6.parse,
}
SHOWS: dict[str, Callable[[Any], str]] = {
    "ipv6": ipv6.show, "icmpv6": icmpv6.show, "ndp": ndp.show, "dhcpv6": dhcpv6.show,
}  # fmt: skip


@given(of.ipv6s)
def test_ipv6_round_trip(packet: Ipv6) -> None:
    octets = ipv6.emit(packet)
    assert ipv6.parse(octets) == packet
    assert ipv6.parse(octets + b"padding") == packet
    assert len(octets) == packet.header_length + len(packet.payload)


@given(of.icmpv6s, of.ip6s, of.ip6s)
def test_icmpv6_round_trip(message: icmpv6.Icmpv6, source: bytes, destination: bytes) -> None:
    assert icmpv6.parse(icmpv6.emit(message, source, destination), source, destination) == message


@given(of.ndps)
def test_ndp_round_trip(packet: ndp.Ndp) -> None:
    assert ndp.parse(ndp.emit(packet)) == packet


@given(of.dhcpv6s)
def test_dhcpv6_round_trip(message: dhcpv6.Dhcpv6) -> None:
    assert dhcpv6.parse(dhcpv6.emit(message)) == message


@given(of.datagrams, of.ip6s, of.ip6s)
def test_udp_round_trip(datagram: udp.Datagram, source: bytes, destination: bytes) -> None:
    assert udp.parse(udp.emit(datagram, source, destination), source, destination) == datagram


@given(of.segments, of.ip6s, of.ip6s)
def test_tcp_round_trip(segment: tcp.Segment, source: bytes, destination: bytes) -> None:
    assert tcp.parse(tcp.emit(segment, source, destination), source, destination) == segment


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=400))
def test_random_octets_raise_only_wire_errors(name: str, data: bytes) -> None:
    parsed = None
    with contextlib.suppress(WireError):
        parsed = PARSERS[name](data)
    assert parsed is None or SHOWS[name](parsed)


@given(of.ipv6s, of.dhcpv6s, of.ndps, st.data())
def test_damage_raises_only_wire_errors(
    packet: Ipv6, message: dhcpv6.Dhcpv6, discovery: ndp.Ndp, data: st.DataObject
) -> None:
    whole = {
        "ipv6": ipv6.emit(packet),
        "dhcpv6": dhcpv6.emit(message),
        "ndp": icmpv6.emit(ndp.emit(discovery), A, B),
    }
    for name, octets in whole.items():
        damaged = bytearray(octets)
        for at in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=4)):
            damaged[at] = data.draw(of.u8)
        with contextlib.suppress(WireError):
            assert SHOWS[name](PARSERS[name](bytes(damaged)))


@given(of.ip6s)
def test_addresses_for_people(address: bytes) -> None:
    assert ip6(ipv6.show_ip6(address)) == address


@pytest.mark.parametrize("text", ["1.2.3.4", "::1::", "fe80::1%eth0", "", "12345::"])
def test_what_is_no_address_is_said_so(text: str) -> None:
    with pytest.raises(DescriptionError, match=r"IPv6 address|has a zone"):
        ip6(text)


def test_ends_are_written_as_in_urls() -> None:
    assert ip.show_end(A, 53) == "[fd65:6775:6573:7400::3]:53"
    assert ip.show_end(bytes((192, 168, 65, 3)), 53) == "192.168.65.3:53"
    assert ip.show_ip(B) == "2001:db8::1"


def test_multicast_on_ethernet_and_for_a_node() -> None:
    group = ipv6.solicited_node(ip6("fe80::1234:5678:9abc:def0"))
    assert group == ip6("ff02::1:ffbc:def0")
    assert ipv6.group_mac(group).hex(":") == "33:33:ff:bc:de:f0"


@pytest.mark.parametrize(
    ("octets", "culprit"),
    [
        (b"\x60" + bytes(38), "ipv6 header at offset 39"),
        (b"\x45" + bytes(39), "ipv6 version at offset 0"),
        (b"\x60\0\0\0\0\1" + bytes(34), "ipv6 payload length at offset 4"),
        (b"\x60\0\0\0\0\7\x2b" + bytes(40), "ipv6 extension header at offset 47"),
        (b"\x60\0\0\0\0\x08\0" + bytes(33) + b"\x06\1" + bytes(6), "ipv6 extension header at offset 48"),
    ],
)
def test_an_ipv6_error_names_field_and_offset(octets: bytes, culprit: str) -> None:
    with pytest.raises(WireError, match=culprit):
        ipv6.parse(octets)


def test_extension_headers_are_bounded() -> None:
    many = (Extension(NextHeader.DESTINATION_OPTIONS, bytes(6)),) * (ipv6.MAX_EXTENSIONS + 1)
    with pytest.raises(WireError, match="more than 8"):
        ipv6.parse(ipv6.emit(Ipv6(A, B, 17, b"", extensions=many)))


def test_hop_by_hop_options_are_first_or_nobody_knows_them() -> None:
    first = Extension(NextHeader.HOP_BY_HOP, bytes(6))
    other = Extension(NextHeader.DESTINATION_OPTIONS, bytes(6))
    late = ipv6.parse(ipv6.emit(Ipv6(A, B, 17, b"x", extensions=(other, first))))
    assert (late.protocol, late.extensions) == (NextHeader.HOP_BY_HOP, (other,))
    assert ipv6.parse(ipv6.emit(Ipv6(A, B, 17, b"x", extensions=(first, other)))).protocol == 17


def test_the_walk_ends_at_a_piece_and_goes_on_after_an_atomic_fragment() -> None:
    options = Extension(NextHeader.DESTINATION_OPTIONS, bytes(6))
    for fragment in (Fragment(0, True, 7), Fragment(8, False, 7)):
        piece = ipv6.parse(ipv6.emit(Ipv6(A, B, 17, b"x" * 8, extensions=(fragment, options))))
        assert piece.is_fragment
        assert (piece.protocol, piece.extensions) == (NextHeader.DESTINATION_OPTIONS, (fragment,))
    atomic = Ipv6(A, B, 17, b"x", extensions=(Fragment(0, False, 7), options))
    assert ipv6.parse(ipv6.emit(atomic)) == atomic
    assert not atomic.is_fragment


def test_a_cut_packet_keeps_what_is_left() -> None:
    octets = ipv6.emit(Ipv6(A, B, 17, b"0123456789"))
    assert ipv6.parse(octets[:44], wire_length=50).payload == b"0123"
    with pytest.raises(WireError, match="ipv6 payload length"):
        ipv6.parse(octets[:44])


def test_a_udp_checksum_of_zero_is_refused() -> None:
    octets = bytearray(udp.emit(udp.Datagram(1, 2, b"data"), A, B))
    octets[6:8] = b"\0\0"
    with pytest.raises(WireError, match="udp checksum"):
        udp.parse(octets, A, B)


def test_icmpv6_covers_the_addresses_by_its_checksum() -> None:
    octets = icmpv6.emit(icmpv6.echo_request(1, 2, b"data"), A, B)
    with pytest.raises(WireError, match="icmpv6 checksum"):
        icmpv6.parse(octets, A, A)


@pytest.mark.parametrize(
    ("kind", "body", "culprit"),
    [
        (135, bytes(8), "ndp target at offset 8"),
        (135, b"\xff" + bytes(15), "is multicast"),
        (134, bytes(4), "ndp router advertisement at offset 4"),
        (133, b"\1\0" + bytes(6), "option 1 of 0 octets"),
        (133, b"\1\2" + bytes(14), "option 1 cannot have 16 octets"),
        (133, b"\x19\1" + bytes(6), "no list of addresses"),
        (133, b"\x1f\2" + bytes(6) + b"\x3fabcdefg", "search domains"),
        (133, b"\5\2" + bytes(6), "does not fit"),
        (128, b"", "none of neighbour discovery"),
    ],
)
def test_an_ndp_error_names_the_culprit(kind: int, body: bytes, culprit: str) -> None:
    with pytest.raises(WireError, match=culprit):
        ndp.parse(icmpv6.Icmpv6(kind, 0, 0, body + bytes(16) if kind == 128 else body))


@pytest.mark.parametrize(
    ("octets", "culprit"),
    [
        (b"\x0c" + bytes(40), "12 is none between clients and servers"),
        (b"\1\0\0\1\0\1\0\2ab", "option 1 at offset 4: a DUID of 2 octets"),
        (b"\1\0\0\1\0\1\0\x20ab", "option 1 at offset 4: does not fit"),
        (b"\1\0\0\1\0\x17\0\4abcd", "4 octets are no multiple of 16"),
        (b"\1\0\0\1\0\x08\0\1a", "1 octets instead of 2"),
        (b"\1\0\0\1\0\3\0\4abcd", "option 3 at offset 4"),
        (b"\1\0\0\1\0\x18\0\2\xc0\0", "the label at 0 does not fit"),
    ],
)
def test_a_dhcpv6_error_names_the_culprit(octets: bytes, culprit: str) -> None:
    with pytest.raises(WireError, match=culprit):
        dhcpv6.parse(octets)


def test_a_duid_may_tell_the_mac() -> None:
    mac = Mac.parse("52:54:00:12:34:56")
    assert dhcpv6.duid_mac(dhcpv6.duid_ll(mac)) == mac
    assert dhcpv6.duid_mac(b"\0\1\0\1\0\0\0\0" + mac) == mac
    assert dhcpv6.duid_mac(b"\0\4" + bytes(16)) is None


def test_names_are_not_compressed_where_they_must_not_be() -> None:
    octets = b"\3lab\0\xc0\0"
    assert names.decode_names(octets, compressed=True) == ("lab", "lab")
    with pytest.raises(ValueError, match="does not fit"):
        names.decode_names(octets)
