"""Pings through the gateway."""

import errno

import pytest

from guestnet.core.events import FlowClosed, FlowRefused
from guestnet.core.time import MINUTE
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.gateway.events import IcmpCause
from guestnet.tcpip.reassembly import fragment
from guestnet.wire import icmp
from guestnet.wire.ipv4 import Ipv4, ip4
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY

ROUTER = ip4("192.168.1.1")


def ping(bench: Bench, destination: bytes = SERVER, sequence: int = 1, **options: int) -> None:
    bench.guest.ping(destination, sequence, b"payload", **options)
    bench.settle()


def test_only_a_real_reply_is_a_reply() -> None:
    bench = Bench()
    ping(bench, sequence=3)
    sent = bench.take(commands.SendEcho)
    assert (sent.address, sent.sequence, bytes(sent.payload), sent.ttl) == (SERVER, 3, b"payload", 63)
    bench.advance(MINUTE)
    assert bench.guest.messages == []


def test_a_reply_carries_the_guests_identifier_and_the_hosts_address() -> None:
    bench = Bench()
    ping(bench, sequence=3)
    bench.tell(events.EchoReplied(bench.take(commands.SendEcho).flow, SERVER, 3, b"payload"))
    ((source, message),) = bench.guest.messages
    assert source == SERVER
    assert message == icmp.echo_reply(77, 3, b"payload")


@pytest.mark.parametrize("destination", [SERVER, GATEWAY])
def test_the_largest_ping_comes_back_whole(destination: bytes) -> None:
    bench = Bench()
    payload = bytes(range(256)) * 255 + bytes(227)
    message = icmp.emit(icmp.echo_request(77, 9, payload))
    whole = Ipv4(bench.guest.address, destination, 1, message, identification=3)
    for piece in fragment(whole, 1500):
        bench.guest.send_packet(piece)
    bench.settle()
    if destination == SERVER:
        sent = bench.take(commands.SendEcho)
        assert bytes(sent.payload) == payload
        bench.tell(events.EchoReplied(sent.flow, SERVER, 9, payload))
    ((source, reply),) = bench.guest.messages
    assert (source, reply) == (destination, icmp.echo_reply(77, 9, payload))


def test_a_ping_that_must_not_be_fragmented_is_not() -> None:
    bench = Bench()
    message = icmp.emit(icmp.echo_request(77, 1, bytes(1400)))
    bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, 1, message, dont_fragment=True))
    bench.settle()
    sent = bench.take(commands.SendEcho)
    assert sent.dont_fragment
    bench.tell(events.EchoFailed(sent.flow, SERVER, 1, errno.EMSGSIZE, sent.payload, mtu=1280))
    ((source, told),) = bench.guest.messages
    assert (source, told.code, told.mtu) == (GATEWAY, icmp.Unreachable.FRAGMENTATION_NEEDED, 1280)


def test_one_ping_command_is_one_flow_that_ends_when_idle() -> None:
    bench = Bench()
    for sequence in range(3):
        ping(bench, sequence=sequence)
    flows = {bench.take(commands.SendEcho).flow for _ in range(3)}
    assert len(flows) == 1
    bench.advance(MINUTE)
    assert bench.take(commands.CloseEcho).flow in flows
    assert bench.noted(FlowClosed)[0].reason == "idle"


def test_a_hop_on_the_way_says_time_exceeded() -> None:
    bench = Bench()
    ping(bench, ttl=2)
    sent = bench.take(commands.SendEcho)
    assert sent.ttl == 1
    cause = IcmpCause(icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL, ROUTER)
    bench.tell(events.EchoFailed(sent.flow, SERVER, 1, errno.EHOSTUNREACH, b"payload", cause))
    ((source, message),) = bench.guest.messages
    assert (source, message.type) == (ROUTER, icmp.Type.TIME_EXCEEDED)
    quoted = icmp.parse(message.payload[20:])
    assert (quoted.identifier, quoted.sequence) == (77, 1)


def test_the_first_hop_is_the_gateway() -> None:
    bench = Bench()
    ping(bench, ttl=1)
    ((source, message),) = bench.guest.messages
    assert (source, message.type) == (GATEWAY, icmp.Type.TIME_EXCEEDED)
    assert not bench.has(commands.SendEcho)


def test_without_ping_sockets_it_is_said_how_to_get_them() -> None:
    bench = Bench()
    ping(bench)
    bench.tell(events.EchoLost(bench.take(commands.SendEcho).flow, errno.EACCES))
    assert "ping_group_range" in bench.noted(FlowRefused)[0].error
    assert len(bench.gateway.icmp) == 0


def test_echo_flows_are_bounded() -> None:
    bench = Bench(GatewayConfig(limits=Limits(echo_flows=1)))
    ping(bench)
    message = icmp.emit(icmp.echo_request(78, 1))
    bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, 1, message))
    bench.settle()
    assert "no room: limits." in bench.noted(FlowRefused)[0].error


def test_an_unknown_protocol_is_unreachable() -> None:
    bench = Bench()
    bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, 132, b"sctp"))
    bench.settle()
    ((_, message),) = bench.guest.messages
    assert message.code == icmp.Unreachable.PROTOCOL
