"""TCP through the gateway: what each side does is what the other side sees."""

import errno
from collections.abc import Callable

import pytest

from guestnet.core.events import FlowClosed, FlowOpened, FlowRefused
from guestnet.core.time import MILLISECOND, MINUTE, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.tcpip.tcp.state import State
from guestnet.wire import icmp, tcp
from guestnet.wire.ipv4 import ip4
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import REFUSED, SERVER, Bench
from tests.simulation.gateway.floods import syn
from tests.support.fake_guest import GATEWAY, HOST, FakeGuest, Stream


def open_flow(bench: Bench, destination: bytes = SERVER, port: int = 80) -> tuple[Stream, int]:
    """A connection through the gateway, both sides up."""
    stream = bench.guest.connect(destination, port)
    bench.settle()
    connect = bench.take(commands.Connect)
    bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    assert stream.is_established
    return stream, connect.flow


# --- opening ---


def test_the_guest_is_not_answered_before_the_host_connected() -> None:
    bench = Bench()
    stream = bench.guest.connect(SERVER, 80)
    bench.settle()
    connect = bench.take(commands.Connect)
    assert (connect.address, connect.port) == (SERVER, 80)
    assert bench.guest.segments == []
    bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    assert stream.is_established
    (opened,) = bench.noted(FlowOpened)
    assert (opened.guest, opened.remote, opened.host) == (
        "192.168.65.3:40000",
        "203.0.113.10:80",
        "192.168.1.10:50000",
    )


def test_syns_that_come_again_while_connecting_make_no_second_connect() -> None:
    bench = Bench()
    bench.guest.connect(SERVER, 80)
    bench.settle()
    bench.take(commands.Connect)
    bench.advance(10 * SECOND)
    assert not bench.has(commands.Connect)


def test_the_host_address_leads_to_the_laptops_loopback() -> None:
    bench = Bench()
    bench.guest.connect(HOST, 8080)
    bench.settle()
    assert bench.take(commands.Connect).address == ip4("127.0.0.1")


def test_a_refused_connect_is_a_reset() -> None:
    bench = Bench()
    stream = bench.guest.connect(SERVER, 81)
    bench.settle()
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, REFUSED))
    assert stream.is_refused
    (refused,) = bench.noted(FlowRefused)
    assert (refused.error, refused.answer, refused.remote) == ("ECONNREFUSED", "rst", "203.0.113.10:81")
    assert len(bench.gateway.tcp) == 0


@pytest.mark.parametrize(
    ("number", "code", "answer"),
    [
        (errno.EHOSTUNREACH, icmp.Unreachable.HOST, "host-unreachable"),
        (errno.ENETUNREACH, icmp.Unreachable.NET, "net-unreachable"),
        (errno.EACCES, icmp.Unreachable.COMMUNICATION_PROHIBITED, "communication-prohibited"),
    ],
)
def test_an_unreachable_destination_is_told_by_icmp_that_quotes_the_syn(
    number: int, code: int, answer: str
) -> None:
    bench = Bench()
    stream = bench.guest.connect(SERVER, 80)
    bench.settle()
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, number))
    ((source, message),) = bench.guest.messages
    assert source == GATEWAY
    assert (message.type, message.code) == (icmp.Type.DESTINATION_UNREACHABLE, code)
    quoted = tcp.parse(message.payload[20:])
    assert (quoted.destination_port, quoted.seq, quoted.flags) == (80, 12345, Flags.SYN)
    assert bytes(message.payload[16:20]) == SERVER
    assert not stream.is_refused
    assert bench.noted(FlowRefused)[0].answer == answer


def test_a_late_error_is_told_too_and_again_for_a_syn_that_comes_again() -> None:
    bench = Bench()
    bench.guest.connect(SERVER, 80)
    bench.settle()
    connect = bench.take(commands.Connect)
    bench.advance(20 * SECOND)
    bench.tell(events.ConnectFailed(connect.flow, errno.EHOSTUNREACH))
    assert len(bench.guest.messages) == 1
    bench.advance(40 * SECOND)
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, errno.EHOSTUNREACH))
    assert len(bench.guest.messages) == 2


def test_a_host_that_times_out_is_silence_so_that_the_guest_times_out() -> None:
    bench = Bench()
    bench.guest.connect(SERVER, 80)
    bench.settle()
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, errno.ETIMEDOUT))
    assert bench.guest.messages == []
    assert bench.guest.segments == []
    (refused,) = bench.noted(FlowRefused)
    assert (refused.error, refused.answer) == ("ETIMEDOUT", "none")


def test_a_guest_that_gives_up_while_connecting_ends_the_hosts_connect() -> None:
    bench = Bench()
    stream = bench.guest.connect(SERVER, 80)
    bench.settle()
    connect = bench.take(commands.Connect)
    stream.connection.abort()
    reset = Segment(40000, 80, 12346, 0, Flags.RST, 0)
    bench.guest.send_segment(SERVER, reset)
    bench.settle()
    assert bench.take(commands.Reset).flow == connect.flow
    assert len(bench.gateway.tcp) == 0


def resets(bench: Bench, destination: bytes, flags: Flags = Flags.ACK) -> list[int]:
    """The sequence numbers of the RSTs that answer a segment of no connection."""
    bench.guest.segments.clear()
    bench.guest.send_segment(destination, Segment(4000, 80, 100, 200, flags, 1000, b"data"))
    bench.settle()
    return [segment.seq for segment in bench.guest.segments if segment.flags & Flags.RST]


def test_a_connection_that_is_older_than_the_stack_is_reset() -> None:
    bench = Bench()
    bench.tell()
    bench.advance(4 * SECOND)
    assert resets(bench, SERVER) == [200]


@pytest.mark.parametrize("flags", [Flags.ACK, Flags.FIN, Flags.FIN | Flags.ACK, Flags(0)])
def test_nobody_is_reset_in_the_name_of_a_host_that_was_never_heard(flags: Flags) -> None:
    """Else a scan by other segments than SYNs (nmap -sA, -sF, -sM, -sN) finds every dead host up."""
    bench = Bench()
    resets(bench, SERVER)
    bench.advance(5 * SECOND)
    assert resets(bench, SERVER, flags) == []


def test_a_segment_of_no_connection_to_who_lives_is_reset() -> None:
    bench = Bench()
    resets(bench, SERVER)
    bench.advance(5 * SECOND)
    assert resets(bench, HOST) == [200]
    bench.guest.connect(SERVER, 81)
    bench.settle()
    flow = bench.take(commands.Connect).flow
    assert resets(bench, SERVER) == []
    bench.tell(events.ConnectFailed(flow, REFUSED))
    assert resets(bench, SERVER) == [200]


def test_the_gateway_itself_refuses_connections() -> None:
    bench = Bench()
    stream = bench.guest.connect(GATEWAY, 80)
    bench.settle()
    assert stream.is_refused
    assert not bench.has(commands.Connect)


def test_an_address_of_the_subnet_that_is_nobody_is_not_answered() -> None:
    bench = Bench()
    bench.guest.send_segment(ip4("192.168.65.99"), Segment(4000, 80, 100, 0, Flags.SYN, 1000))
    bench.settle()
    assert bench.commands == []
    assert bench.guest.segments == []


# --- data ---


def test_data_goes_both_ways_intact() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    credit = bench.take(commands.Receive)
    up, down = bytes(range(256)) * 400, bytes(reversed(range(256))) * 400
    stream.send(up)
    bench.settle()
    assert bench.sent[flow] == up
    assert credit.credit >= len(down)
    bench.tell(events.DataReceived(flow, down))
    bench.advance(SECOND)
    assert bytes(stream.received) == down


def test_a_host_that_takes_nothing_closes_the_guests_window() -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_buffer=65536)))
    stream, flow = open_flow(bench)
    bench.takes = lambda count: 0
    stream.send(bytes(1_000_000))
    bench.advance(MINUTE)
    assert len(bench.sent[flow]) == 65536
    assert not stream.did(events.ConnectionLost)
    bench.takes = None
    bench.tell(events.Sent(flow, 65536))
    bench.advance(MINUTE)
    assert len(bench.sent[flow]) == 1_000_000


def test_a_guest_that_reads_nothing_ends_the_credit() -> None:
    limits = Limits(tcp_buffer=65536)
    bench = Bench(GatewayConfig(limits=limits), FakeGuest(receive_buffer=32768))
    stream, flow = open_flow(bench)
    stream.is_reading = False
    total = 0
    while bench.has(commands.Receive):
        credit = bench.take(commands.Receive).credit
        total += credit
        bench.tell(events.DataReceived(flow, bytes(credit)))
        bench.advance(SECOND)
    assert 32768 <= total <= 32768 + 65536
    stream.is_reading = True
    bench.advance(MINUTE)
    assert bench.take(commands.Receive).credit > 0
    assert len(stream.received) == total


def test_credit_never_exceeds_what_the_connection_can_hold() -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_buffer=65536)), FakeGuest(receive_buffer=8192))
    _, flow = open_flow(bench)
    credit = bench.take(commands.Receive).credit
    assert credit == 65536
    bench.tell(events.DataReceived(flow, bytes(10)))
    bench.tell(events.DataReceived(flow, bytes(credit - 10)))
    bench.advance(SECOND)
    assert bench.take(commands.Receive).credit <= 65536


def test_a_session_left_idle_for_two_hours_goes_on() -> None:
    """RFC 9293 3.8.4: nothing ends an idle connection, on neither side."""
    bench = Bench()
    stream, flow = open_flow(bench)
    stream.send(b"$ ")
    bench.settle()
    bench.advance(120 * MINUTE)
    assert not bench.has(commands.Close)
    assert not bench.has(commands.Reset)
    stream.send(b"ls")
    bench.tell(events.DataReceived(flow, b"files"))
    bench.advance(SECOND)
    assert bench.sent[flow] == b"$ ls"
    assert bytes(stream.received) == b"files"


# --- closing ---


def test_a_half_close_of_the_guest_reaches_the_host_and_the_answer_still_comes() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    stream.send(b"request", then_shut=True)
    bench.settle()
    assert bench.sent[flow] == b"request"
    assert bench.take(commands.ShutdownWrite).flow == flow
    bench.advance(5 * MINUTE)
    assert not bench.has(commands.Close)
    bench.tell(events.DataReceived(flow, b"answer"))
    bench.tell(events.EndOfStream(flow))
    bench.advance(SECOND)
    assert bytes(stream.received) == b"answer"
    assert stream.has_ended
    assert bench.take(commands.Close).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert (closed.up, closed.down, closed.reason) == (7, 6, "closed by both sides")


def test_a_half_close_of_the_host_reaches_the_guest_which_may_go_on_sending() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    bench.tell(events.EndOfStream(flow))
    assert stream.has_ended
    bench.advance(5 * MINUTE)
    stream.send(b"more", then_shut=True)
    bench.settle()
    assert bench.sent[flow] == b"more"
    assert bench.take(commands.ShutdownWrite).flow == flow
    assert bench.take(commands.Close).flow == flow
    bench.advance(MINUTE)
    assert len(bench.gateway.tcp) == 0
    assert bench.gateway.poll_at() is None or len(bench.noted(FlowClosed)) == 1


def test_a_flow_is_not_closed_before_the_host_took_everything() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    bench.tell(events.EndOfStream(flow))
    bench.takes = lambda count: 0
    stream.send(b"late", then_shut=True)
    bench.advance(MINUTE)
    assert not bench.has(commands.Close)
    bench.tell(events.Sent(flow, 4))
    assert bench.take(commands.Close).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert closed.up == 4


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ECONNRESET, "reset by the host"),
        (errno.ETIMEDOUT, "host: ETIMEDOUT"),
        (errno.EHOSTUNREACH, "host: EHOSTUNREACH"),
    ],
)
def test_a_connection_that_the_host_lost_is_a_reset_for_the_guest(number: int, reason: str) -> None:
    """To an open connection ICMP would only be a soft error (RFC 1122 4.2.3.9): it would wait on."""
    bench = Bench()
    stream, flow = open_flow(bench)
    bench.tell(events.ConnectionLost(flow, number))
    assert stream.is_refused
    assert bench.guest.messages == []
    assert len(bench.gateway.tcp) == 0
    (closed,) = bench.noted(FlowClosed)
    assert closed.reason == reason


def test_what_the_host_sent_before_its_reset_arrives_before_the_reset() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    bench.tell(events.DataReceived(flow, b"last words"), events.ConnectionLost(flow, errno.ECONNRESET))
    assert bytes(stream.received) == b"last words"
    assert stream.is_refused


def test_all_that_the_host_sent_before_its_reset_arrives_however_long_that_takes() -> None:
    """Far more than the first congestion window: it goes as the guest acknowledges, then the reset."""
    bench = Bench()
    stream, flow = open_flow(bench)
    sent = bytes(range(256)) * 400
    bench.tell(events.DataReceived(flow, sent), events.ConnectionLost(flow, errno.ECONNRESET))
    bench.advance(SECOND)
    assert bytes(stream.received) == sent
    assert stream.is_refused
    assert len(bench.gateway.tcp) == 0
    (closed,) = bench.noted(FlowClosed)
    assert closed.reason == "reset by the host"


def test_a_reset_of_the_guest_is_a_reset_for_the_host() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    stream.connection.abort()
    bench.settle()
    assert bench.take(commands.Reset).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert closed.reason == "reset by the guest"


def test_a_guest_that_vanished_is_given_up_and_the_host_reset() -> None:
    bench = Bench()
    _, flow = open_flow(bench)
    bench.guest.mac = bench.guest.mac.__class__(bytes(6))  # it hears nothing any more
    bench.tell(events.DataReceived(flow, b"anybody there?"))
    bench.advance(60 * MINUTE)
    assert bench.take(commands.Reset).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert closed.reason.startswith("gave up")


def test_events_about_a_flow_that_is_gone_are_ignored() -> None:
    bench = Bench()
    stream, flow = open_flow(bench)
    stream.connection.abort()
    bench.settle()
    bench.take(commands.Reset)
    bench.commands.clear()
    for event in (
        events.Connected(flow, "x"),
        events.ConnectFailed(flow, REFUSED),
        events.DataReceived(flow, b"x"),
        events.EndOfStream(flow),
        events.Sent(flow, 1),
        events.ConnectionLost(flow, REFUSED),
    ):
        bench.tell(event)
    assert bench.commands == []


def test_the_same_ports_may_be_used_again_after_a_close() -> None:
    bench = Bench()
    stream = bench.guest.connect(SERVER, 80, source_port=4000)
    bench.settle()
    flow = bench.take(commands.Connect).flow
    bench.tell(events.Connected(flow, "x"))
    bench.tell(events.EndOfStream(flow))
    stream.send(b"", then_shut=True)
    bench.settle()
    assert stream.connection.state in (State.CLOSED, State.TIME_WAIT)
    bench.advance(100 * MILLISECOND)
    again = Segment(4000, 80, 99_000_000, 0, Flags.SYN, 1000, mss=1460, timestamps=(2**30, 0))
    bench.guest.send_segment(SERVER, again)
    bench.settle()
    assert bench.take(commands.Connect).flow != flow


# --- bounds ---


def test_connects_in_flight_are_bounded_and_said() -> None:
    bench = Bench(GatewayConfig(limits=Limits(connecting=2)))
    for port in range(3):
        bench.guest.connect(SERVER, 1000 + port)
    bench.settle()
    (refused,) = bench.noted(FlowRefused)
    assert refused.answer == "none"
    assert "limits.connecting" in refused.error
    first = bench.take(commands.Connect)
    bench.tell(events.ConnectFailed(first.flow, REFUSED))
    bench.take(commands.Connect)
    bench.advance(2 * SECOND)
    assert bench.take(commands.Connect).port == 1002


def test_flows_are_bounded_and_said() -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_flows=2)))
    for _ in range(2):
        open_flow(bench)
    bench.guest.connect(SERVER, 99)
    bench.settle()
    assert not bench.has(commands.Connect)
    assert "no room: limits." in bench.noted(FlowRefused)[0].error


def test_a_flow_that_only_waits_for_time_makes_room() -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_flows=1)))
    stream, flow = open_flow(bench)
    bench.tell(events.EndOfStream(flow))
    stream.send(b"", then_shut=True)
    bench.settle()
    open_flow(bench)
    assert bench.noted(FlowRefused) == []


def half_closed_by_the_guest(stream: Stream, bench: Bench, flow: int) -> None:
    stream.send(b"", then_shut=True)
    bench.settle()


def half_closed_by_the_host(stream: Stream, bench: Bench, flow: int) -> None:
    bench.tell(events.EndOfStream(flow))


@pytest.mark.parametrize("half_close", [half_closed_by_the_guest, half_closed_by_the_host])
def test_an_idle_half_closed_flow_makes_room_after_four_minutes_and_both_ends_are_told(
    half_close: Callable[[Stream, Bench, int], None],
) -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_flows=3)))
    idle, idle_flow = open_flow(bench)
    used, used_flow = open_flow(bench)
    whole, _ = open_flow(bench)
    half_close(used, bench, used_flow)
    half_close(idle, bench, idle_flow)
    bench.advance(3 * MINUTE)
    if half_close is half_closed_by_the_guest:
        bench.tell(events.DataReceived(used_flow, b"still here"))
    else:
        used.send(b"still here")
        bench.settle()
    bench.advance(58 * SECOND)
    syn(bench, SERVER, 98)
    bench.settle()
    assert not bench.has(commands.Connect)
    bench.advance(3 * SECOND)
    syn(bench, SERVER, 99)
    bench.settle()
    assert bench.take(commands.Connect).port == 99
    assert bench.take(commands.Reset).flow == idle_flow
    assert idle.is_refused
    assert not used.is_refused
    assert not whole.is_refused
    assert "limits.tcp_flows is 3" in bench.noted(FlowClosed)[0].reason


def test_a_server_that_never_closes_does_not_use_up_the_guests_tcp() -> None:
    bench = Bench(GatewayConfig(limits=Limits(tcp_flows=200)))
    for _ in range(10):
        for _ in range(100):
            stream, _ = open_flow(bench)
            stream.send(b"", then_shut=True)
            bench.settle()
            bench.commands.clear()
        bench.advance(2 * MINUTE + SECOND)
    assert not bench.noted(FlowRefused)
    assert len(bench.gateway.tcp) == 200


def test_a_scan_of_a_thousand_closed_ports_leaves_nothing() -> None:
    bench = Bench(GatewayConfig(limits=Limits(connecting=1000)))
    bench.guest.ping(GATEWAY)
    bench.settle()
    for port in range(1, 1001):
        bench.guest.send_segment(SERVER, Segment(4000, port, 1, 0, Flags.SYN, 1000))
    bench.settle()
    for _ in range(1000):
        bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, REFUSED))
    assert len([segment for segment in bench.guest.segments if segment.flags & Flags.RST]) == 1000
    assert len(bench.gateway.tcp) == 0
    assert bench.gateway.tcp.poll_at() is None
