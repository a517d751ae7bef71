"""What guests say by ICMP about what they got from us."""

import pytest

from guestnet.core.events import FlowClosed
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.wire import icmp, ipv4, udp
from guestnet.wire.icmp import Unreachable
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Ip4, Ipv4, Protocol, ip4
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY, FakeGuest

OTHER = ip4("203.0.113.20")


def complain(bench: Bench, about: Ipv4, code: int, *, mtu: int = 0, to: Ip4 | None = None) -> None:
    """The guest sends destination unreachable, quoting what RFC 792 asks for: the header and 8 octets."""
    error = icmp.emit(icmp.unreachable(code, ipv4.emit(about)[:28], mtu=mtu))
    destination = about.source if to is None else to
    bench.guest.send_packet(Ipv4(bench.guest.address, destination, Protocol.ICMP, error))
    bench.settle()


# --- TCP: a smaller MTU on the guest's side ---


class NarrowGuest(FakeGuest):
    """Behind its interface is a narrower one: it loses what is larger, and remembers it."""

    narrow = 1500
    lost: Ipv4 | None = None

    def _packet(self, packet: IpPacket) -> None:
        if isinstance(packet, Ipv4) and ipv4.HEADER + len(packet.payload) > self.narrow:
            self.lost = packet
        else:
            super()._packet(packet)


def narrowed() -> tuple[Bench, NarrowGuest, Ipv4]:
    """A download whose first segments were too large for the guest, and one of them."""
    guest = NarrowGuest()
    bench = Bench(guest=guest)
    guest.connect(SERVER, 80)
    bench.settle()
    flow = bench.take(commands.Connect).flow
    bench.tell(events.Connected(flow, "192.168.1.10:50000"))
    guest.narrow = 1000
    guest.segments.clear()
    bench.tell(events.DataReceived(flow, bytes(4000)))
    assert guest.lost is not None
    assert sum(len(one.payload) for one in guest.segments) < 1448
    return bench, guest, guest.lost


def test_a_download_goes_on_in_smaller_segments_at_once() -> None:
    bench, guest, lost = narrowed()
    complain(bench, lost, Unreachable.FRAGMENTATION_NEEDED, mtu=1000)
    (stream,) = guest._streams.values()
    assert len(stream.received) == 4000
    assert max(len(one.payload) for one in guest.segments) == 1000 - 20 - 32


@pytest.mark.parametrize("lie", ["seq", "port", "remote", "sender"])
def test_a_message_that_quotes_nothing_in_flight_changes_nothing(lie: str) -> None:
    bench, guest, lost = narrowed()
    octets = bytearray(lost.payload)
    if lie == "port":
        octets[3] ^= 1
    elif lie == "seq":
        octets[5] ^= 0x10  # a mebibyte away
    source = OTHER if lie == "remote" else lost.source
    to = OTHER if lie == "sender" else lost.source
    about = Ipv4(source, lost.destination, Protocol.TCP, octets, dont_fragment=True)
    complain(bench, about, Unreachable.FRAGMENTATION_NEEDED, mtu=600, to=to)
    guest.narrow = 1500
    guest.segments.clear()
    bench.advance(SECOND)
    assert max(len(one.payload) for one in guest.segments) == 1448


def test_hard_errors_do_not_end_a_connection() -> None:
    """RFC 5927 5.2: they are soft, else anybody could end any connection."""
    bench, guest, lost = narrowed()
    complain(bench, lost, Unreachable.PORT)
    guest.narrow = 1500
    bench.advance(5 * SECOND)
    (stream,) = guest._streams.values()
    assert len(stream.received) == 4000
    assert not bench.has(commands.Reset)


# --- UDP ---


def answered(bench: Bench, source: Ip4 = SERVER, port: int = 7) -> tuple[int, Ipv4]:
    """The guest asked port 7 of the server; ``source`` answered. The flow, and the packet with the answer."""
    bench.guest.send_datagram(SERVER, 7, b"question")
    bench.settle()
    flow = bench.take(commands.OpenDatagram).flow
    bench.tell(events.DatagramReceived(flow, source, port, b"answer"))
    octets = udp.emit(udp.Datagram(port, 5000, b"answer"), source, bench.guest.address)
    return flow, Ipv4(source, bench.guest.address, Protocol.UDP, octets)


@pytest.mark.parametrize("code", [Unreachable.PORT, Unreachable.COMMUNICATION_PROHIBITED])
def test_a_guest_that_closed_its_port_ends_the_flow(code: int) -> None:
    bench = Bench()
    flow, answer = answered(bench)
    complain(bench, answer, code)
    assert bench.take(commands.CloseDatagram).flow == flow
    (closed,) = bench.noted(FlowClosed)
    assert closed.reason == "the guest closed its port"
    assert len(bench.gateway.udp) == 0


def test_a_connected_socket_that_wants_to_hear_only_one_keeps_its_flow() -> None:
    """Linux answers port unreachable for all that a connected socket does not take."""
    bench = Bench()
    _, answer = answered(bench, OTHER)
    complain(bench, answer, Unreachable.PORT)
    assert not bench.has(commands.CloseDatagram)
    assert len(bench.gateway.udp) == 1


@pytest.mark.parametrize("quote", [b"", b"\x45" + bytes(19), bytes(28)])
def test_an_error_that_quotes_no_packet_is_ignored(quote: bytes) -> None:
    bench = Bench()
    flow, _ = answered(bench)
    error = icmp.emit(icmp.unreachable(Unreachable.PORT, quote))
    bench.guest.send_packet(Ipv4(bench.guest.address, SERVER, Protocol.ICMP, error))
    bench.settle()
    bench.tell(events.DatagramReceived(flow, SERVER, 7, b"still there"))
    assert len(bench.guest.datagrams) == 2


def test_no_error_is_ever_answered_by_an_error() -> None:
    bench = Bench()
    bench.guest.ping(GATEWAY)
    bench.settle()
    bench.guest.messages.clear()
    octets = udp.emit(udp.Datagram(7, 5000, b""), SERVER, bench.guest.address)
    error = icmp.emit(
        icmp.time_exceeded(0, ipv4.emit(Ipv4(SERVER, bench.guest.address, Protocol.UDP, octets)))
    )
    for destination in (SERVER, GATEWAY):
        bench.guest.send_packet(Ipv4(bench.guest.address, destination, Protocol.ICMP, error, ttl=1))
    bench.settle()
    assert bench.guest.messages == []
