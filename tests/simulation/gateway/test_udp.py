"""UDP through the gateway."""

import errno

import pytest

from guestnet.core.address import Mac
from guestnet.core.events import FlowClosed, FlowOpened, FlowRefused
from guestnet.core.time import MILLISECOND, MINUTE, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.gateway.events import IcmpCause
from guestnet.wire import icmp, udp
from guestnet.wire.dns import PORT as DNS_PORT
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from tests.simulation.gateway.bench import SERVER, START, Bench
from tests.support.fake_guest import GATEWAY, HOST, FakeGuest

OTHER = ip4("203.0.113.20")
ROUTER = ip4("192.168.1.1")


def send(
    bench: Bench, destination: bytes = SERVER, port: int = 7, payload: bytes = b"hi", **options: int
) -> None:
    bench.guest.send_datagram(destination, port, payload, **options)
    bench.settle()


def test_a_datagram_opens_a_socket_on_the_guests_port_and_goes_out() -> None:
    bench = Bench()
    send(bench)
    opened = bench.take(commands.OpenDatagram)
    sent = bench.take(commands.SendDatagram)
    assert opened.port == 5000
    assert (sent.flow, sent.address, sent.port, bytes(sent.payload)) == (opened.flow, SERVER, 7, b"hi")
    bench.tell(events.DatagramOpened(opened.flow, "0.0.0.0:5000"))
    (noted,) = bench.noted(FlowOpened)
    assert (noted.transport, noted.guest, noted.remote) == ("udp", "192.168.65.3:5000", "203.0.113.10:7")


def test_one_guest_port_is_one_socket_whoever_it_talks_to() -> None:
    bench = Bench()
    send(bench, SERVER)
    send(bench, OTHER, 9)
    assert bench.take(commands.SendDatagram).flow == bench.take(commands.SendDatagram).flow
    bench.take(commands.OpenDatagram)
    assert not bench.has(commands.OpenDatagram)


def test_anybody_may_answer_and_is_seen_as_who_it_is() -> None:
    bench = Bench()
    send(bench)
    flow = bench.take(commands.OpenDatagram).flow
    bench.tell(events.DatagramReceived(flow, OTHER, 99, b"psst"))
    ((source, datagram),) = bench.guest.datagrams
    assert (source, datagram.source_port, datagram.destination_port) == (OTHER, 99, 5000)
    assert bytes(datagram.payload) == b"psst"


def test_the_laptops_loopback_answers_as_the_host_address() -> None:
    bench = Bench()
    send(bench, HOST)
    assert bench.take(commands.SendDatagram).address == ip4("127.0.0.1")
    bench.tell(events.DatagramReceived(bench.take(commands.OpenDatagram).flow, ip4("127.0.0.1"), 7, b"hi"))
    assert bench.guest.datagrams[0][0] == HOST


def test_a_large_answer_comes_in_fragments_and_a_large_question_is_reassembled() -> None:
    bench = Bench()
    payload = bytes(range(256)) * 30
    send(bench, payload=payload)
    assert bytes(bench.take(commands.SendDatagram).payload) == payload
    bench.tell(events.DatagramReceived(bench.take(commands.OpenDatagram).flow, SERVER, 7, payload))
    assert bytes(bench.guest.datagrams[0][1].payload) == payload


@pytest.mark.parametrize("mtu", [576, 1500])
def test_the_largest_answer_comes_whole_though_the_guests_address_is_not_known_yet(mtu: int) -> None:
    """All fragments wait for ARP, more than a hundred at the least MTU."""
    guest = FakeGuest(mtu=mtu)
    bench = Bench(GatewayConfig(mtu=mtu), guest)
    guest._neighbours.learn(GATEWAY, bench.gateway.config.mac, START)
    send(bench)
    assert guest.arps == []
    payload = bytes(range(256)) * 255 + bytes(227)
    assert len(payload) == 65507
    bench.tell(events.DatagramReceived(bench.take(commands.OpenDatagram).flow, SERVER, 7, payload))
    assert len(guest.arps) == 1
    assert bytes(guest.datagrams[0][1].payload) == payload


def test_a_datagram_too_large_for_the_laptops_way_tells_its_mtu() -> None:
    """RFC 1191: the guest asked for DF, the laptop's uplink takes less than the guest's."""
    bench = Bench()
    source = bench.guest.address
    octets = udp.emit(udp.Datagram(5000, 7, bytes(1400)), source, SERVER)
    bench.guest.send_packet(Ipv4(source, SERVER, Protocol.UDP, octets, dont_fragment=True))
    bench.settle()
    sent = bench.take(commands.SendDatagram)
    assert sent.dont_fragment
    bench.tell(events.DatagramFailed(sent.flow, SERVER, 7, errno.EMSGSIZE, sent.payload, mtu=1280))
    ((origin, message),) = bench.guest.messages
    assert (origin, message.type, message.code) == (GATEWAY, 3, icmp.Unreachable.FRAGMENTATION_NEEDED)
    assert message.mtu == 1280
    send(bench, payload=bytes(1400))
    assert not bench.take(commands.SendDatagram).dont_fragment


def test_a_router_counts_the_ttl_down_and_says_when_it_is_over() -> None:
    bench = Bench()
    send(bench, ttl=7)
    assert bench.take(commands.SendDatagram).ttl == 6
    send(bench, ttl=1)
    assert not bench.has(commands.SendDatagram)
    ((source, message),) = bench.guest.messages
    assert (source, message.type, message.code) == (GATEWAY, icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL)


def test_an_icmp_error_reaches_the_guest_from_whom_it_came() -> None:
    bench = Bench()
    send(bench, port=33434)
    flow = bench.take(commands.OpenDatagram).flow
    cause = IcmpCause(icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL, ROUTER)
    bench.tell(events.DatagramFailed(flow, SERVER, 33434, errno.EHOSTUNREACH, b"hi", cause))
    ((source, message),) = bench.guest.messages
    assert (source, message.type) == (ROUTER, icmp.Type.TIME_EXCEEDED)
    assert bytes(message.payload[16:20]) == SERVER
    assert (int.from_bytes(message.payload[20:22], "big"), int.from_bytes(message.payload[22:24], "big")) == (
        5000,
        33434,
    )
    assert bench.noted(FlowRefused)[0].answer == "time-exceeded"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENETUNREACH, icmp.Unreachable.NET),
        (errno.EHOSTUNREACH, icmp.Unreachable.HOST),
        (errno.EPERM, icmp.Unreachable.COMMUNICATION_PROHIBITED),
    ],
)
def test_what_the_hosts_kernel_refuses_is_told_by_the_gateway(number: int, code: int) -> None:
    bench = Bench()
    send(bench)
    flow = bench.take(commands.OpenDatagram).flow
    bench.tell(events.DatagramFailed(flow, SERVER, 7, number, b"hi"))
    ((source, message),) = bench.guest.messages
    assert (source, message.code) == (GATEWAY, code)


def test_the_gateway_has_no_other_udp_ports() -> None:
    bench = Bench()
    send(bench, GATEWAY, 9999)
    ((_, message),) = bench.guest.messages
    assert message.code == icmp.Unreachable.PORT
    assert bench.commands == []


@pytest.mark.parametrize(
    "destination", ["255.255.255.255", "192.168.65.255", "224.0.0.251", "127.0.0.1", "240.0.0.1"]
)
def test_what_no_router_forwards_is_not_forwarded(destination: str) -> None:
    bench = Bench()
    send(bench, ip4(destination))
    assert bench.commands == []
    assert bench.guest.messages == []


def test_an_idle_flow_is_closed_and_a_used_one_is_not() -> None:
    bench = Bench(GatewayConfig(limits=Limits(udp_idle=60 * SECOND)))
    send(bench, payload=b"12345")
    flow = bench.take(commands.OpenDatagram).flow
    bench.advance(50 * SECOND)
    bench.tell(events.DatagramReceived(flow, SERVER, 7, b"abc"))
    bench.advance(59 * SECOND)
    assert not bench.has(commands.CloseDatagram)
    bench.advance(2 * SECOND)
    assert bench.take(commands.CloseDatagram).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert (closed.up, closed.down, closed.reason) == (5, 3, "idle")
    assert len(bench.gateway.udp) == 0


def test_a_flow_that_asked_only_for_names_is_closed_soon() -> None:
    bench = Bench()
    send(bench, port=53, source_port=1)
    send(bench, port=53, source_port=2)
    send(bench, port=7, source_port=2)
    bench.advance(MINUTE)
    (closed,) = bench.noted(FlowClosed)
    assert closed.guest == "192.168.65.3:1"
    bench.advance(10 * MINUTE)
    assert [event.guest for event in bench.noted(FlowClosed)] == ["192.168.65.3:1", "192.168.65.3:2"]


def test_by_default_no_flow_ends_within_two_minutes_of_its_last_datagram() -> None:
    """RFC 4787 REQ-5."""
    bench = Bench()
    send(bench)
    bench.advance(2 * MINUTE)
    assert bench.noted(FlowClosed) == []


@pytest.mark.parametrize("refreshes", [True, False])
def test_what_comes_from_outside_keeps_a_flow_alive_by_choice(refreshes: bool) -> None:
    """RFC 4787 REQ-6: outbound always, inbound may."""
    bench = Bench(GatewayConfig(limits=Limits(udp_idle=60 * SECOND, udp_inbound_refresh=refreshes)))
    send(bench)
    flow = bench.take(commands.OpenDatagram).flow
    bench.advance(50 * SECOND)
    bench.tell(events.DatagramReceived(flow, OTHER, 7, b"still there?"))
    bench.advance(20 * SECOND)
    assert bench.has(commands.CloseDatagram) is not refreshes


def test_flows_are_bounded_and_an_idle_one_makes_room() -> None:
    bench = Bench(GatewayConfig(limits=Limits(udp_flows=2)))
    for port in (1, 2, 3):
        send(bench, source_port=port)
    assert "no room: limits." in bench.noted(FlowRefused)[0].error
    assert len(bench.gateway.udp) == 2
    bench.advance(30 * SECOND)
    send(bench, source_port=2)
    send(bench, source_port=3)
    (closed,) = bench.noted(FlowClosed)
    assert closed.guest == "192.168.65.3:1"
    assert len(bench.gateway.udp) == 2


@pytest.mark.parametrize("port", [7, DNS_PORT])
def test_four_thousand_source_ports_at_five_hundred_a_second_lose_none(port: int) -> None:
    """Half of them are answered: a resolver, one of whose servers is dead, or a scan."""
    bench = Bench()
    for number in range(4000):
        send(bench, source_port=10_000 + number, port=port)
        flow = bench.take(commands.OpenDatagram).flow
        bench.take(commands.SendDatagram)
        if number % 2:
            bench.tell(events.DatagramReceived(flow, SERVER, port, b"answer"))
        bench.advance(2 * MILLISECOND)
    assert len(bench.guest.datagrams) == 2000
    assert not bench.noted(FlowRefused)
    assert len(bench.gateway.udp) == Limits().udp_flows


def test_what_is_over_makes_room_at_once_and_a_conversation_is_kept() -> None:
    bench = Bench(GatewayConfig(limits=Limits(udp_flows=3)))
    for flow, port in ((1, 5060), (1, 5060), (2, 7), (3, DNS_PORT), (3, DNS_PORT)):
        send(bench, source_port=flow, port=port)
        bench.tell(events.DatagramReceived(flow, SERVER, port, b"answer"))
    for source_port in (4, 5):
        send(bench, source_port=source_port)
    assert [closed.guest for closed in bench.noted(FlowClosed)] == ["192.168.65.3:2", "192.168.65.3:3"]
    send(bench, source_port=6)
    assert len(bench.noted(FlowRefused)) == 1
    bench.advance(2 * SECOND)
    send(bench, source_port=6)
    assert [closed.guest for closed in bench.noted(FlowClosed)[2:]] == ["192.168.65.3:4"]


def test_a_question_that_waits_for_its_answer_keeps_its_place() -> None:
    bench = Bench(GatewayConfig(limits=Limits(udp_flows=2)))
    for flow in (1, 2):
        send(bench, source_port=flow, port=DNS_PORT)
        bench.tell(events.DatagramReceived(flow, SERVER, DNS_PORT, b"answer"))
    send(bench, source_port=1, port=DNS_PORT)
    send(bench, source_port=3, port=DNS_PORT)
    assert [closed.guest for closed in bench.noted(FlowClosed)] == ["192.168.65.3:2"]


def test_a_socket_that_cannot_be_opened_is_said_and_forgotten() -> None:
    bench = Bench()
    send(bench)
    bench.tell(events.DatagramLost(bench.take(commands.OpenDatagram).flow, errno.EMFILE))
    assert bench.noted(FlowRefused)[0].error == "EMFILE"
    assert len(bench.gateway.udp) == 0


def test_two_guests_with_the_same_port_are_two_flows() -> None:
    bench = Bench()
    send(bench)
    second = FakeGuest(mac=Mac.parse("52:54:00:65:00:02"), now=START)
    second.take_address(ip4("192.168.65.4"))
    second.send_datagram(SERVER, 7, b"hi")
    bench.guest = second
    bench.settle()
    assert bench.take(commands.OpenDatagram).flow != bench.take(commands.OpenDatagram).flow
