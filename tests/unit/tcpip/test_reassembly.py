"""Fragments in any order, malformed, overlapping, too many, too late."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.tcpip.reassembly import Config, Reassembler, fragment
from guestnet.wire import ipv4
from guestnet.wire.ipv4 import Ipv4, ip4

A, B = ip4("192.168.65.3"), ip4("10.0.0.1")
PAYLOAD = bytes(range(256)) * 20


def packet(payload: bytes = PAYLOAD, identification: int = 7, **fields: object) -> Ipv4:
    return msgspec.structs.replace(Ipv4(A, B, 17, payload, identification=identification), **fields)


def piece(start: int, end: int, *, more: bool = True, identification: int = 7) -> Ipv4:
    return packet(PAYLOAD[start:end], identification, fragment_offset=start, more_fragments=more)


@given(st.integers(0, 9000), st.integers(68, 2000), st.integers(0, 2**32))
def test_fragments_in_any_order_with_repetitions_make_the_packet(size: int, mtu: int, seed: int) -> None:
    whole = packet(random.Random(seed).randbytes(size))
    pieces = fragment(whole, mtu)
    assert all(len(ipv4.emit(part)) <= mtu for part in pieces)
    shuffled = pieces + pieces[::3] if len(pieces) > 1 else pieces
    random.Random(seed).shuffle(shuffled)
    reassembler = Reassembler[Ipv4]()
    results = []
    for part in shuffled:
        result = reassembler.on_packet(ipv4.parse(ipv4.emit(part)), 0)
        results += [] if result is None else [result]
    assert whole in results


def test_a_whole_packet_passes_as_it_is() -> None:
    reassembler = Reassembler[Ipv4]()
    whole = packet()
    assert reassembler.on_packet(whole, 0) is whole
    assert reassembler.poll_at() is None


def test_datagrams_are_kept_apart() -> None:
    reassembler = Reassembler[Ipv4]()
    assert reassembler.on_packet(piece(0, 800, identification=1), 0) is None
    assert reassembler.on_packet(piece(800, 900, more=False, identification=2), 0) is None
    done = reassembler.on_packet(piece(800, 900, more=False, identification=1), 0)
    assert done is not None
    assert done.payload == PAYLOAD[:900]
    assert reassembler.octets == 100


def test_a_fragment_of_a_fragment_can_be_cut_again() -> None:
    twice = [small for large in fragment(packet(), 1500) for small in fragment(large, 576)]
    reassembler = Reassembler[Ipv4]()
    results = [reassembler.on_packet(part, 0) for part in twice]
    assert results[:-1] == [None] * (len(twice) - 1)
    assert results[-1] == packet()


@pytest.mark.parametrize("second", [(792, 1600), (0, 808), (400, 408), (8, 16)])
def test_an_overlap_drops_the_whole_datagram(second: tuple[int, int]) -> None:
    reassembler = Reassembler[Ipv4]()
    reassembler.on_packet(piece(0, 800), 0)
    with pytest.raises(WireError, match="overlap"):
        reassembler.on_packet(piece(*second), 0)
    assert reassembler.octets == 0
    assert reassembler.on_packet(piece(0, 800), 0) is None
    assert reassembler.on_packet(piece(800, 900, more=False), 0) is None
    assert reassembler.on_timer(30 * SECOND) == []
    assert reassembler.poll_at() is None


def test_ends_that_contradict_each_other() -> None:
    reassembler = Reassembler[Ipv4]()
    reassembler.on_packet(piece(800, 900, more=False), 0)
    with pytest.raises(WireError, match="beyond the end"):
        reassembler.on_packet(piece(960, 1600), 0)
    reassembler = Reassembler[Ipv4]()
    reassembler.on_packet(piece(800, 1600), 0)
    with pytest.raises(WireError, match="contradicts"):
        reassembler.on_packet(piece(8, 100, more=False), 0)


def test_only_the_last_fragment_may_have_an_odd_length() -> None:
    with pytest.raises(WireError, match="no multiple of 8"):
        Reassembler[Ipv4]().on_packet(piece(0, 801), 0)
    with pytest.raises(WireError, match="no multiple of 8"):
        Reassembler[Ipv4]().on_packet(piece(0, 0), 0)


def test_what_stays_incomplete_is_given_up_and_its_first_fragment_returned() -> None:
    reassembler = Reassembler[Ipv4]()
    reassembler.on_packet(piece(0, 800, identification=1), 5 * SECOND)
    reassembler.on_packet(piece(800, 1600, identification=2), 6 * SECOND)
    assert reassembler.poll_at() == 35 * SECOND
    assert reassembler.on_timer(34 * SECOND) == []
    assert reassembler.on_timer(36 * SECOND) == [piece(0, 800, identification=1)]
    assert reassembler.poll_at() is None
    assert reassembler.octets == 0


def test_octets_datagrams_and_fragments_are_bounded() -> None:
    reassembler = Reassembler[Ipv4](Config(max_octets=10_000, max_datagrams=50, max_fragments=4))
    for identification in range(1000):
        reassembler.on_packet(piece(0, 800, identification=identification), 0)
        assert reassembler.octets <= 10_000
    done = reassembler.on_packet(piece(800, 900, more=False, identification=999), 0)
    assert done is not None
    reassembler = Reassembler[Ipv4](Config(max_fragments=4))
    for start in range(0, 32, 8):
        reassembler.on_packet(piece(start, start + 8), 0)
    with pytest.raises(WireError, match="more than 4 fragments"):
        reassembler.on_packet(piece(32, 40), 0)


def test_what_gives_way_to_newer_fragments_is_told_once() -> None:
    reassembler = Reassembler[Ipv4](Config(max_datagrams=2))
    for identification in range(4):
        reassembler.on_packet(piece(0, 800, identification=identification), 0)
    gone = reassembler.crowded_out()
    assert [(one.source, one.destination, one.identification) for one in gone] == [(A, B, 0), (A, B, 1)]
    assert {(one.limit, one.bound) for one in gone} == {("datagrams", 2)}
    assert reassembler.crowded_out() == []
    reassembler = Reassembler[Ipv4](Config(max_octets=2000))
    for identification in range(4):
        reassembler.on_packet(piece(0, 800, identification=identification), 0)
    gone = reassembler.crowded_out()
    assert [(one.identification, one.limit, one.bound) for one in gone] == [
        (0, "octets", 2000),
        (1, "octets", 2000),
    ]


def test_what_is_given_up_for_another_reason_gave_not_way() -> None:
    reassembler = Reassembler[Ipv4](Config(max_datagrams=1))
    reassembler.on_packet(piece(0, 800), 0)
    with pytest.raises(WireError, match="overlap"):
        reassembler.on_packet(piece(400, 1200), 0)
    reassembler.on_packet(piece(0, 800, identification=8), 0)
    reassembler.on_packet(piece(800, 900, more=False, identification=8), 0)
    reassembler.on_packet(piece(0, 800, identification=9), 0)
    reassembler.on_timer(60 * SECOND)
    assert reassembler.crowded_out() == []


def test_dont_fragment_is_honoured() -> None:
    with pytest.raises(ValueError, match="must not be fragmented"):
        fragment(packet(dont_fragment=True), 1500)
    with pytest.raises(ValueError, match="below"):
        fragment(packet(), 60)
    small = packet(b"x", dont_fragment=True)
    assert fragment(small, 1500) == [small]


def test_options_are_copied_as_they_ask() -> None:
    record_route, strict_route = b"\x07\x07\4\1\2\3\4", b"\x89\x07\4\1\2\3\4"
    first, *later = fragment(packet(options=b"\1" + record_route + strict_route + b"\0"), 1500)
    assert first.options == b"\1" + record_route + strict_route + b"\0"
    assert [part.options for part in later] == [strict_route] * len(later)
