"""A link: what is set when, what its callers are told, and that it holds no more than it may."""

from typing import Any

import pytest

from harness.core.events import Event, FrameDropped, FrameImpaired, FramesDelayed, LinkChanged
from harness.core.port import Frame
from harness.core.time import MILLISECOND, SECOND
from harness.link import delay
from harness.link.link import Link
from harness.link.passed import Passed
from harness.link.settings import (
    Corrupt,
    Duplicate,
    Flap,
    Loss,
    Recorded,
    Reorder,
    Schedule,
    SettingError,
    Step,
    impairments,
)
from harness.link.verdicts import SHOWN
from harness.wire.frame import decode
from harness.wire.tcp import Flags
from tests.simulation.link.road import START, Road, number_of, numbered
from tests.unit.link.frames import GUEST6, SERVER6, a_tcp, a_udp, an_arp

FRAMES: list[Frame] = [numbered(number) for number in range(10)]


def linked(**changes: Any) -> Road:
    link = Link("wifi", seed=3)
    link.impair(impairments(**changes), START)
    return Road(link)


def numbers(road: Road) -> list[int]:
    return [number_of(out.frame) for out in road.out]


def lost(road: Road) -> list[int]:
    return [number_of(frame) for frame, _ in road.captured]


# Plain


def test_a_link_with_nothing_set_passes_the_very_object_it_was_offered() -> None:
    link = Link("cable")
    assert link.offer("up", FRAMES, START).frames is FRAMES
    assert not link.is_impaired("up")
    assert link.poll_at() is None
    link.impair(impairments(delay="1ms"), START)
    link.clear(START)
    assert link.offer("up", FRAMES, START).frames is FRAMES


def test_directions_are_apart() -> None:
    link = Link("cable")
    link.impair(impairments(down=True), START, "up")
    assert not link.offer("up", FRAMES, START).frames
    assert link.offer("down", FRAMES, START).frames is FRAMES
    assert [link.is_impaired("up"), link.is_impaired("down")] == [True, False]


def test_a_link_that_is_unplugged_drops_and_says_so() -> None:
    link = Link("cable")
    assert link.set_plugged(True, START) == []
    assert link.set_plugged(False, START) == [LinkChanged(at=START, link="cable", change="unplugged")]
    passed = link.offer("down", [an_arp()], START)
    assert not passed.frames
    (event,) = passed.events
    assert isinstance(event, FrameDropped)
    assert (event.rule, event.direction, event.length) == ("unplugged", "down", 42)
    assert "who-has" in event.frame
    assert link.set_plugged(True, START)[0].change == "plugged"  # type: ignore[attr-defined]
    assert link.offer("down", FRAMES, START).frames is FRAMES


def test_unplugged_and_down_are_two_things() -> None:
    link = Link("cable")
    link.impair(impairments(down=True), START)
    link.set_plugged(False, START)
    link.clear(START)
    assert not link.is_plugged
    assert [event.rule for event in dropped(link.offer("up", FRAMES[:1], START))] == ["unplugged"]
    link.set_plugged(True, START)
    link.impair(impairments(down=True), START)
    assert [event.rule for event in dropped(link.offer("up", FRAMES[:1], START))] == ["down"]


def dropped(passed: Passed) -> list[FrameDropped]:
    return [event for event in passed.events if isinstance(event, FrameDropped)]


def test_frames_under_way_when_it_goes_down_are_lost() -> None:
    road = linked(delay="40ms")
    road.offer(FRAMES[:2], START)
    road.link.impair(impairments(down=True), START + 10 * MILLISECOND)
    road.offer(FRAMES[2:3], START + 20 * MILLISECOND)
    road.link.impair(impairments(down=False), START + 50 * MILLISECOND)
    road.offer(FRAMES[3:4], START + 60 * MILLISECOND)
    road.until(START + SECOND)
    assert (numbers(road), sorted(lost(road))) == ([3], [0, 1, 2])


# Settings


def test_a_change_is_told_in_words_and_with_the_seed() -> None:
    link = Link("wifi", seed=3)

    def change(direction: Any, words: str) -> LinkChanged:
        return LinkChanged(at=START, link="wifi", change=words, direction=direction, seed=3)

    assert link.impair(impairments(loss=0.03), START) == [change("", "impaired: loss 3%")]
    assert link.impair(impairments(delay="1s"), START, "up") == [change("up", "impaired: delay 1 s, loss 3%")]
    assert link.impair(impairments(mtu=1400), START) == [
        change("up", "impaired: delay 1 s, loss 3%, mtu 1400"),
        change("down", "impaired: loss 3%, mtu 1400"),
    ]
    assert link.clear(START, "loss", "mtu", direction="down") == [change("down", "not impaired")]
    assert link.settings("up") == impairments(loss=0.03, delay="1s", mtu=1400)


def test_a_wrong_name_changes_nothing() -> None:
    link = Link("wifi")
    link.impair(impairments(loss=0.03), START)
    with pytest.raises(SettingError, match="no such impairment"):
        link.clear(START, "loss", "los")
    assert link.settings("up") == impairments(loss=0.03)


def test_another_setting_does_not_begin_a_count_anew_but_its_own_does() -> None:
    road = linked(drop="first 2")
    road.offer(FRAMES[:1], START)
    road.link.impair(impairments(mtu=9000), START)
    road.offer(FRAMES[1:4], START)
    assert lost(road) == [0, 1]
    road.link.impair(impairments(drop="first 2"), START)
    road.offer(FRAMES[4:], START)
    assert lost(road) == [0, 1, 4, 5]


def test_what_waits_when_a_rate_is_cleared_goes_on_at_once() -> None:
    road = linked(rate="48kbit/s")  # a frame every 10 ms
    road.offer(FRAMES[:5], START)
    road.until(START + 15 * MILLISECOND)
    assert numbers(road) == [0]
    road.link.clear(START + 15 * MILLISECOND, "rate")
    road.until(START + 20 * MILLISECOND)
    assert numbers(road) == [0, 1, 2, 3, 4]


def test_what_is_held_when_all_is_cleared_leaves_in_its_time_and_in_order() -> None:
    road = linked(delay="40ms", reorder=Reorder(1.0, distance=9))
    road.offer(FRAMES[:2], START)
    road.link.clear(START + MILLISECOND)
    road.offer(FRAMES[2:3], START + 2 * MILLISECOND)
    road.until(START + SECOND)
    assert numbers(road) == [0, 1, 2]


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
        assert decode(out.frame).error is not None or len({*out.frame[14:]}) > 1


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
    monkeypatch.setattr(delay, "MOST_FRAMES", 3)
    road = linked(delay="1s")
    road.offer(FRAMES[:5], START)
    assert lost(road) == [3, 4]
    assert road.dropped[0].rule == "delay 1 s: the line is full"
    monkeypatch.setattr(delay, "MOST_FRAMES", 100)
    monkeypatch.setattr(delay, "MOST_OCTETS", 250)
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


# Schedules


def flips(road: Road) -> list[int]:
    return [at - START for at in (event.at for event in road.events if isinstance(event, LinkChanged))]


def test_a_schedule_changes_settings_in_its_time() -> None:
    link = Link("wifi")
    steps = (
        Step(at="10ms", impair=impairments(down=True), direction="up"),
        Step(at="20ms", clear=("down",), impair=impairments(mtu=9000), direction="up"),
    )
    assert [type(event) for event in link.schedule(Schedule(steps=steps), START)] == [LinkChanged]
    road = Road(link)
    for number in range(6):
        at = START + number * 5 * MILLISECOND
        road.until(at)
        road.offer([numbered(number)], at)
    assert lost(road) == [2, 3]
    assert flips(road) == [10 * MILLISECOND, 20 * MILLISECOND]
    assert link.settings("up") == impairments(mtu=9000)
    assert link.settings("down") == impairments()
    road.until(START + SECOND)
    assert link.poll_at() is None


def test_a_step_that_nobody_called_for_was_still_at_its_time() -> None:
    """The frame was under way when the link went down, and that it is up again does not help."""
    link = Link("wifi")
    link.impair(impairments(delay="15ms"), START)
    steps = (Step(at="10ms", impair=impairments(down=True)), Step(at="20ms", clear=("all",)))
    link.schedule(Schedule(steps=steps), START)
    road = Road(link)
    road.offer(FRAMES[:1], START)
    road.offer(FRAMES[1:2], START + SECOND)
    assert (numbers(road), lost(road)) == ([1], [0])
    assert [event.at for event in road.dropped] == [START + 15 * MILLISECOND]


def test_a_schedule_repeats_until_it_is_ended() -> None:
    link = Link("wifi")
    steps = (Step(at="0s", clear=("down",)), Step(at="30ms", impair=impairments(down=True)))
    link.schedule(Schedule(steps=steps, repeat="40ms"), START)
    road = Road(link)
    for number in range(12):
        at = START + number * 10 * MILLISECOND
        road.until(at)
        road.offer([numbered(number)], at)
    assert lost(road) == [3, 7, 11]
    link.schedule(None, START + SECOND)
    assert link.settings("up") == impairments(down=True) or link.settings("up") == impairments()
    road.until(START + SECOND)
    assert link.poll_at() is None


def test_a_schedule_survives_a_night_without_playing_it_all() -> None:
    link = Link("wifi")
    steps = (Step(at="0s", impair=impairments(loss=1.0)), Step(at="5ms", clear=("loss",)))
    link.schedule(Schedule(steps=steps, repeat="10ms"), START)
    night = START + 8 * 3600 * SECOND
    assert len(link.due("up", night + MILLISECOND).events) < 100
    assert not link.offer("up", FRAMES, night + 2 * MILLISECOND).frames
    assert link.offer("up", FRAMES, night + 7 * MILLISECOND).frames


def test_a_flapping_link_is_up_and_down_by_turns() -> None:
    road = linked(flap=Flap("20ms", "10ms"))
    for number in range(9):
        road.offer([numbered(number)], START + number * 10 * MILLISECOND)
    assert lost(road) == [2, 5, 8]
    assert {event.rule for event in road.dropped} == {"flap 20 ms up, 10 ms down"}


def test_clearing_all_ends_the_schedule_too() -> None:
    link = Link("wifi")
    link.schedule(Schedule(steps=(Step(at="1s", impair=impairments(down=True)),)), START)
    link.clear(START)
    assert link.offer("up", FRAMES, START + 2 * SECOND).frames is FRAMES


# What is told


def test_frames_that_follow_each_other_with_the_same_fate_are_captured_together() -> None:
    link = Link("wifi")
    link.impair(impairments(delay="40ms", drop="2nd"), START)
    passed = link.offer("up", FRAMES[:3], START)
    assert [(list(frames), rule) for frames, rule in passed.lost()] == [([FRAMES[1]], "drop 2nd")]
    passed = link.due("up", START + 40 * MILLISECOND)
    held = [([FRAMES[0], FRAMES[2]], "held 40 ms by delay 40 ms")]
    assert [(list(frames), comment) for frames, comment in passed.groups()] == held


def test_frames_that_pass_at_once_have_no_comment() -> None:
    link = Link("wifi")
    link.impair(impairments(duplicate=Duplicate(1.0, only="size > 60")), START)
    passed = link.offer("up", [FRAMES[0], numbered(1, 61)], START)
    comments = [(len(frames), comment) for frames, comment in passed.groups()]
    assert comments == [(2, ""), (1, "duplicate 100% only size > 60")]
    assert list(Passed().groups()) == []


def test_delays_are_told_by_the_second() -> None:
    road = linked(delay="40ms")
    for number in range(30):
        road.offer([numbered(number)], START + number * 50 * MILLISECOND)
    road.until(START + 5 * SECOND)
    time = 40 * MILLISECOND
    assert road.delayed == [
        FramesDelayed(
            at=START + second * SECOND, link="wifi", direction="up", rule="delay 40 ms", count=count,
            least=time, mean=time, most=time,
        )
        for second, count in ((1, 20), (2, 10))
    ]  # fmt: skip


def test_a_flood_of_drops_is_shown_in_part_and_counted_in_all() -> None:
    road = linked(loss=Loss(1.0))
    count = SHOWN + 5000
    road.offer([numbered(number) for number in range(count)], START)
    assert len(road.dropped) == SHOWN
    assert len(road.captured) == count
    road.until(START + SECOND)
    last = road.dropped[-1]
    assert (last.at, last.count, last.length) == (START + SECOND, 5000, 5000 * 60)
    assert last.frame == "and 5000 more frames"
    assert sum(event.count for event in road.dropped) == count


def test_all_events_are_of_the_vocabulary() -> None:
    road = linked(loss=0.2, duplicate=0.2, corrupt=0.2, reorder=0.2, rate="1Mbit/s", queue="9 packets")
    road.drive([(START, [numbered(number) for number in range(200)])])
    kinds: set[type[Event]] = {type(event) for event in road.events}
    assert kinds == {FrameDropped, FrameImpaired, FramesDelayed}
