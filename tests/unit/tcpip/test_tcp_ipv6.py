"""What is different for TCP over IPv6: sizes, checksums, and what a router has to say."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.frames.train import Train
from guestnet.tcpip.tcp import Config, Endpoint
from guestnet.tcpip.tcp.coalesce import coalesce, merge
from guestnet.wire import ethernet, ipv6, tcp
from guestnet.wire.checksum import pseudo_sum
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv6 import Extension, Ipv6, NextHeader, ip6
from guestnet.wire.tcp import Flags, Segment
from tests.support.runs import run_of
from tests.unit.tcpip.drill import ISS, PLAIN, Drill

GUEST = Endpoint(ip6("fd65:6775:6573:7400::3"), 40000)
SERVER = Endpoint(ip6("2001:db8::1"), 80)
SIZE = 1428
HEAD = bytes(12) + EtherType.IPV6.to_bytes(2, "big")


def drill(config: Config = PLAIN) -> Drill:
    return Drill(config, guest=GUEST, server=SERVER)


def test_the_segment_size_is_less_by_the_larger_header() -> None:
    guest = drill().listen(mss=9000)
    guest.connection.accept(guest.now)
    [syn_ack] = guest.out()
    assert syn_ack.mss == 1440
    assert guest.connection.sender.mss == 1440
    assert Config(mtu=65520).mss(40) % 4096 == 12


def test_a_peer_that_tells_no_size_takes_what_every_link_does() -> None:
    guest = drill().listen(mss=None)
    assert guest.connection.sender.mss == 1220


def test_data_goes_both_ways_with_good_checksums() -> None:
    guest = drill(Config()).established(sack_permitted=True, timestamps=(1, 0), window_scale=3)
    guest.inject("P.", 1, 1, b"hello", timestamps=(2, 1))
    assert guest.read_all() == b"hello"
    guest.connection.write(bytes(20_000))
    octets = b"".join(bytes(segment.payload) for segment in guest.out())
    assert len(octets) == 9880  # ten segments, the initial window


@pytest.mark.parametrize(("mtu", "size"), [(1300, 1240), (1280, 1220)])
def test_a_router_may_make_segments_smaller(mtu: int, size: int) -> None:
    guest = drill().established(mss=1440)
    guest.connection.write(bytes(1440))
    guest.out()
    assert guest.connection.on_packet_too_big(mtu, (ISS + 1) & 0xFFFFFFFF, guest.now)
    assert [len(segment.payload) for segment in guest.out()] == [size, 1440 - size]


@pytest.mark.parametrize("mtu", [0, 68, 1279])
def test_no_router_makes_them_smaller_than_the_least_mtu_allows(mtu: int) -> None:
    guest = drill().established(mss=1440)
    guest.connection.write(bytes(1440))
    guest.out()
    guest.connection.on_packet_too_big(mtu, (ISS + 1) & 0xFFFFFFFF, guest.now)
    assert guest.connection.sender.mss == 1440


# --- many segments as one ---


def segment(number: int) -> Segment:
    flags = Flags.ACK | Flags.PSH if number % 5 == 4 else Flags.ACK
    return Segment(
        40000, 80, 0xFFFFF000 + number * SIZE & 0xFFFFFFFF, 7, flags, 500, bytes([number]) * SIZE,
        timestamps=(1_000 + number // 3, 2_000 + number // 4),
    )  # fmt: skip


def frame(
    one: Segment, extensions: tuple[Extension, ...] = (), traffic_class: int = 0, flow_label: int = 9
) -> bytes:
    packet = Ipv6(
        GUEST.address, SERVER.address, 6, tcp.emit(one, GUEST.address, SERVER.address),
        traffic_class=traffic_class, flow_label=flow_label, extensions=extensions,
    )  # fmt: skip
    return HEAD + ipv6.emit(packet)


def frames(count: int) -> list[bytes]:
    return [frame(segment(number)) for number in range(count)]


def test_a_run_becomes_one_segment() -> None:
    merged = coalesce(run_of(frames(10)), ethernet.HEADER)
    assert merged is not None
    packet, one = merged
    first = ipv6.parse(frames(1)[0][14:])
    assert (packet.source, packet.destination, packet.ttl) == (first.source, first.destination, 64)
    assert isinstance(packet, Ipv6)
    assert packet.flow_label == 9
    assert (one.seq, one.timestamps) == (segment(0).seq, segment(0).timestamps)
    assert bytes(one.payload) == b"".join(bytes([number]) * SIZE for number in range(10))


@given(st.data(), st.integers(2, 6))
def test_a_damaged_run_is_never_taken_for_whole(data: st.DataObject, count: int) -> None:
    row = data.draw(st.integers(0, count - 1))
    at = data.draw(st.integers(14, 14 + 71) | st.integers(14, 13 + 72 + SIZE))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = frames(count)
    octets = bytearray(damaged[row])
    octets[at] ^= bit
    damaged[row] = bytes(octets)
    merged = coalesce(run_of(damaged), ethernet.HEADER)
    if merged is not None:
        # Only what no checksum covers may be changed: the first frame's traffic class or hop limit.
        assert (at in (14, 15, 21), row) == (True, 0) or count == 1
        with_whom = tcp.parse(ipv6.parse(damaged[0][14:]).payload, GUEST.address, SERVER.address)
        assert with_whom.payload == bytes(SIZE)


Change = Callable[[list[bytes]], None]


def _swap(all_of_them: list[bytes]) -> None:
    all_of_them[1], all_of_them[2] = all_of_them[2], all_of_them[1]


def _mark(all_of_them: list[bytes]) -> None:
    all_of_them[1] = frame(segment(1), traffic_class=3)


def _label(all_of_them: list[bytes]) -> None:
    all_of_them[1] = frame(segment(1), flow_label=8)


def _extend(all_of_them: list[bytes]) -> None:
    options = Extension(NextHeader.DESTINATION_OPTIONS, b"\1\4" + bytes(4))
    all_of_them[:] = [frame(segment(number), (options,)) for number in range(len(all_of_them))]


@pytest.mark.parametrize("change", [_swap, _mark, _label, _extend])
def test_what_is_not_plain_bulk_is_left_to_the_plain_way(change: Change) -> None:
    some = frames(4)
    change(some)
    assert coalesce(run_of(some), ethernet.HEADER) is None


def train(count: int) -> Train:
    def below(length: int) -> bytes:
        packet = Ipv6(GUEST.address, SERVER.address, 6, b"", flow_label=9)
        return HEAD + ipv6.header(packet, length)

    payload = b"".join(bytes([number]) * SIZE for number in range(count))
    pseudo = pseudo_sum(GUEST.address, SERVER.address, 6, 0)
    header = tcp.emit(
        Segment(40000, 80, 1, 7, Flags.ACK, 500, timestamps=(1, 2)), GUEST.address, SERVER.address
    )
    return Train(header, memoryview(payload), SIZE, pseudo, last_flags=Flags.PSH, below=below)


def test_a_train_is_the_segments_that_it_stands_for() -> None:
    whole = train(9)
    seq = 1
    for octets in whole:
        packet = ipv6.parse(bytes(octets)[14:])
        one = tcp.parse(packet.payload, packet.source, packet.destination)
        assert (one.seq, len(one.payload)) == (seq, SIZE)
        seq += SIZE
    merged = merge(whole)
    assert merged is not None
    assert (merged[0].source, merged[0].destination) == (GUEST.address, SERVER.address)
    assert (merged[1].seq, merged[1].payload) == (1, whole.payload)


def test_a_large_frame_of_a_train_has_a_length_that_ip_can_tell() -> None:
    for head, payload in train(60).large(summed=True):
        packet = ipv6.parse(bytes(head[14:]) + bytes(payload))
        assert tcp.parse(packet.payload, GUEST.address, SERVER.address).payload == payload


def test_a_wrong_checksum_is_noticed() -> None:
    octets = bytearray(tcp.emit(segment(0), GUEST.address, SERVER.address))
    octets[-1] ^= 1
    with pytest.raises(WireError, match="tcp checksum"):
        tcp.parse(octets, GUEST.address, SERVER.address)
