"""Scans and floods: what is held is bounded, and what a bound turns away is said."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.core.events import FlowClosed, FlowRefused, FrameDropped, LimitReached
from guestnet.core.time import MINUTE, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import Limits
from guestnet.gateway.turned_away import SHOWN
from guestnet.wire import ethernet, icmp, ipv4, udp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import REFUSED, SERVER, Bench
from tests.simulation.gateway.floods import assert_connects_at_once, connects, dead, introduced, syn
from tests.support.fake_guest import GATEWAY

OTHER = Mac.parse("52:54:00:65:00:99")


def test_a_flood_to_a_live_host_gives_way_to_who_means_it() -> None:
    """Nobody acknowledges our SYN-ACKs: these flows are half-open."""
    bench = introduced(Limits(tcp_flows=16))
    for port in range(1, 17):
        syn(bench, SERVER, port)
    bench.settle()
    for connect in connects(bench):
        bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    bench.commands.clear()
    syn(bench, SERVER, 99)
    bench.settle()
    assert not bench.has(commands.Connect)
    bench.advance(SECOND)
    assert_connects_at_once(bench)
    assert "limits.tcp_flows is 16" in bench.noted(FlowClosed)[0].reason


def test_open_flows_never_give_way() -> None:
    bench = introduced(Limits(tcp_flows=2))
    streams = []
    for port in (1, 2):
        streams.append(bench.guest.connect(SERVER, port))
        bench.settle()
        bench.tell(events.Connected(bench.take(commands.Connect).flow, "192.168.1.10:50000"))
    bench.advance(60 * MINUTE)
    syn(bench, SERVER, 99)
    bench.settle()
    assert not bench.has(commands.Connect)
    assert not bench.has(commands.Reset)
    assert bench.noted(FlowRefused)[-1].error == "no room: limits.tcp_flows is 2"
    assert not any(stream.is_refused for stream in streams)


def test_a_connect_in_vain_gives_way_where_there_are_few_places() -> None:
    """As with few descriptors: the bound on connects alone is not met."""
    bench = introduced(Limits(tcp_flows=3, connecting=3))
    bench.guest.connect(SERVER, 22)
    bench.settle()
    bench.tell(events.Connected(bench.take(commands.Connect).flow, "192.168.1.10:50000"))
    for number in (1, 2):
        syn(bench, dead(number))
        bench.settle()
        bench.advance(SECOND // 10)
    syn(bench, SERVER, 99)
    bench.settle()
    assert len(connects(bench)) == 2
    bench.advance(SECOND)
    assert_connects_at_once(bench)
    assert [one.address for one in connects(bench)] == [dead(2), SERVER]


@pytest.mark.parametrize("answer", [REFUSED, errno.EHOSTUNREACH])
def test_a_scan_of_a_thousand_ports_gets_an_answer_for_each(answer: int) -> None:
    bench = introduced(Limits(connecting=1000))
    bench.guest.messages.clear()
    for port in range(1, 1001):
        syn(bench, SERVER, port)
    bench.settle()
    for connect in connects(bench):
        bench.tell(events.ConnectFailed(connect.flow, answer))
    if answer == REFUSED:
        answered = {one.source_port for one in bench.guest.segments if one.flags & Flags.RST}
    else:
        answered = {int.from_bytes(one.payload[22:24], "big") for _, one in bench.guest.messages}
    assert answered == set(range(1, 1001))
    assert len(bench.gateway.tcp) == 0
    assert bench.gateway.tcp.poll_at() is None


def test_a_laptop_without_descriptors_is_silence_and_the_next_syn_asks_again() -> None:
    bench = introduced(Limits())
    stream = bench.guest.connect(SERVER, 80)
    bench.settle()
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, errno.EMFILE))
    assert [type(event) for event in bench.noted(FlowRefused)] == [FlowRefused]
    assert not stream.is_refused
    bench.advance(2 * SECOND)
    assert bench.noted(LimitReached)[0].limit == "descriptors"
    bench.tell(events.Connected(bench.take(commands.Connect).flow, "192.168.1.10:50000"))
    assert stream.is_established


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),  # destination
            st.integers(1, 12),  # port
            st.sampled_from(["syn", "syn", "syn", "connected", "failed", "reset", "wait"]),
        ),
        max_size=60,
    )
)
@settings(deadline=None)
def test_no_connect_is_lost_or_left_whatever_is_asked(steps: list[tuple[int, int, str]]) -> None:
    """Each Connect ends in one Reset or in what the edge said: both always hold the same flows."""
    bench = introduced(Limits(connecting=4, tcp_flows=6))
    held: dict[int, commands.Connect] = {}
    connected: set[int] = set()
    for host, port, step in steps:
        if step == "syn":
            syn(bench, dead(host), port)
            bench.settle()
        elif step == "wait":
            bench.advance(2 * SECOND)
        elif step == "reset":
            rst = Segment(4000, port, 2, 0, Flags.RST, 0)
            bench.guest.send_segment(dead(host), rst)
            bench.settle()
        elif held:
            flow = list(held)[port % len(held)]
            if step == "connected" and flow not in connected:
                connected.add(flow)
                bench.tell(events.Connected(flow, "x"))
            elif step == "failed" and flow not in connected:
                del held[flow]
                bench.tell(events.ConnectFailed(flow, REFUSED))
        for command in bench.commands:
            if isinstance(command, commands.Connect):
                assert command.flow not in held
                held[command.flow] = command
            elif isinstance(command, commands.Reset):
                del held[command.flow]
        bench.commands.clear()
        assert len(held) == len(bench.gateway.tcp) <= 6
        assert len(held.keys() - connected) <= 4


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),  # the guest's port
            st.sampled_from([7, 53]),
            st.sampled_from(["send", "send", "send", "answer", "closed", "lost", "wait"]),
        ),
        max_size=60,
    )
)
@settings(deadline=None)
def test_no_udp_socket_is_lost_or_left_whatever_is_asked(steps: list[tuple[int, int, str]]) -> None:
    """Each OpenDatagram ends in one CloseDatagram or in DatagramLost, and in nothing when all is silent."""
    bench = introduced(Limits(udp_flows=4))
    held: set[int] = set()
    for source, port, step in steps:
        flow = min(held, default=0)
        if step == "send":
            bench.guest.send_datagram(SERVER, port, b"?", source_port=source)
            bench.settle()
        elif step == "wait":
            bench.advance(25 * SECOND)
        elif step == "answer":
            bench.tell(events.DatagramReceived(flow, SERVER, port, b"!"))
        elif step == "lost":
            held.discard(flow)
            bench.tell(events.DatagramLost(flow, errno.EMFILE))
        else:
            octets = udp.emit(udp.Datagram(port, source, b""), SERVER, bench.guest.address)
            about = ipv4.emit(Ipv4(SERVER, bench.guest.address, Protocol.UDP, octets))
            told = icmp.emit(icmp.unreachable(icmp.Unreachable.PORT, about))
            bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, Protocol.ICMP, told))
            bench.settle()
        follow(bench, held)
        assert len(held) == len(bench.gateway.udp) <= 4
    bench.advance(10 * MINUTE)
    follow(bench, held)
    assert held == set()


def follow(bench: Bench, held: set[int]) -> None:
    for command in bench.commands:
        if isinstance(command, commands.OpenDatagram):
            assert command.flow not in held
            held.add(command.flow)
        elif isinstance(command, commands.CloseDatagram):
            held.remove(command.flow)
        elif isinstance(command, commands.SendDatagram):
            assert command.flow in held
    bench.commands.clear()


def test_errors_of_one_kind_are_limited_and_do_not_starve_others() -> None:
    bench = introduced(Limits(icmp_errors=10, icmp_burst=20))
    bench.guest.messages.clear()
    for port in range(500):
        bench.guest.send_datagram(GATEWAY, 10_000 + port, b"anybody?")
    bench.settle()
    assert len(bench.guest.messages) == 20
    bench.guest.ping(SERVER, ttl=1)
    bench.settle()
    assert bench.guest.messages[-1][1].type == icmp.Type.TIME_EXCEEDED
    bench.advance(SECOND)
    (reached,) = bench.noted(LimitReached)
    assert (reached.limit, reached.bound, reached.count) == ("icmp_errors", 10, 480)
    bench.guest.messages.clear()
    for port in range(500):
        bench.guest.send_datagram(GATEWAY, 10_000 + port, b"anybody?")
    bench.settle()
    assert len(bench.guest.messages) == 10


def test_a_shell_loop_of_pings_never_meets_a_bound() -> None:
    """Each ping command has an identifier of its own, and no flow ends before it was idle for a while."""
    bench = introduced(Limits(echo_flows=4))
    bench.guest.messages.clear()
    steady = set()
    for number in range(20):
        for identifier in (1000, number):
            message = icmp.emit(icmp.echo_request(identifier, 1))
            bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, 1, message))
            bench.settle()
            sent = bench.take(commands.SendEcho)
            bench.tell(events.EchoReplied(sent.flow, SERVER, 1, b""))
            if identifier == 1000:
                steady.add(sent.flow)
        bench.advance(SECOND)
    assert bench.noted(FlowRefused) == []
    assert len(steady) == 1, "a ping that goes on all the time keeps its flow"
    assert len(bench.gateway.icmp) == 4
    assert [message.identifier for _, message in bench.guest.messages][1::2] == list(range(20))


def test_a_flood_of_syns_does_not_close_dns_over_tcp() -> None:
    bench = introduced(Limits())
    for port in range(200):
        syn(bench, GATEWAY, 53, source_port=port + 1)
    bench.settle()
    bench.advance(SECOND)
    stream = bench.guest.connect(GATEWAY, 53)
    bench.settle()
    assert stream.is_established
    assert bench.noted(LimitReached)[0].limit == "dns_streams"


def test_a_flood_of_malformed_frames_does_not_flood_the_journal() -> None:
    bench = introduced(Limits())
    bad = ethernet.header(bench.gateway.config.mac, bench.guest.mac, EtherType.IPV4) + bytes(20)
    bench.tell(events.FramesReceived([bad] * 3))
    bench.advance(2 * SECOND)
    assert len(bench.noted(FrameDropped)) == 3
    assert bench.noted(LimitReached) == []
    bench.tell(events.FramesReceived([bad] * 1000))
    bench.advance(2 * SECOND)
    assert len(bench.noted(FrameDropped)) == 3 + SHOWN
    (reached,) = bench.noted(LimitReached)
    assert (reached.limit, reached.bound, reached.count) == ("frames_dropped", SHOWN, 1000)


def send_beginnings(bench: Bench, count: int) -> None:
    """Each the first fragment of another datagram."""
    guest = bench.guest
    for number in range(count):
        guest.send_packet(
            Ipv4(guest.address, SERVER, Protocol.UDP, bytes(800), identification=number, more_fragments=True)
        )
    bench.settle()


def test_fragments_that_give_way_to_newer_ones_are_said() -> None:
    bench = introduced(Limits())
    send_beginnings(bench, 256 + 3)
    dropped = bench.noted(FrameDropped)
    assert [one.rule for one in dropped] == [
        "gave way to newer fragments: no more than 256 datagrams are kept"
    ] * 3
    assert dropped[2].frame == "IP 192.168.65.3 > 203.0.113.10 id 0x2"


def test_a_flood_of_fragments_does_not_flood_the_journal() -> None:
    bench = introduced(Limits())
    send_beginnings(bench, 1000)
    bench.advance(2 * SECOND)
    assert len(bench.noted(FrameDropped)) == SHOWN
    (reached,) = bench.noted(LimitReached)
    assert (reached.limit, reached.count) == ("frames_dropped", 1000 - 256)


def test_what_waits_for_a_guest_that_does_not_answer_is_bounded_and_what_gives_way_is_said() -> None:
    """It asked and went away: the answers wait for ARP, no more than 128 KiB of them."""
    bench = introduced(Limits())
    gone = ip4("192.168.65.9")
    octets = udp.emit(udp.Datagram(5000, 7, b"?"), gone, SERVER)
    link = ethernet.header(bench.gateway.config.mac, OTHER, EtherType.IPV4)
    bench.tell(events.FramesReceived([link + ipv4.emit(Ipv4(gone, SERVER, Protocol.UDP, octets))]))
    flow = bench.take(commands.OpenDatagram).flow
    for _ in range(4):
        bench.tell(events.DatagramReceived(flow, SERVER, 7, bytes(30_000)))
    assert bench.noted(FrameDropped) == []
    bench.tell(events.DatagramReceived(flow, SERVER, 7, bytes(30_000)))
    dropped = bench.noted(FrameDropped)
    assert {one.rule for one in dropped} == {"too much waits for an answer to ARP for 192.168.65.9"}
    assert "203.0.113.10" in dropped[0].frame
    assert len(dropped) * 1480 >= 150_000 - (128 << 10)
