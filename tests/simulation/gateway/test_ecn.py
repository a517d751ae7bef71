"""ECN (RFC 3168) through the gateway: the bits of the IP header belong to it, their meaning to TCP."""

from collections.abc import Sequence

from guestnet.core.port import Frame
from guestnet.gateway import commands, events
from guestnet.wire import ethernet, ipv4, tcp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import FakeGuest

ECT_0, CE = 2, 3
PORT = 50123


class Observer(FakeGuest):
    """Remembers the packets with TCP that it gets."""

    def receive(self, frames: Sequence[Frame], now: int) -> None:
        parsed = map(ethernet.parse, frames)
        packets = [ipv4.parse(frame.payload) for frame in parsed if frame.ethertype == EtherType.IPV4]
        self.__dict__.setdefault("packets", []).extend(one for one in packets if one.protocol == 6)
        super().receive(list(frames), now)

    def take_packets(self) -> list[tuple[int, Segment]]:
        """ECN codepoint and segment of each since the last call."""
        packets: list[Ipv4] = self.__dict__.pop("packets", [])
        return [(one.tos & CE, tcp.parse(one.payload)) for one in packets]


def tell(bench: Bench, segment: Segment, ecn: int = 0) -> None:
    source = bench.guest.address
    octets = tcp.emit(segment, source, SERVER)
    bench.guest.send_packet(Ipv4(source, SERVER, Protocol.TCP, octets, dont_fragment=True, tos=ecn))
    bench.settle()


def test_marks_are_heard_and_our_data_may_be_marked() -> None:
    guest = Observer()
    bench = Bench(guest=guest)
    tell(bench, Segment(PORT, 80, 100, 0, Flags.SYN | Flags.ECE | Flags.CWR, 65535, mss=1460))
    flow = bench.take(commands.Connect).flow
    bench.tell(events.Connected(flow, "192.168.1.10:50000"))
    [(codepoint, answer)] = guest.take_packets()
    assert (codepoint, answer.flags) == (0, Flags.SYN | Flags.ACK | Flags.ECE)
    ack = answer.seq + 1
    tell(bench, Segment(PORT, 80, 101, ack, Flags.ACK, 65535))
    guest.take_packets()

    tell(bench, Segment(PORT, 80, 101, ack, Flags.ACK, 65535, b"marked"), CE)
    [(codepoint, echo)] = guest.take_packets()
    assert (codepoint, echo.flags) == (0, Flags.ACK | Flags.ECE)

    bench.tell(events.DataReceived(flow, bytes(14_000)))
    sent = guest.take_packets()
    assert len(sent) >= 9
    assert {codepoint for codepoint, _ in sent} == {ECT_0}


def test_who_does_not_ask_for_it_gets_none() -> None:
    guest = Observer()
    bench = Bench(guest=guest)
    bench.guest.connect(SERVER, 80)
    bench.settle()
    flow = bench.take(commands.Connect).flow
    bench.tell(events.Connected(flow, "192.168.1.10:50000"))
    bench.tell(events.DataReceived(flow, bytes(14_000)))
    sent = guest.take_packets()
    assert len(sent) >= 9
    assert {codepoint for codepoint, _ in sent} == {0}
    assert not any(segment.flags & Flags.ECE for _, segment in sent)
