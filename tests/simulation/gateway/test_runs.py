"""Bulk data in runs does just what the same frames do one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guestnet.core.port import Frame
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig
from guestnet.wire import ethernet, ip, ipv6, tcp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GUEST6, HOST, HOST6, FakeGuest
from tests.support.runs import run_of

SIZE = 1448
MAC = GatewayConfig().mac
SERVER6 = ipv6.ip6("2001:db8::10")

Change = Callable[[list[bytes], int], None]


class Upload:
    """A guest in the middle of an upload, and what the gateway makes of its segments."""

    def __init__(self, destination: bytes = SERVER) -> None:
        guest = FakeGuest()
        if len(destination) == 16:
            guest.take_address(GUEST6)
        self.bench = Bench(guest=guest)
        stream = self.bench.guest.connect(destination, 80)
        self.bench.settle()
        self.flow = self.bench.take(commands.Connect).flow
        self.bench.tell(events.Connected(self.flow, "192.168.1.10:50000"))
        self.destination = destination
        connection = stream.connection
        self.first = Segment(
            connection.local.port, 80, connection.sender.snd_nxt & 0xFFFFFFFF,
            connection.receiver.rcv_nxt & 0xFFFFFFFF, Flags.ACK, 500, bytes(SIZE),
            timestamps=(1_000, 2_000),
        )  # fmt: skip

    def frames(self, count: int) -> list[bytes]:
        return [self.frame(self.segment(number), number) for number in range(count)]

    def segment(self, number: int) -> Segment:
        return replace(
            self.first,
            seq=self.first.seq + number * SIZE & 0xFFFFFFFF,
            payload=bytes([number]) * SIZE,
            flags=Flags.ACK | Flags.PSH if number % 5 == 4 else Flags.ACK,
            timestamps=(1_000 + number // 3, 2_000 + number // 4),
        )

    def frame(self, segment: Segment, number: int = 0, *, ttl: int = 64, tos: int = 0) -> bytes:
        source = self.bench.guest.address
        octets = tcp.emit(segment, source, self.destination)
        packet: IpPacket
        if len(source) == 4:
            ethertype = EtherType.IPV4
            packet = Ipv4(
                source, self.destination, Protocol.TCP, octets, ttl, number, dont_fragment=True, tos=tos
            )
        else:
            ethertype = EtherType.IPV6
            packet = Ipv6(source, self.destination, Protocol.TCP, octets, ttl, tos, flow_label=77)
        return ethernet.header(MAC, self.bench.guest.mac, ethertype) + ip.emit(packet)

    def receive(self, frames: Sequence[Frame]) -> tuple[bytes, list[bytes], list[str]]:
        """Octets for the host, frames for the guest, the journal and changes of the socket's marks."""
        return self.handle([events.FramesReceived(frames)])

    def handle(self, happened: list[events.Event]) -> tuple[bytes, list[bytes], list[str]]:
        """As ``receive``, for any events."""
        out: list[bytes] = []
        journal: list[str] = []
        up = b""
        while happened:
            following: list[events.Event] = []
            for command in self.bench.gateway.handle(happened, self.bench.now):
                if isinstance(command, commands.SendFrames):
                    out += map(bytes, command.frames)
                elif isinstance(command, commands.Record):
                    journal.append(str(command.event))
                elif isinstance(command, commands.Mark):
                    journal.append(str(command))
                elif isinstance(command, commands.Send):
                    data = b"".join(command.data)
                    up += data
                    following.append(events.Sent(command.flow, len(data)))
            happened = following
        return up, out, journal


def assert_same(make: Callable[[Upload], list[bytes]], destination: bytes = SERVER) -> bytes:
    """The run and the frames of ``make`` have the same effect; the octets that went to the host."""
    one_by_one, together = Upload(destination), Upload(destination)
    expected = one_by_one.receive(make(one_by_one))
    assert together.receive(run_of(make(together))) == expected
    return expected[0]


def test_a_run_in_order_is_its_segments() -> None:
    for destination in (SERVER, HOST, SERVER6, HOST6):
        octets = assert_same(lambda upload: upload.frames(40), destination)
        assert octets == b"".join(bytes([number]) * SIZE for number in range(40))


@pytest.mark.parametrize("destination", [SERVER, SERVER6], ids=["ipv4", "ipv6"])
def test_a_run_that_is_marked_otherwise_marks_the_hosts_socket(destination: bytes) -> None:
    def make(upload: Upload) -> list[bytes]:
        return [upload.frame(upload.segment(number), number, tos=0x08) for number in range(10)]

    assert len(assert_same(make, destination)) == 10 * SIZE
    upload = Upload(destination)
    assert upload.receive(run_of(make(upload)))[2] == [str(commands.Mark(upload.flow, 0x08))]


@given(st.data(), st.integers(2, 12), st.sampled_from([SERVER, SERVER6]))
def test_a_damaged_run_is_its_segments(data: st.DataObject, count: int, destination: bytes) -> None:
    row = data.draw(st.integers(0, count - 1))
    headers = (20 if len(destination) == 4 else 40) + 32
    at = data.draw(st.integers(14, 13 + headers) | st.integers(14, 13 + headers + SIZE))
    bit = 1 << data.draw(st.integers(0, 7))

    def make(upload: Upload) -> list[bytes]:
        frames = upload.frames(count)
        damaged = bytearray(frames[row])
        damaged[at] ^= bit
        frames[row] = bytes(damaged)
        return frames

    assert_same(make, destination)


@given(st.data())
def test_a_run_of_other_segments_is_its_segments(data: st.DataObject) -> None:
    """Each with a good checksum: other windows, ACKs, flags, sequence numbers, timestamps, order."""
    count = data.draw(st.integers(2, 12))
    row = data.draw(st.integers(0, count - 1))
    changed: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"window": 499},
                {"ack": 77},
                {"flags": Flags.ACK | Flags.FIN},
                {"flags": Flags.ACK | Flags.RST},
                {"flags": Flags.SYN},
                {"flags": Flags.ACK | Flags.URG, "urgent": 5},
                {"flags": Flags(0)},
                {"seq": 4_000},
                {"timestamps": (1, 1)},
                {"destination_port": 81},
            ]
        )
    )
    order = data.draw(st.permutations(range(count)) | st.just(range(count)))

    def make(upload: Upload) -> list[bytes]:
        segments = [upload.segment(number) for number in range(count)]
        segments[row] = replace(segments[row], **changed)
        return [upload.frame(segments[number], number) for number in order]

    assert_same(make, data.draw(st.sampled_from([SERVER, SERVER6])))


def test_what_is_beyond_the_window_or_its_life_is_no_different() -> None:
    for server in (SERVER, SERVER6):
        assert_same(lambda upload: upload.frames(60), server)  # the first window is 64 KiB
        assert_same(lambda upload: [upload.frame(upload.segment(n), ttl=1) for n in range(9)], server)
        assert_same(lambda upload: [upload.frame(upload.segment(n + 1)) for n in range(9)], server)
        assert_same(lambda upload: [upload.frame(upload.segment(n % 3)) for n in range(9)], server)
