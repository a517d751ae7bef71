"""ICMPv6 errors: when, to whom, how much they quote; extension headers that are wrong; echo."""

import pytest

from guestnet.core.errors import WireError
from guestnet.tcpip.icmp import Quoted
from guestnet.tcpip.icmpv6 import PacketProblem, check_extensions, echo_reply, error_about, quoted
from guestnet.wire import icmpv6, ipv6, tcp, udp
from guestnet.wire.icmpv6 import ParameterProblem, Type, Unreachable
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Extension, Fragment, Ip6, Ipv6, NextHeader, ip6

GUEST, REMOTE, ROUTER = ip6("fd65:6775:6573:7400::3"), ip6("2001:db8::1"), ip6("fe80::1")


def datagram(source: Ip6 = GUEST, destination: Ip6 = REMOTE, size: int = 100) -> Ipv6:
    octets = udp.emit(udp.Datagram(4000, 53, bytes(size)), source, destination)
    return Ipv6(source, destination, 17, octets)


def told(
    about: Ipv6, kind: int = Type.DESTINATION_UNREACHABLE, code: int = 0, *, rest: int = 0
) -> Ipv6 | None:
    return error_about(ipv6.emit(about), ROUTER, kind, code, rest=rest)


def test_an_error_quotes_up_to_the_least_mtu() -> None:
    error = told(datagram(size=1400), code=Unreachable.PORT)
    assert error is not None
    assert (error.source, error.destination, len(ipv6.emit(error))) == (ROUTER, GUEST, ipv6.MIN_MTU)
    message = icmpv6.parse(error.payload, ROUTER, GUEST)
    assert (message.type, message.code) == (Type.DESTINATION_UNREACHABLE, Unreachable.PORT)
    assert message.payload == ipv6.emit(datagram(size=1400))[:1232]
    assert quoted(message) == Quoted(GUEST, REMOTE, 17, 4000, 53, 0)


def test_packet_too_big_tells_the_mtu() -> None:
    error = told(datagram(), Type.PACKET_TOO_BIG, rest=1400)
    assert error is not None
    assert icmpv6.parse(error.payload, ROUTER, GUEST).mtu == 1400


def icmp(kind: int) -> Ipv6:
    message = icmpv6.emit(icmpv6.Icmpv6(kind, 0, 0, b"12345678"), GUEST, REMOTE)
    return Ipv6(GUEST, REMOTE, 58, message)


@pytest.mark.parametrize(
    "about",
    [
        datagram(source=UNSPECIFIED),
        datagram(source=ALL_NODES),
        datagram(destination=ALL_NODES),
        icmp(Type.TIME_EXCEEDED),
        icmp(100),
        icmp(Type.REDIRECT),
        Ipv6(GUEST, REMOTE, 17, bytes(8), extensions=(Fragment(8, False, 1),)),
    ],
)
def test_some_packets_are_never_answered(about: Ipv6) -> None:
    assert told(about) is None


def test_pings_and_unknown_questions_are_answered() -> None:
    assert told(icmp(Type.ECHO_REQUEST)) is not None
    assert told(icmp(200)) is not None


def test_what_went_to_a_group_is_answered_only_for_its_size_or_an_option() -> None:
    group = datagram(destination=ALL_NODES)
    assert told(group, Type.PACKET_TOO_BIG, rest=1400) is not None
    assert told(group, Type.PARAMETER_PROBLEM, ParameterProblem.OPTION) is not None
    assert told(group, Type.PARAMETER_PROBLEM, ParameterProblem.FIELD) is None
    link = error_about(ipv6.emit(datagram()), ROUTER, Type.DESTINATION_UNREACHABLE, 0, link_group=True)
    assert link is None


def test_an_echo_is_answered_with_its_data_and_from_one_of_us() -> None:
    asked = icmpv6.echo_request(7, 9, b"data")
    packet = Ipv6(GUEST, ALL_NODES, 58, icmpv6.emit(asked, GUEST, ALL_NODES), traffic_class=4)
    reply = echo_reply(packet, asked, source=ROUTER)
    assert (reply.source, reply.destination, reply.traffic_class) == (ROUTER, GUEST, 4)
    assert icmpv6.parse(reply.payload, ROUTER, GUEST) == icmpv6.echo_reply(7, 9, b"data")


def test_a_quoted_segment_tells_its_sequence_number() -> None:
    segment = tcp.Segment(4000, 80, 1234, 0, tcp.Flags.SYN, 100)
    about = Ipv6(GUEST, REMOTE, 6, tcp.emit(segment, GUEST, REMOTE)[:8])
    whole = ipv6.emit(about)
    assert quoted(icmpv6.unreachable(0, whole)) == Quoted(GUEST, REMOTE, 6, 4000, 80, 1234)
    assert quoted(icmpv6.unreachable(0, whole[:44])) is None
    assert quoted(icmpv6.unreachable(0, whole[:20])) is None
    assert quoted(icmpv6.echo_request(1, 2, whole)) is None


def options(body: bytes, kind: int = NextHeader.DESTINATION_OPTIONS) -> Ipv6:
    first = Extension(NextHeader.DESTINATION_OPTIONS, b"\1\4" + bytes(4))
    return Ipv6(GUEST, REMOTE, 17, b"", extensions=(first, Extension(kind, body)))


@pytest.mark.parametrize(
    "packet",
    [
        options(b"\1\4" + bytes(4)),
        options(bytes(6)),
        options(b"\5\2\0\0\1\0", NextHeader.HOP_BY_HOP),
        options(b"\x3e\4" + bytes(4)),
        options(b"\0\0" + bytes(4), NextHeader.ROUTING),
    ],
)
def test_sound_extension_headers_are_passed(packet: Ipv6) -> None:
    check_extensions(packet)


def test_an_option_may_ask_to_be_dropped_in_silence() -> None:
    with pytest.raises(WireError, match="option 64 is not known") as caught:
        check_extensions(options(b"\x40\4" + bytes(4)))
    assert not isinstance(caught.value, PacketProblem)


@pytest.mark.parametrize(
    ("packet", "code", "pointer", "to_group"),
    [
        (options(b"\0\x80\3" + bytes(3)), ParameterProblem.OPTION, 51, True),
        (options(b"\xc2\4" + bytes(4)), ParameterProblem.OPTION, 50, False),
        (options(b"\1\5" + bytes(4)), ParameterProblem.FIELD, 51, False),
        (options(b"\0\1" + bytes(4), NextHeader.ROUTING), ParameterProblem.FIELD, 50, False),
    ],
)
def test_a_wrong_extension_header_is_told_to_its_sender(
    packet: Ipv6, code: int, pointer: int, to_group: bool
) -> None:
    with pytest.raises(PacketProblem) as caught:
        check_extensions(packet)
    assert (caught.value.code, caught.value.pointer, caught.value.to_group) == (code, pointer, to_group)
