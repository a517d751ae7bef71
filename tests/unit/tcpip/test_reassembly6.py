"""Fragments of IPv6: in any order, malformed, overlapping, atomic, too late."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.tcpip.icmpv6 import PacketProblem
from guestnet.tcpip.reassembly import Config, Reassembler, fragment6
from guestnet.wire import ipv6
from guestnet.wire.icmpv6 import ParameterProblem
from guestnet.wire.ipv6 import Extension, Fragment, Ipv6, NextHeader, ip6

A, B = ip6("fd65:6775:6573:7400::3"), ip6("2001:db8::1")
PAYLOAD = bytes(range(256)) * 20


def packet(payload: bytes = PAYLOAD) -> Ipv6:
    return Ipv6(A, B, 17, payload)


def piece(start: int, end: int, *, more: bool = True, identification: int = 7) -> Ipv6:
    return msgspec.structs.replace(
        packet(PAYLOAD[start:end]), extensions=(Fragment(start, more, identification),)
    )


@given(st.integers(1241, 9000), st.integers(1280, 2000), st.integers(0, 2**32 - 1))
def test_fragments_in_any_order_with_repetitions_make_the_packet(size: int, mtu: int, seed: int) -> None:
    whole = packet(random.Random(seed).randbytes(size))
    pieces = fragment6(whole, mtu, seed)
    assert all(len(ipv6.emit(part)) <= mtu for part in pieces)
    shuffled = pieces + pieces[::3] if len(pieces) > 1 else pieces
    random.Random(seed).shuffle(shuffled)
    reassembler = Reassembler[Ipv6]()
    results = []
    for part in shuffled:
        result = reassembler.on_packet(ipv6.parse(ipv6.emit(part)), 0)
        results += [] if result is None else [result]
    assert msgspec.structs.replace(whole, reassembled=len(pieces) > 1) in results


def test_an_atomic_fragment_is_whole_beside_others_of_its_identification() -> None:
    reassembler = Reassembler[Ipv6]()
    assert reassembler.on_packet(piece(0, 800), 0) is None
    atomic = piece(0, 80, more=False)
    assert reassembler.on_packet(atomic, 0) is atomic
    done = reassembler.on_packet(piece(800, 900, more=False), 0)
    assert done is not None
    assert done.payload == PAYLOAD[:900]


def test_extension_headers_before_and_in_the_fragments_are_kept() -> None:
    before = Extension(NextHeader.HOP_BY_HOP, bytes(6))
    inside = Extension(NextHeader.DESTINATION_OPTIONS, bytes(6))
    whole = msgspec.structs.replace(packet(), extensions=(before, inside))
    rest = ipv6.emit(whole)[ipv6.HEADER + len(before) :]
    cuts = [(0, 800), (800, 2400), (2400, len(rest))]
    reassembler = Reassembler[Ipv6]()
    result = None
    for start, end in cuts:
        part = Ipv6(
            A, B, NextHeader.DESTINATION_OPTIONS, rest[start:end],
            extensions=(before, Fragment(start, end < len(rest), 7)),
        )  # fmt: skip
        result = reassembler.on_packet(ipv6.parse(ipv6.emit(part)), 0)
    assert result == msgspec.structs.replace(whole, reassembled=True)
    assert not result.dont_fragment


def test_an_overlap_poisons_the_datagram() -> None:
    reassembler = Reassembler[Ipv6]()
    reassembler.on_packet(piece(0, 800), 0)
    with pytest.raises(WireError, match="overlap"):
        reassembler.on_packet(piece(792, 1600), 0)
    assert reassembler.on_packet(piece(800, 900, more=False), 0) is None
    assert reassembler.octets == 0


def test_a_ragged_piece_is_told_to_its_sender() -> None:
    with pytest.raises(PacketProblem, match="no multiple of 8") as caught:
        Reassembler[Ipv6]().on_packet(piece(0, 801), 0)
    assert (caught.value.code, caught.value.pointer) == (ParameterProblem.FIELD, 4)


def test_a_piece_beyond_the_largest_packet_is_told_to_its_sender() -> None:
    late = msgspec.structs.replace(packet(bytes(16)), extensions=(Fragment(65528, False, 7),))
    with pytest.raises(PacketProblem, match="beyond 65535") as caught:
        Reassembler[Ipv6]().on_packet(late, 0)
    assert (caught.value.code, caught.value.pointer) == (ParameterProblem.FIELD, 42)


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [(6, bytes(16)), (60, b"\x11\0" + bytes(6)), (60, b"\x11\7" + bytes(6))],
)
def test_a_first_piece_without_all_headers_is_refused(protocol: int, payload: bytes) -> None:
    first = Ipv6(A, B, protocol, payload, extensions=(Fragment(0, True, 7),))
    with pytest.raises(PacketProblem) as caught:
        Reassembler[Ipv6]().on_packet(first, 0)
    assert caught.value.code == ParameterProblem.INCOMPLETE_CHAIN


def test_what_is_too_late_is_given_up_and_its_first_piece_told() -> None:
    reassembler = Reassembler[Ipv6](Config(timeout=60 * SECOND))
    reassembler.on_packet(piece(0, 800), 0)
    reassembler.on_packet(piece(800, 1600, identification=8), 0)
    assert reassembler.poll_at() == 60 * SECOND
    assert [first.identification for first in reassembler.on_timer(60 * SECOND)] == [7]
    assert (reassembler.octets, reassembler.poll_at()) == (0, None)


def test_only_our_own_packets_are_cut() -> None:
    assert fragment6(packet(b"small"), 1280, 1) == [packet(b"small")]
    with pytest.raises(ValueError, match="MTU of 1279"):
        fragment6(packet(), 1279, 1)
