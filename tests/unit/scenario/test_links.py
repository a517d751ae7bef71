"""The verbs of links: what they ask of the lab, and what they refuse."""

from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from guestnet.core.errors import DescriptionError, LabError
from guestnet.journal.query import Trace
from guestnet.lab.requests import links as ask
from guestnet.lab.requests.links import LinkSettings
from guestnet.lab.requests.protocol import Record
from guestnet.lab.requests.request import Request
from guestnet.link.settings import Burst, Impairments, Schedule, Step
from guestnet.scenario.links import Link, at
from guestnet.scenario.observer import Observer

R = TypeVar("R")

BEFORE = LinkSettings(up=Impairments(delay="1ms"), down=Impairments())


class Lab:
    """A lab that remembers what it was asked; it ends when it is told to ``die``."""

    def __init__(self) -> None:
        self.asked: list[Request[Any]] = []
        self.dead = False

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """The response to ``request``."""
        if self.dead:
            raise LabError("the lab ended")
        if isinstance(request, Record):  # the verb itself, for the journal
            return cast(R, 0)
        self.asked.append(request)
        return cast(R, BEFORE if isinstance(request, ask.SettingsOf) else None)


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def wifi(lab: Lab, tmp_path: Path) -> Link:
    return Link(Observer(lab, Trace(tmp_path)), "wifi")


def test_impair_asks_for_what_it_was_told(lab: Lab, wifi: Link) -> None:
    wifi.impair(delay="40ms")
    wifi.impair("down", loss=Burst("3%", length=5))
    assert lab.asked == [
        ask.Impair(link="wifi", settings=Impairments(delay="40ms")),
        ask.Impair(link="wifi", settings=Impairments(loss=Burst("3%", 5)), direction="down"),
    ]


def test_clear_takes_names_and_a_direction(lab: Lab, wifi: Link) -> None:
    wifi.clear()
    wifi.clear("delay", "loss", direction="up")
    assert lab.asked == [
        ask.Clear(link="wifi"),
        ask.Clear(link="wifi", settings=("delay", "loss"), direction="up"),
    ]


def test_a_block_restores_what_was_set_before_also_when_it_fails(lab: Lab, wifi: Link) -> None:
    with pytest.raises(ZeroDivisionError), wifi.impaired(down=True):
        raise ZeroDivisionError
    assert lab.asked[1:] == [
        ask.Impair(link="wifi", settings=Impairments(down=True)),
        ask.SetExactly(link="wifi", settings=BEFORE),
    ]


def test_a_dead_lab_does_not_hide_what_went_wrong(lab: Lab, wifi: Link) -> None:
    def die() -> None:
        lab.dead = True
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), wifi.impaired(down=True):
        die()


def test_a_schedule_is_made_of_steps(lab: Lab, wifi: Link) -> None:
    wifi.schedule([at("0s", "up", down=True), at("200ms", clear="down")], repeat="1s")
    steps = (
        Step(at="0s", impair=Impairments(down=True), direction="up"),
        Step(at="200ms", clear=("down",)),
    )
    assert lab.asked == [ask.FollowSchedule(link="wifi", schedule=Schedule(steps=steps, repeat="1s"))]


def test_the_plug(lab: Lab, wifi: Link) -> None:
    wifi.pull()
    wifi.plug()
    assert lab.asked == [ask.SetCarrier(link="wifi", carrier=carrier) for carrier in (False, True)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"los": 1}, "there is no such impairment: write one of"),
        ({"loss": "300%"}, "is no share"),
        ({"delay": "soon"}, "is no duration"),
        ({"delay": 40}, 'delay: 40 has no unit: write "40ms" or "40s"'),
        ({"rate": "1bit/s", "trace": [1]}, "a trace and a rate at the same time"),
        ({"drop": "first tcp"}, "drop"),
    ],
)
def test_an_impossible_setting_never_reaches_the_lab(
    lab: Lab, wifi: Link, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(DescriptionError, match=said):
        wifi.impair(**settings)
    with pytest.raises(DescriptionError, match=said):
        at("0s", **settings)
    assert lab.asked == []
