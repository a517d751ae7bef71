"""Translation between IPv4 and IPv6, checked with the parsers and by checksums made anew."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.tcpip import siit
from guestnet.wire import checksum, icmp, icmpv6, ipv4, ipv6, udp
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Extension, Fragment, Ipv6

PREFIX = IPv6Address("64:ff9b::").packed
CLIENT6 = IPv6Address("2001:db8:6::10").packed
CLIENT4 = IPv4Address("192.168.254.1").packed
SERVER4 = IPv4Address("203.0.113.10").packed
SERVER6 = IPv6Address("64:ff9b::203.0.113.10").packed
OWN4 = IPv4Address("192.0.0.2").packed
OWN6 = IPv6Address("2001:db8:64::2").packed


class Addresses:
    """One client."""

    def to_ip4(self, address: bytes) -> bytes | None:
        if address[:12] == PREFIX[:12]:
            return address[12:]
        return CLIENT4 if address == CLIENT6 else None

    def to_ip6(self, address: bytes) -> bytes | None:
        return CLIENT6 if address == CLIENT4 else siit.embedded(PREFIX, address)


TRANSLATOR = siit.Translator(Addresses(), OWN4, OWN6, 1500)


def onward4(packet: Ipv6) -> Ipv4:
    (octets,) = TRANSLATOR.six_to_four(ipv6.emit(packet)).onward
    return ipv4.parse(octets)


def onward6(packet: Ipv4) -> list[Ipv6]:
    return [ipv6.parse(octets) for octets in TRANSLATOR.four_to_six(ipv4.emit(packet)).onward]


def segment(source: bytes, destination: bytes, size: int = 11) -> bytes:
    """A TCP segment with a right checksum."""
    bare = bytes.fromhex("c350005000000001000000025018040000000000") + bytes(
        each % 251 for each in range(size)
    )
    pseudo = checksum.pseudo_sum(source, destination, Protocol.TCP, len(bare))
    return bare[:16] + checksum.internet(bare, pseudo).to_bytes(2, "big") + bare[18:]


def is_right(packet: Ipv4 | Ipv6) -> bool:
    """Whether the checksum of TCP, UDP or ICMPv6 is."""
    pseudo = checksum.pseudo_sum(packet.source, packet.destination, packet.protocol, len(packet.payload))
    return checksum.is_valid(packet.payload, pseudo)


def test_a_segment_goes_there_and_back() -> None:
    there = onward4(Ipv6(CLIENT6, SERVER6, Protocol.TCP, segment(CLIENT6, SERVER6), 64, 0x2E))

    assert (there.source, there.destination, there.ttl, there.tos) == (CLIENT4, SERVER4, 63, 0x2E)
    assert is_right(there)

    (back,) = onward6(Ipv4(SERVER4, CLIENT4, Protocol.TCP, segment(SERVER4, CLIENT4), 50, dont_fragment=True))

    assert (back.source, back.destination, back.hop_limit, back.extensions) == (SERVER6, CLIENT6, 49, ())
    assert is_right(back)


def test_a_small_packet_may_be_fragmented_further_on_and_a_large_one_not() -> None:
    small, large = (
        onward4(Ipv6(CLIENT6, SERVER6, Protocol.TCP, segment(CLIENT6, SERVER6, size))) for size in (11, 1400)
    )

    assert not small.dont_fragment
    assert large.dont_fragment


def test_a_datagram_without_checksum_gets_one() -> None:
    bare = bytes.fromhex("0035c350000c0000") + b"okay"

    (there,) = onward6(Ipv4(SERVER4, CLIENT4, Protocol.UDP, bare))

    assert udp.parse(there.payload).payload == b"okay"
    assert is_right(there)


def test_a_ping_and_its_answer() -> None:
    request = icmpv6.emit(icmpv6.Icmpv6(icmpv6.Type.ECHO_REQUEST, 0, 0x00070001, b"ping"), CLIENT6, SERVER6)
    there = onward4(Ipv6(CLIENT6, SERVER6, Protocol.ICMPV6, request))

    assert there.protocol == Protocol.ICMP
    told = icmp.parse(there.payload)
    assert (told.type, told.rest, bytes(told.payload)) == (icmp.Type.ECHO_REQUEST, 0x00070001, b"ping")

    (back,) = onward6(Ipv4(SERVER4, CLIENT4, Protocol.ICMP, icmp.emit(icmp.Icmp(0, 0, 0x00070001, b"ping"))))

    assert back.payload[0] == icmpv6.Type.ECHO_REPLY
    assert is_right(back)


@pytest.mark.parametrize(
    ("four", "six"),
    [
        ((3, 0, 0), (1, 0, 0)),
        ((3, 1, 0), (1, 0, 0)),
        ((3, 13, 0), (1, 1, 0)),
        ((3, 3, 0), (1, 4, 0)),
        ((3, 2, 0), (4, 1, 6)),
        ((3, 4, 1400), (2, 0, 1420)),
        ((3, 4, 600), (2, 0, 1280)),
        ((11, 0, 0), (3, 0, 0)),
    ],
)
def test_an_error_is_about_the_packet_that_the_client_sent(
    four: tuple[int, int, int], six: tuple[int, int, int]
) -> None:
    sent = ipv4.emit(Ipv4(CLIENT4, SERVER4, Protocol.TCP, segment(CLIENT4, SERVER4)))
    kind, code, rest = four
    error = icmp.emit(icmp.Icmp(kind, code, rest, sent[:28]))

    (there,) = onward6(Ipv4(SERVER4, CLIENT4, Protocol.ICMP, error))

    told = icmpv6.parse(there.payload, there.source, there.destination)
    assert (told.type, told.code, told.rest) == six
    about = ipv6.parse(told.payload, wire_length=1500)
    assert (about.source, about.destination, about.protocol) == (CLIENT6, SERVER6, Protocol.TCP)
    assert bytes(about.payload) == sent[20:28]
    assert is_right(there)


@pytest.mark.parametrize(
    ("six", "four"),
    [
        ((1, 0, 0), (3, 1, 0)),
        ((1, 1, 0), (3, 10, 0)),
        ((1, 4, 0), (3, 3, 0)),
        ((2, 0, 1280), (3, 4, 1260)),
        ((3, 0, 0), (11, 0, 0)),
        ((4, 1, 6), (3, 2, 0)),
    ],
)
def test_a_clients_error_reaches_the_server(six: tuple[int, int, int], four: tuple[int, int, int]) -> None:
    sent = ipv6.emit(Ipv6(SERVER6, CLIENT6, Protocol.UDP, bytes.fromhex("0007c35000080000")))
    kind, code, rest = six
    error = icmpv6.emit(icmpv6.Icmpv6(kind, code, rest, sent), CLIENT6, SERVER6)

    there = onward4(Ipv6(CLIENT6, SERVER6, Protocol.ICMPV6, error))

    told = icmp.parse(there.payload)
    assert (told.type, told.code, told.rest) == four
    about = ipv4.parse(told.payload)
    assert (about.source, about.destination) == (SERVER4, CLIENT4)


def test_who_sends_too_much_with_dont_fragment_is_told() -> None:
    too_long = Ipv4(SERVER4, CLIENT4, Protocol.TCP, segment(SERVER4, CLIENT4, 1465), dont_fragment=True)
    fits = Ipv4(SERVER4, CLIENT4, Protocol.TCP, bytes(1460), dont_fragment=True)

    onward, back = TRANSLATOR.four_to_six(ipv4.emit(too_long))

    assert onward == ()
    (error,) = (ipv4.parse(octets) for octets in back)
    told = icmp.parse(error.payload)
    assert (error.source, error.destination) == (OWN4, SERVER4)
    assert (told.type, told.code, told.rest) == (3, 4, 1480)
    assert TRANSLATOR.four_to_six(ipv4.emit(fits)).back == ()


def test_without_dont_fragment_it_comes_in_pieces() -> None:
    payload = bytes(range(250)) * 8
    pieces = onward6(Ipv4(SERVER4, CLIENT4, 99, payload, identification=0xBEEF))

    assert [len(ipv6.emit(piece)) <= ipv6.MIN_MTU for piece in pieces] == [True, True]
    assert b"".join(bytes(piece.payload) for piece in pieces) == payload
    assert [(piece.fragment_offset, piece.more_fragments) for piece in pieces] == [(0, True), (1232, False)]
    assert {piece.identification for piece in pieces} == {0xBEEF}


def test_a_piece_stays_a_piece() -> None:
    (there,) = onward6(Ipv4(SERVER4, CLIENT4, 99, bytes(16), more_fragments=True, fragment_offset=1480))
    back = onward4(Ipv6(CLIENT6, SERVER6, 99, bytes(16), extensions=(Fragment(1480, False, 0xABCD1234),)))

    assert (there.fragment_offset, there.more_fragments) == (1480, True)
    assert (back.fragment_offset, back.more_fragments, back.identification) == (1480, False, 0x1234)
    assert not back.dont_fragment


def test_at_the_end_of_its_hops_an_error_goes_back() -> None:
    onward, back = TRANSLATOR.six_to_four(ipv6.emit(Ipv6(CLIENT6, SERVER6, 17, bytes(8), hop_limit=1)))
    (error,) = (ipv6.parse(octets) for octets in back)

    assert onward == ()
    assert (error.source, error.destination, error.payload[0]) == (OWN6, CLIENT6, icmpv6.Type.TIME_EXCEEDED)
    assert is_right(error)

    _, back = TRANSLATOR.four_to_six(ipv4.emit(Ipv4(SERVER4, CLIENT4, 17, bytes(8), ttl=1)))
    assert ipv4.parse(back[0]).payload[0] == icmp.Type.TIME_EXCEEDED


def test_an_error_makes_no_error() -> None:
    error = icmpv6.emit(icmpv6.Icmpv6(1, 0, 0, bytes(48)), CLIENT6, SERVER6)

    assert TRANSLATOR.six_to_four(ipv6.emit(Ipv6(CLIENT6, SERVER6, 58, error, hop_limit=1))) == ((), ())


@pytest.mark.parametrize(
    "packet",
    [
        Ipv6(CLIENT6, CLIENT6[:15] + b"\xff", Protocol.TCP, bytes(20)),
        Ipv6(CLIENT6, SERVER6, Protocol.ICMPV6, bytes([143, 0, 0, 0, 0, 0, 0, 0])),
        Ipv6(
            CLIENT6, SERVER6, Protocol.TCP, bytes(20), extensions=(Extension(43, bytes([0, 1, 0, 0, 0, 0])),)
        ),
    ],
)
def test_what_has_no_counterpart_is_dropped(packet: Ipv6) -> None:
    assert TRANSLATOR.six_to_four(ipv6.emit(packet)) == ((), ())


@given(st.binary(max_size=200))
def test_any_octets_are_translated_or_malformed(octets: bytes) -> None:
    for translate in (TRANSLATOR.six_to_four, TRANSLATOR.four_to_six):
        for prefix in (b"", b"\x60", b"\x45"):
            try:
                translate(prefix + octets)
            except WireError:
                continue


@given(st.sampled_from((1, 6, 17, 44, 58)), st.binary(max_size=120))
def test_any_payload_is_translated(protocol: int, payload: bytes) -> None:
    packets = (
        (TRANSLATOR.six_to_four, ipv6.emit(Ipv6(CLIENT6, SERVER6, protocol, payload))),
        (TRANSLATOR.four_to_six, ipv4.emit(Ipv4(SERVER4, CLIENT4, protocol, payload))),
    )
    for translate, packet in packets:
        try:
            translate(packet)
        except WireError:
            continue


@pytest.mark.parametrize(
    "packet",
    [
        Ipv6(CLIENT6, SERVER6, 99, bytes(112), extensions=(Fragment(65528, False, 1),)),
        Ipv6(CLIENT6, SERVER6, 99, bytes(65520)),
    ],
)
def test_what_is_longer_than_ipv4_can_say_goes_nowhere(packet: Ipv6) -> None:
    assert TRANSLATOR.six_to_four(ipv6.emit(packet)) == siit.Translated()
