"""A link: what is set when, and what its callers are told."""

from typing import Any

import pytest

from guestnet.core.events import (
    Event,
    FrameDropped,
    FrameImpaired,
    FramesDelayed,
    FramesDropped,
    FramesImpaired,
    LinkChanged,
    Verdict,
)
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.link.link import Link
from guestnet.link.passed import Passed
from guestnet.link.settings import (
    Duplicate,
    Loss,
    Reorder,
    SettingError,
    Uniform,
    impairments,
)
from guestnet.link.verdicts import SHOWN
from guestnet.link.verdicts import dropped as told_dropped
from tests.support.road import FRAMES, START, linked, lost, number_of, numbered, numbers, verdicts
from tests.unit.link.frames import an_arp

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


# What is told


def test_each_frame_is_marked_in_the_capture_with_its_fate() -> None:
    link = Link("wifi")
    link.impair(impairments(delay="40ms", drop="2nd"), START)
    passed = link.offer("up", FRAMES[:3], START)
    assert passed.lost() == ([FRAMES[1]], [("drop 2nd", 2)])
    passed = link.due("up", START + 40 * MILLISECOND)
    assert passed.frames == [FRAMES[0], FRAMES[2]]
    assert passed.marks() == [("held 40 ms by delay 40 ms", 1), ("held 40 ms by delay 40 ms", 3)]


def test_frames_that_pass_at_once_have_no_mark() -> None:
    link = Link("wifi")
    link.impair(impairments(duplicate=Duplicate(1.0, only="size > 60")), START)
    passed = link.offer("up", [FRAMES[0], numbered(1, 61)], START)
    assert passed.marks() == [("", 0), ("", 0), ("duplicate 100% only size > 60", 2)]
    assert link.offer("up", FRAMES[:2], START).marks() == []
    assert Passed().marks() == []


def test_every_delay_is_told_when_its_second_is_over() -> None:
    road = linked(delay="40ms")
    for number in range(30):
        road.offer([numbered(number)], START + number * 50 * MILLISECOND)
    road.until(START + 5 * SECOND)
    time, gap = 40 * MILLISECOND, 50 * MILLISECOND
    assert road.delayed == [
        FramesDelayed(
            at=first_at + (count - 1) * gap, link="wifi", direction="up", rule="delay 40 ms", count=count,
            least=time, mean=time, most=time, first_at=first_at,
            packet_ids=[first, *[1] * (count - 1)], times=[0, *[gap] * (count - 1)],
            delays=[time, *[0] * (count - 1)],
        )
        for first, first_at, count in ((1, START, 20), (21, START + SECOND, 10))
    ]  # fmt: skip
    assert list(road.delayed[1].verdicts())[2] == Verdict(
        START + SECOND + 2 * gap, "wifi", "up", "delayed", "delay 40 ms", 23, delay=time
    )


def test_of_many_delays_each_line_has_a_thousand_at_most() -> None:
    road = linked(delay=Uniform("1ms", "9ms"), keep_order=False)
    road.drive([(START, [numbered(number) for number in range(2500)])])
    assert [event.count for event in road.delayed] == [1000, 1000, 500]
    delays = {one.packet_id: one.delay for one in verdicts(road.delayed)}
    assert [delays[number_of(out.frame) + 1] for out in road.out] == [out.held for out in road.out]
    for event in road.delayed:
        among = [one.delay for one in event.verdicts()]
        assert (event.least, event.mean, event.most) == (min(among), sum(among) // len(among), max(among))


def test_a_flood_of_drops_is_shown_in_part_and_told_in_all() -> None:
    road = linked(loss=Loss(1.0))
    count = SHOWN + 2300
    road.offer([numbered(number, 60 + number % 7) for number in range(count)], START)
    assert len(road.dropped) == SHOWN
    assert len(road.captured) == count
    road.until(START + SECOND)
    batches = [event for event in road.events if isinstance(event, FramesDropped)]
    assert [event.count for event in batches] == [1000, 1000, 300]
    told = verdicts(road.events)
    assert [one.packet_id for one in told] == list(range(1, count + 1))
    assert [one.length for one in told] == [len(frame) for frame, _ in road.captured]
    assert [event.octets for event in batches] == [
        sum(one.length for one in event.verdicts()) for event in batches
    ]


def test_a_flood_of_changes_is_told_in_all() -> None:
    road = linked(duplicate=1.0)
    road.drive([(START, [numbered(number) for number in range(SHOWN + 10)])])
    (batch,) = [event for event in road.events if isinstance(event, FramesImpaired)]
    assert [one.packet_id for one in batch.verdicts()] == list(range(SHOWN + 1, SHOWN + 11))
    assert len(verdicts(road.events)) == SHOWN + 10


def test_what_is_in_the_journal_and_what_the_capture_marks_is_the_same() -> None:
    road = linked(loss=0.2, duplicate=0.2, corrupt=0.2, reorder=0.2, rate="1Mbit/s", queue="9 packets")
    road.drive([(START, [numbered(number) for number in range(200)])])
    marked = {number for _, number in road.marks}
    assert {one.packet_id for one in verdicts(road.events)} == marked
    assert all(comment and number for comment, number in road.marks)


def test_packet_ids_go_on_when_the_settings_change_and_rest_when_there_are_none() -> None:
    road = linked(delay="1ms")
    road.offer(FRAMES[:3], START)
    road.link.clear(START)
    road.offer(FRAMES[3:5], START)  # behind those that are held
    road.until(START + SECOND)
    road.offer(FRAMES[5:9], START + SECOND)
    road.link.impair(impairments(drop="all"), START + SECOND)
    road.offer(FRAMES[9:], START + SECOND)
    assert [one.packet_id for one in verdicts(road.events)] == [1, 2, 3, 4, 5, 6]


def test_the_comment_names_what_held_a_frame_and_not_what_holds_others_when_it_leaves() -> None:
    road = linked(delay="40ms")
    road.offer(FRAMES[:1], START)
    road.link.impair(impairments(delay="90ms"), START + MILLISECOND)
    road.until(START + SECOND)
    assert road.marks == [("held 40 ms by delay 40 ms", 1)]


def test_all_events_are_of_the_vocabulary() -> None:
    road = linked(loss=0.2, duplicate=0.2, corrupt=0.2, reorder=0.2, rate="1Mbit/s", queue="9 packets")
    road.drive([(START, [numbered(number) for number in range(200)])])
    kinds: set[type[Event]] = {type(event) for event in road.events}
    assert kinds == {FrameDropped, FrameImpaired, FramesDelayed}


def test_what_is_lost_beside_the_rules_is_told_in_all_though_not_shown() -> None:
    told = told_dropped(
        "cable", "queue full", [numbered(number, 60 + number) for number in range(2040)], START
    )
    assert [type(event) for event in told] == [*[FrameDropped] * 32, *[FramesDropped] * 3]
    every = verdicts(told)
    assert [one.length for one in every] == list(range(60, 2100))
    assert {(one.at, one.link, one.rule, one.packet_id) for one in every} == {
        (START, "cable", "queue full", 0)
    }
