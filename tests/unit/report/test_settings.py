"""What was wrong with links, as spans of time."""

from typing import Literal

import msgspec

from guestnet.core.events import Event, GuestEnded, LabStopped, LinkChanged, Noted, VerbRun
from guestnet.report.settings import spans

END = 100


def told(*changes: tuple[int, str, Literal["", "up", "down"]]) -> list[tuple[int, int, int, str, str]]:
    """The spans that ``changes`` of one link make, without its name."""
    events: list[Event] = [
        LinkChanged(at=1000 + at, link="wifi", change=change, direction=direction)
        for at, change, direction in changes
    ]
    made = spans([Noted(at=1000, text="x"), *events], 1000, END)
    assert {span["link"] for span in made} <= {"wifi"}
    return [(span["at"], span["end"], span["row"], span["text"], span["tone"]) for span in made]


def test_a_setting_lasts_until_another_or_the_end() -> None:
    assert told((1, "impaired: loss 3%", ""), (5, "impaired: loss 5%", ""), (9, "not impaired", "")) == [
        (1, 5, 0, "loss 3%", "warning"),
        (5, 9, 0, "loss 5%", "warning"),
    ]
    assert told((1, "impaired: rate 1 Mbit/s, down", "")) == [(1, END, 0, "rate 1 Mbit/s, down", "bad")]


def test_directions_part_and_meet_again() -> None:
    assert told((1, "impaired: loss 3%", ""), (4, "impaired: down", "up"), (6, "impaired: mtu 1400", "")) == [
        (1, 4, 0, "loss 3%", "warning"),
        (4, 6, 1, "↓ loss 3%", "warning"),
        (4, 6, 2, "↑ down", "bad"),
        (6, END, 0, "mtu 1400", "warning"),
    ]


def test_a_plug_and_a_flap_leave_the_settings_where_they_are() -> None:
    assert told(
        (0, "plugged", ""), (1, "impaired: flap", ""), (2, "flap: down", ""), (3, "flap: up", ""),
        (4, "unplugged: the guest left", ""), (6, "plugged", ""), (7, "schedule of 2 steps", ""),
    ) == [
        (1, END, 0, "flap", "warning"),
        (2, 3, 1, "down", "bad"),
        (4, 6, 2, "unplugged: the guest left", "bad"),
    ]  # fmt: skip


def test_a_guests_own_end_is_told_apart() -> None:
    assert told((1, "down: at the guest's end", ""), (3, "up: at the guest's end", "")) == [
        (1, 3, 0, "down at the guest's end", "bad")
    ]


def test_that_guests_hang_up_when_the_lab_ends_is_nothing_wrong() -> None:
    hung_up = LinkChanged(at=1051, link="cable", change="unplugged: the guest left")
    ended = GuestEnded(at=1050, guest="guest1", reason="stopped")
    stopped = LabStopped(at=1060, reason="stopped")
    verb = VerbRun(at=1040, verb="guest1.connect")
    assert spans([verb, ended, hung_up, stopped], 1000, END) == []
    shown = [
        [verb, ended, hung_up],  # the lab was killed
        [ended, hung_up, msgspec.structs.replace(verb, at=1055), stopped],  # the scenario has stopped it
        [verb, hung_up, stopped],  # nobody has stopped it
    ]
    for events in shown:
        assert [span["text"] for span in spans(events, 1000, END)] == ["unplugged: the guest left"]
