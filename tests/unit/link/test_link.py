"""A link: what is set when, and what its callers are told."""

from typing import Any

import pytest

from harness.core.events import Event, FrameDropped, FrameImpaired, FramesDelayed, LinkChanged
from harness.core.time import MILLISECOND, SECOND
from harness.link.link import Link
from harness.link.passed import Passed
from harness.link.settings import (
    Duplicate,
    Loss,
    Reorder,
    SettingError,
    impairments,
)
from harness.link.verdicts import SHOWN
from tests.simulation.link.road import FRAMES, START, linked, lost, numbered, numbers
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
