"""What the page's scripts get of a scenario."""

from pathlib import Path

from guestnet.core import events
from guestnet.core.events import Event
from guestnet.report.columns import columns
from guestnet.report.evidence import Evidence, gather
from tests.support import sample

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
BEGAN = events.LabStarted(at=START, scenario="x", seed=1, stack="builtin", guest="netns", profile="plain")


def verb(name: str, end: float, seconds: float, *, raised: bool = False) -> Event:
    return events.VerbRun(
        at=START + round(end * SECOND), verb=name, arguments="1", result="fine", raised=raised,
        seconds=seconds, where="test_x.py:7",
    )  # fmt: skip


def told(*journal: Event) -> dict[str, object]:
    return columns(sample.result("x", "failed", 1.0), Evidence(events=[BEGAN, *journal]))


def test_verbs_are_spans_and_those_within_others_lie_below() -> None:
    made = told(verb("inner", 2.0, 0.5), verb("outer", 3.0, 2.0), verb("next", 4.0, 1.0))["verbs"]
    assert isinstance(made, list)
    shown = [(one["text"], one["at"] / SECOND, one["end"] / SECOND, one["row"], one["event"]) for one in made]
    assert shown == [
        ("outer(1)", 1.0, 3.0, 0, 2),
        ("inner(1)", 1.5, 2.0, 1, 1),
        ("next(1)", 3.0, 4.0, 0, 3),
    ]
    assert (made[0]["result"], made[0]["where"], made[0]["raised"]) == ("fine", "test_x.py:7", False)


def test_a_verb_never_begins_before_the_lab() -> None:
    made = told(verb("early", 1.0, 5.0))["verbs"]
    assert isinstance(made, list)
    assert made[0]["at"] == 0


def test_the_list_opens_at_what_was_not_met_else_at_what_was_raised() -> None:
    unmet = events.Expected(at=START + 1, what="x", met=False)
    error = events.Noted(at=START + 9, text="the scenario failed", level="error")
    raised = verb("bad", 1.0, 0.1, raised=True)
    assert told(unmet, raised, error)["failure"] == 1
    assert told(verb("good", 1.0, 0.1), raised, error)["failure"] == 2
    assert told(verb("good", 1.0, 0.1), error)["failure"] == 2
    assert told(verb("good", 1.0, 0.1))["failure"] is None


def test_conversations_are_those_of_the_capture(tmp_path: Path) -> None:
    sample.refused(tmp_path / "x")
    made = columns(sample.result("x", "failed", 1.0), gather(tmp_path / "x", 100))["conversations"]
    assert made["end"][-1] == "unanswered"
    assert made["all"] == len(made["link"])
