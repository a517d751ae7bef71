"""When an ICMP error is sent, when not, and what it says."""

import pytest

from guestnet.tcpip import icmp as answers
from guestnet.wire import frame, icmp, ipv4, tcp, udp
from guestnet.wire.icmp import Type, Unreachable
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags

GUEST, SERVER, GATEWAY = ip4("192.168.65.3"), ip4("93.184.216.34"), ip4("192.168.65.1")
UDP = udp.emit(udp.Datagram(4000, 53, b"query"), GUEST, SERVER)


def original(payload: bytes = UDP, *, protocol: int = 17, **fields: object) -> bytes:
    values: dict[str, object] = {"source": GUEST, "destination": SERVER, "protocol": protocol} | fields
    return ipv4.emit(Ipv4(payload=payload, **values))  # type: ignore[arg-type]


def test_an_error_quotes_its_packet() -> None:
    packet = answers.unreachable(original(), SERVER, Unreachable.PORT)
    assert packet is not None
    assert (packet.source, packet.destination, packet.protocol) == (SERVER, GUEST, Protocol.ICMP)
    message = icmp.parse(packet.payload)
    assert (message.type, message.code, message.payload) == (Type.DESTINATION_UNREACHABLE, 3, original())


def test_a_long_packet_is_quoted_within_576_octets_and_padding_is_not() -> None:
    packet = answers.unreachable(original(bytes(1400)), SERVER, Unreachable.HOST)
    assert packet is not None
    assert len(ipv4.emit(packet)) == 576
    packet = answers.time_exceeded(original() + bytes(40), GATEWAY, 0)
    assert packet is not None
    assert icmp.parse(packet.payload).payload == original()


def test_fragmentation_needed_tells_the_mtu() -> None:
    packet = answers.unreachable(original(), GATEWAY, Unreachable.FRAGMENTATION_NEEDED, mtu=1400)
    assert packet is not None
    assert icmp.parse(packet.payload).mtu == 1400


@pytest.mark.parametrize(
    "packet",
    [
        original(icmp.emit(icmp.unreachable(3, original())), protocol=1),
        original(icmp.emit(icmp.Icmp(200, 0, 0, b"")), protocol=1),
        original(b"", protocol=1),
        original(destination=ip4("255.255.255.255")),
        original(destination=ip4("224.0.0.251")),
        original(destination=ip4("192.168.65.255")),
        original(fragment_offset=80),
        original(source=ip4("0.0.0.0")),
        original(source=ip4("127.0.0.1")),
        original(source=ip4("239.1.1.1")),
        original(source=ip4("255.255.255.255")),
    ],
)
def test_where_no_error_is_sent(packet: bytes) -> None:
    broadcasts = {ip4("192.168.65.255")}
    assert answers.unreachable(packet, GATEWAY, Unreachable.HOST, broadcasts=broadcasts) is None


def test_no_error_about_a_link_broadcast_but_one_about_an_echo_and_a_first_fragment() -> None:
    assert answers.unreachable(original(), GATEWAY, Unreachable.HOST, link_group=True) is None
    echo = original(icmp.emit(icmp.echo_request(1, 1)), protocol=1)
    assert answers.unreachable(echo, GATEWAY, Unreachable.HOST) is not None
    assert answers.time_exceeded(original(bytes(80), more_fragments=True), GATEWAY, 1) is not None


def test_an_echo_reply_returns_everything() -> None:
    request = icmp.echo_request(77, 5, b"0123456789" * 20)
    packet = Ipv4(GUEST, SERVER, 1, icmp.emit(request), tos=0x10)
    reply = answers.echo_reply(packet, request)
    assert (reply.source, reply.destination, reply.tos) == (SERVER, GUEST, 0x10)
    assert icmp.parse(reply.payload) == icmp.echo_reply(77, 5, b"0123456789" * 20)


def test_what_a_received_error_is_about() -> None:
    segment = tcp.emit(tcp.Segment(4000, 80, 123456, 0, Flags.SYN, 1), GUEST, SERVER)
    quote = original(segment, protocol=6)
    assert answers.quoted(icmp.unreachable(1, quote[:28])) == (GUEST, SERVER, 6, 4000, 80, 123456)
    assert answers.quoted(icmp.unreachable(3, original())) == (GUEST, SERVER, 17, 4000, 53, 0)
    echo = original(icmp.emit(icmp.echo_request(1, 1)), protocol=1)
    assert answers.quoted(icmp.time_exceeded(0, echo)) == (GUEST, SERVER, 1, 0, 0, 0)


@pytest.mark.parametrize(
    "message",
    [
        icmp.echo_request(1, 1, original()),
        icmp.unreachable(3, b""),
        icmp.unreachable(3, original()[:24]),
        icmp.unreachable(3, original(fragment_offset=80)),
    ],
)
def test_errors_that_tell_of_no_flow(message: icmp.Icmp) -> None:
    assert answers.quoted(message) is None


def test_an_error_reads_well_on_the_wire() -> None:
    packet = answers.unreachable(original(), GATEWAY, Unreachable.HOST)
    assert packet is not None
    line = frame.show(frame.decode_ip(ipv4.emit(packet)))
    assert line.startswith("IP 192.168.65.1 > 192.168.65.3: ICMP host unreachable, length 41, about: IP 192")
