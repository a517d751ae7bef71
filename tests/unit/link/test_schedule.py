"""Settings that change by themselves: schedules and flapping."""

from collections.abc import Sequence

import pytest

from guestnet.core.events import Event, LinkChanged
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.link.link import Link
from guestnet.link.settings import Flap, Schedule, Step, impairments
from tests.support.road import FRAMES, START, Road, linked, lost, numbered, numbers


def flips(road: Road) -> list[int]:
    return [event.at - START for event in road.events if isinstance(event, LinkChanged)]


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


def changes(events: Sequence[Event]) -> list[tuple[int, str, str]]:
    """Milliseconds since the start, direction and words of all that the link did by itself."""
    return [
        ((event.at - START) // MILLISECOND, event.direction, event.change)
        for event in events
        if isinstance(event, LinkChanged)
    ]


def test_each_down_and_up_of_a_flap_is_told() -> None:
    road = linked(flap=Flap("200ms", "50ms"))
    road.link.impair(impairments(flap=Flap("300ms", "100ms")), START, "down")
    road.until(START + 450 * MILLISECOND)
    assert changes(road.events) == [
        (200, "up", "flap: down"), (250, "up", "flap: up"),
        (300, "down", "flap: down"), (400, "down", "flap: up"),
        (450, "up", "flap: down"),
    ]  # fmt: skip
    road.link.clear(START + 460 * MILLISECOND)
    assert road.link.poll_at() is None


def test_a_flap_both_ways_is_told_once() -> None:
    road = linked(flap=Flap("1s", "1s"))
    road.until(START + 2 * SECOND)
    assert changes(road.events) == [(1000, "", "flap: down"), (2000, "", "flap: up")]


def test_of_a_link_that_flaps_fast_the_changes_are_counted() -> None:
    road = linked(flap=Flap("4ms", "6ms"))
    road.until(START + 2 * SECOND)
    assert changes(road.events) == [(1000, "", "flap: 200 changes"), (2000, "", "flap: 200 changes")]


@pytest.mark.parametrize("flap", [Flap("4ms", "6ms"), Flap("200ms", "50ms")])
def test_the_flaps_of_a_night_are_counted_and_it_goes_on(flap: Flap) -> None:
    night = START + 8 * 3600 * SECOND
    road = linked(flap=flap)
    road.due(night + 60 * MILLISECOND)
    assert len(changes(road.events)) == 1
    road.until(night + 2 * SECOND)
    last, _, words = changes(road.events)[-1]
    assert words in ("flap: 200 changes", "flap: up")
    assert last == (night - START) // MILLISECOND + 2000
