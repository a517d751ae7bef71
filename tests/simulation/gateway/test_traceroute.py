"""Traceroute by UDP, ICMP and TCP: the gateway is the first hop, the laptop's way is the rest."""

import errno

import pytest

from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.events import IcmpCause
from guestnet.wire import icmp, ipv4, tcp, udp
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY, HOST

ROUTER = ip4("192.168.1.1")
EXCEEDED = IcmpCause(icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL, ROUTER)


def probe(bench: Bench, protocol: int, ttl: int, *, to: bytes = SERVER) -> Ipv4:
    """One probe as Linux' traceroute makes it."""
    guest = bench.guest.address
    if protocol == Protocol.UDP:
        octets = udp.emit(udp.Datagram(40_000 + ttl, 33_433 + ttl, bytes(range(64, 96))), guest, to)
    elif protocol == Protocol.TCP:
        syn = Segment(40_000 + ttl, 80, 1000 * ttl, 0, Flags.SYN, 5840, mss=1460)
        octets = tcp.emit(syn, guest, to)
    else:
        octets = icmp.emit(icmp.echo_request(77, ttl, bytes(32)))
    packet = Ipv4(guest, to, protocol, octets, ttl=ttl, identification=ttl + 7)
    bench.guest.send_packet(packet)
    bench.settle()
    return packet


def fail(bench: Bench, protocol: int) -> int:
    """The laptop's router says time exceeded; the TTL that the host's socket was given."""
    if protocol == Protocol.UDP:
        sent = bench.take(commands.SendDatagram)
        bench.tell(
            events.DatagramFailed(sent.flow, sent.address, sent.port, errno.EHOSTUNREACH, b"", EXCEEDED)
        )
        return sent.ttl
    if protocol == Protocol.TCP:
        connect = bench.take(commands.Connect)
        bench.tell(events.ConnectFailed(connect.flow, errno.EHOSTUNREACH, EXCEEDED))
        return connect.ttl
    echo = bench.take(commands.SendEcho)
    bench.tell(
        events.EchoFailed(echo.flow, echo.address, echo.sequence, errno.EHOSTUNREACH, echo.payload, EXCEEDED)
    )
    return echo.ttl


@pytest.mark.parametrize("protocol", [Protocol.UDP, Protocol.ICMP, Protocol.TCP])
def test_the_gateway_is_the_first_hop_and_the_laptops_router_the_second(protocol: int) -> None:
    bench = Bench()
    first = probe(bench, protocol, 1)
    assert bench.commands == []
    second = probe(bench, protocol, 2)
    assert fail(bench, protocol) == 1
    hops = [(source, message.type, message.code) for source, message in bench.guest.messages]
    assert hops == [
        (GATEWAY, icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL),
        (ROUTER, icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL),
    ]
    for sent, (_, message) in zip((first, second), bench.guest.messages, strict=True):
        quoted = ipv4.parse(message.payload, verify=False)
        assert (quoted.source, quoted.destination, quoted.protocol) == (sent.source, SERVER, protocol)
        assert bytes(quoted.payload[:8]) == bytes(sent.payload[:8])


def test_the_probes_own_octets_are_quoted_though_the_host_saw_only_eight() -> None:
    """Tools such as dublin-traceroute know their probes by checksum and identification."""
    bench = Bench()
    sent = probe(bench, Protocol.UDP, 2)
    fail(bench, Protocol.UDP)
    (_, message) = bench.guest.messages[-1]
    assert bytes(message.payload) == ipv4.emit(sent)


def test_of_a_long_packet_as_much_is_quoted_as_fits_into_576_octets() -> None:
    bench = Bench()
    octets = udp.emit(udp.Datagram(5000, 7, bytes(1000)), bench.guest.address, SERVER)
    sent = Ipv4(bench.guest.address, SERVER, Protocol.UDP, octets, ttl=1)
    bench.guest.send_packet(sent)
    bench.settle()
    (_, message) = bench.guest.messages[-1]
    assert bytes(message.payload) == ipv4.emit(sent)[: 576 - 20 - 8]


def test_the_laptop_itself_is_one_hop_away() -> None:
    bench = Bench()
    probe(bench, Protocol.UDP, 1, to=HOST)
    probe(bench, Protocol.TCP, 1, to=HOST)
    assert bench.take(commands.SendDatagram).ttl == 1
    assert bench.take(commands.Connect).ttl == 1
    assert bench.guest.messages == []


def test_a_syn_with_another_ttl_is_another_probe() -> None:
    """As tcptraceroute sends them: the same ports, one hop more."""
    bench = Bench()
    for ttl in (2, 3):
        syn = Segment(4000, 80, 1, 0, Flags.SYN, 5840, mss=1460)
        bench.guest.send_segment(SERVER, syn, ttl=ttl)
        bench.settle()
    first, second = bench.take(commands.Connect), bench.take(commands.Connect)
    assert (first.ttl, second.ttl) == (1, 2)
    assert bench.take(commands.Reset).flow == first.flow
    bench.tell(events.ConnectFailed(first.flow, errno.EHOSTUNREACH, EXCEEDED))
    assert bench.guest.messages == []
    bench.tell(events.ConnectFailed(second.flow, errno.EHOSTUNREACH, EXCEEDED))
    assert len(bench.guest.messages) == 1
    bench.advance(SECOND)
    assert len(bench.gateway.tcp) == 0


def test_a_connect_that_a_router_refused_is_told_from_whom_it_came() -> None:
    bench = Bench()
    bench.guest.connect(SERVER, 80)
    bench.settle()
    cause = IcmpCause(icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.HOST, ROUTER)
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, errno.EHOSTUNREACH, cause))
    ((source, message),) = bench.guest.messages
    assert (source, message.code) == (ROUTER, icmp.Unreachable.HOST)
