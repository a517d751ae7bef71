"""What the header of IP says besides addresses: DSCP both ways, and how far a host is."""

from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from guestnet.core.port import Frame
from guestnet.gateway import commands, events
from guestnet.wire import ethernet, ipv4, ipv6
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import Ipv4, ip4
from guestnet.wire.ipv6 import ip6
from tests.simulation.gateway.bench import Bench
from tests.support.fake_guest import GUEST6, HOST, HOST6, FakeGuest

EXPEDITED = 0xB8
CE = 3
GUEST4 = ip4("192.168.65.3")
OUTSIDE = {4: ip4("203.0.113.10"), 16: ip6("2001:db8::10")}
LAPTOP = {4: (HOST, ip4("127.0.0.1")), 16: (HOST6, ip6("::1"))}

both_versions = pytest.mark.parametrize("address", [GUEST4, GUEST6], ids=["ipv4", "ipv6"])


@dataclass
class MarkedGuest(FakeGuest):
    """Sends with ``tos``, and keeps the packets that came."""

    tos: int = 0
    packets: list[IpPacket] = field(default_factory=list)

    def send_packet(self, packet: IpPacket) -> None:
        if isinstance(packet, Ipv4):
            super().send_packet(replace(packet, tos=self.tos))
        else:
            super().send_packet(replace(packet, traffic_class=self.tos))

    def receive(self, frames: list[Frame], now: int) -> None:
        for frame in map(bytes, frames):
            if frame[12:14] == ethernet.EtherType.IPV4.to_bytes(2, "big"):
                self.packets.append(ipv4.parse(frame[ethernet.HEADER :]))
            elif frame[12:14] == ethernet.EtherType.IPV6.to_bytes(2, "big"):
                self.packets.append(ipv6.parse(frame[ethernet.HEADER :]))
        super().receive(frames, now)

    def got(self) -> tuple[int, int]:
        """TTL and TOS of what came last."""
        return self.packets[-1].ttl, self.packets[-1].tos


def marked(address: IpAddress, tos: int = 0) -> tuple[Bench, MarkedGuest]:
    guest = MarkedGuest(address=address, tos=tos)
    return Bench(guest=guest), guest


@both_versions
def test_a_datagram_and_its_answer_are_marked_as_they_were(address: IpAddress) -> None:
    bench, guest = marked(address, EXPEDITED | CE)
    server = OUTSIDE[len(address)]
    guest.send_datagram(server, 7, b"hi")
    bench.settle()
    sent = bench.take(commands.SendDatagram)
    assert (sent.tos, sent.ttl) == (EXPEDITED | CE, 63)
    bench.tell(events.DatagramReceived(sent.flow, server, 7, b"hi", 57, EXPEDITED | CE))
    assert guest.got() == (56, EXPEDITED | CE)


@both_versions
def test_a_ping_and_its_reply_are_marked_as_they_were(address: IpAddress) -> None:
    bench, guest = marked(address, EXPEDITED)
    server = OUTSIDE[len(address)]
    guest.ping(server)
    bench.settle()
    sent = bench.take(commands.SendEcho)
    assert sent.tos == EXPEDITED
    bench.tell(events.EchoReplied(sent.flow, server, 1, b"ping", 57, EXPEDITED))
    assert guest.got() == (56, EXPEDITED)


@both_versions
def test_what_the_laptop_itself_says_has_come_no_further(address: IpAddress) -> None:
    bench, guest = marked(address)
    name, loopback = LAPTOP[len(address)]
    guest.send_datagram(name, 7, b"hi")
    bench.settle()
    flow = bench.take(commands.SendDatagram).flow
    bench.tell(events.DatagramReceived(flow, loopback, 7, b"hi", 64))
    assert guest.got() == (64, 0)


@pytest.mark.parametrize(("outside", "inside"), [(1, 1), (2, 1), (255, 254), (0, 64)])
def test_what_has_reached_the_laptop_reaches_the_guest(outside: int, inside: int) -> None:
    bench, guest = marked(GUEST4)
    guest.send_datagram(OUTSIDE[4], 7, b"hi")
    bench.settle()
    flow = bench.take(commands.SendDatagram).flow
    bench.tell(events.DatagramReceived(flow, OUTSIDE[4], 7, b"hi", outside))
    assert guest.got() == (inside, 0)


@both_versions
def test_a_stream_is_marked_as_the_guest_marks_it_from_its_syn_on(address: IpAddress) -> None:
    bench, guest = marked(address, EXPEDITED)
    stream = guest.connect(OUTSIDE[len(address)], 22)
    bench.settle()
    connect = bench.take(commands.Connect)
    assert connect.tos == EXPEDITED
    bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    stream.send(b"as before")
    bench.settle()
    assert not bench.has(commands.Mark)
    for tos in (0x10, 0x10 | CE, 0x08):  # as ssh does once it knows what it is for
        guest.tos = tos
        stream.send(b"marked otherwise")
        bench.settle()
    marks = [command for command in bench.commands if isinstance(command, commands.Mark)]
    assert marks == [commands.Mark(connect.flow, 0x10), commands.Mark(connect.flow, 0x08)]
    assert bytes(bench.sent[connect.flow]) == b"as before" + 3 * b"marked otherwise"
