"""What each rule does to frames, and that a link holds no more than it may."""

from typing import Any

import pytest

from guestnet.core.events import FrameImpaired
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.link import line
from guestnet.link.link import Link
from guestnet.link.settings import (
    Corrupt,
    Duplicate,
    Recorded,
    Reorder,
    impairments,
)
from guestnet.wire.frame import decode
from guestnet.wire.tcp import Flags
from tests.support.road import FRAMES, START, Road, linked, lost, number_of, numbered, numbers
from tests.unit.link.frames import GUEST6, SERVER6, a_tcp, a_udp, an_arp

# Rules


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("first 2", [2, 3, 4, 5, 6, 7, 8, 9]),
        ("3rd", [0, 1, 3, 4, 5, 6, 7, 8, 9]),
        ("every 4th", [0, 1, 2, 4, 5, 6, 8, 9]),
        ("all size > 100", list(range(10))),
        (("1st", "1st"), [2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_frames_are_lost_by_number(rule: Any, left: list[int]) -> None:
    road = linked(drop=rule)
    for one in FRAMES:
        road.offer([one], START)
    assert numbers(road) == left
    assert all(event.rule.startswith("drop ") for event in road.dropped)


def test_a_drop_counts_only_what_its_filter_finds() -> None:
    syn_ack = a_tcp(Flags.SYN | Flags.ACK, ports=(443, 40000))
    road = linked(drop="first 2 tcp syn-ack from :443")
    road.offer([an_arp(), syn_ack, a_tcp(), syn_ack, syn_ack], START)
    assert [out.frame for out in road.out] == [an_arp(), a_tcp(), syn_ack]
    assert {rule for _, rule in road.captured} == {"drop first 2 tcp syn-ack from :443"}


def test_a_copy_comes_right_behind() -> None:
    road = linked(duplicate=Duplicate(1.0, only="size > 60"))
    road.offer([FRAMES[0], numbered(1, 61)], START)
    assert numbers(road) == [0, 1, 1]
    assert [out.note for out in road.out] == ["", "", "duplicate 100% only size > 60"]
    assert [type(event) for event in road.events] == [FrameImpaired]


def test_an_overtaken_frame_lets_so_many_by_or_waits_so_long() -> None:
    road = linked(reorder=Reorder(1.0, distance=2, within="5ms", only="size = 61"))
    road.offer([numbered(0, 61), *FRAMES[1:4]], START)
    assert numbers(road) == [1, 2, 0, 3]
    road.offer([numbered(4, 61), FRAMES[5]], START)
    road.until(START + 5 * MILLISECOND)
    assert numbers(road)[4:] == [5, 4]
    assert road.out[-1].held == 5 * MILLISECOND
    assert road.out[-1].note == "reorder 100% by 2 only size = 61"


def test_a_damaged_frame_differs_by_so_many_bits_behind_the_ethernet_header() -> None:
    original = a_tcp(Flags.ACK, bytes(100))
    road = linked(corrupt=Corrupt(1.0, bits=3))
    road.offer([original] * 50, START)
    for out in road.out:
        assert out.frame[:14] == original[:14]
        differ = int.from_bytes(out.frame, "big") ^ int.from_bytes(original, "big")
        assert differ.bit_count() == 3


@pytest.mark.parametrize(
    "original",
    [
        a_tcp(Flags.ACK, bytes(99)),
        a_tcp(Flags.ACK, bytes(99), source=GUEST6, to=SERVER6),
        a_udp(bytes(99)),
        a_udp(bytes(98), source=GUEST6, to=SERVER6),
        a_udp(b"x") + bytes(30),
    ],
)
def test_a_repaired_frame_is_damaged_in_its_payload_and_nobody_notices(original: bytes) -> None:
    road = linked(corrupt=Corrupt(1.0, repair=True))
    road.offer([original] * 50, START)
    before = decode(original)
    for out in road.out:
        after = decode(out.frame)
        assert after.error is None
        layer, former = after.tcp or after.udp, before.tcp or before.udp
        assert layer is not None
        assert former is not None
        changed = int.from_bytes(layer.payload, "big") ^ int.from_bytes(former.payload, "big")
        assert changed.bit_count() == 1
        assert len(out.frame) == len(original)


def test_what_has_no_payload_is_not_damaged_where_that_must_go_unnoticed() -> None:
    road = linked(corrupt=Corrupt(1.0, repair=True))
    road.offer([a_tcp(), an_arp(), b""], START)
    assert [out.frame for out in road.out] == [a_tcp(), an_arp(), b""]
    assert not road.events


def test_a_datagram_without_checksum_stays_without() -> None:
    plain = bytearray(a_udp(bytes(50)))
    plain[40:42] = b"\0\0"
    road = linked(corrupt=Corrupt(1.0, repair=True))
    road.offer([bytes(plain)], START)
    assert road.out[0].frame[40:42] == b"\0\0"
    assert road.out[0].frame != plain


# Delay


def test_delay_and_jitter_keep_the_order_unless_told_otherwise() -> None:
    for keep_order in (True, False):
        road = linked(delay="40ms", jitter="20ms", keep_order=keep_order)
        for number in range(100):
            road.offer([numbered(number)], START + number * MILLISECOND)
        road.until(START + SECOND)
        assert (numbers(road) == list(range(100))) is keep_order
        assert sorted(numbers(road)) == list(range(100))
        assert all(out.held >= 20 * MILLISECOND for out in road.out)


def test_recorded_delays_come_one_after_the_other() -> None:
    road = linked(delay=Recorded(("5ms", "0ms", "9ms")), keep_order=False)
    road.offer(FRAMES[:4], START)
    road.until(START + SECOND)
    assert {number_of(out.frame): out.held // MILLISECOND for out in road.out} == {0: 5, 1: 0, 2: 9, 3: 5}


def test_recorded_delays_change_with_time() -> None:
    road = linked(delay=Recorded(("5ms", "1ms"), every="10ms"), keep_order=False)
    for number in range(4):
        road.offer([numbered(number)], START + number * 10 * MILLISECOND)
    road.until(START + SECOND)
    assert [out.held // MILLISECOND for out in road.out] == [5, 1, 5, 1]


def test_frames_that_a_filter_spares_are_not_delayed() -> None:
    link = Link("wifi")
    link.impair(impairments(delay="40ms", only="udp"), START)
    road = Road(link)
    road.offer([a_udp(), a_tcp()], START)
    assert [out.frame for out in road.out] == [a_tcp()]
    road.until(START + SECOND)
    assert [out.frame for out in road.out] == [a_tcp(), a_udp()]


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MOST_FRAMES", 3)
    road = linked(delay="1s")
    road.offer(FRAMES[:5], START)
    assert lost(road) == [3, 4]
    assert road.dropped[0].rule == "delay 1 s: the line is full"
    monkeypatch.setattr(line, "MOST_FRAMES", 100)
    monkeypatch.setattr(line, "MOST_OCTETS", 250)
    road.offer(FRAMES[5:7], START)
    assert lost(road) == [3, 4, 6]
    road.until(START + 2 * SECOND)
    road.offer(FRAMES[7:8], START + 2 * SECOND)
    road.until(START + 4 * SECOND)
    assert numbers(road) == [0, 1, 2, 5, 7]


def test_a_held_frame_does_not_hold_the_buffer_it_came_in() -> None:
    buffer = bytearray(numbered(7))
    road = linked(delay="1ms")
    road.offer([memoryview(buffer)], START)
    buffer[14:18] = b"\xff" * 4
    road.until(START + SECOND)
    assert numbers(road) == [7]


# Rate


def test_a_rate_sends_one_frame_after_the_other() -> None:
    road = linked(rate="48kbit/s")  # 60 octets in 10 ms
    road.offer(FRAMES[:3], START)
    road.until(START + SECOND)
    assert [(at - START) / MILLISECOND for at, _ in road.arrived] == [10, 20, 30]


def test_another_rate_holds_for_what_waits_and_not_for_what_is_being_sent() -> None:
    road = linked(rate="48kbit/s")  # 10 ms a frame
    road.offer(FRAMES[:4], START)
    road.until(START + 15 * MILLISECOND)
    road.link.impair(impairments(rate="24kbit/s"), START + 15 * MILLISECOND)
    road.link.impair(impairments(queue="2 packets"), START + 25 * MILLISECOND)
    road.until(START + SECOND)
    assert [(at - START) / MILLISECOND for at, _ in road.arrived] == [10, 20, 40, 60]


def test_another_queue_does_not_fill_the_bucket() -> None:
    road = linked(rate="48kbit/s", burst="120 B")
    road.offer(FRAMES[:3], START)
    road.link.impair(impairments(queue="5 packets", codel=True), START)
    road.until(START + SECOND)
    assert [(at - START) / MILLISECOND for at, _ in road.arrived] == [0, 0, 10]


def test_a_bucket_lets_a_burst_by_and_fills_again() -> None:
    road = linked(rate="48kbit/s", burst="180 B")
    road.offer(FRAMES[:5], START)
    road.until(START + 20 * MILLISECOND)
    assert [(at - START) / MILLISECOND for at, _ in road.arrived] == [0, 0, 0, 10, 20]
    road.offer(FRAMES[5:10], START + SECOND)
    road.until(START + 2 * SECOND)
    assert [(at - START - SECOND) / MILLISECOND for at, _ in road.arrived[5:]] == [0, 0, 0, 10, 20]


def test_a_frame_larger_than_the_bucket_waits_for_a_full_one_and_leaves_a_debt() -> None:
    road = linked(rate="48kbit/s", burst="64 B")
    road.offer([numbered(0, 128), numbered(1, 64)], START)
    road.until(START + SECOND)
    assert [round((at - START) / MILLISECOND, 2) for at, _ in road.arrived] == [0, 21.33]


@pytest.mark.parametrize(("bound", "left"), [("3 packets", 4), ("120 B", 3), ("119 B", 2)])
def test_a_queue_drops_what_it_cannot_hold(bound: str, left: int) -> None:
    """Beside those that wait there is one that is being sent."""
    road = linked(rate="48kbit/s", queue=bound)
    road.offer(FRAMES, START)
    road.until(START + SECOND)
    assert numbers(road) == list(range(left))
    assert {event.rule for event in road.dropped} == {f"queue of {bound} full"}
