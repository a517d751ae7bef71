"""Every verb of a scenario is in the journal: what was called, from which line, and what came of it."""

import inspect
from pathlib import Path
from typing import cast

import pytest

from guestnet.core.errors import DescriptionError, ExpectationFailed, GuestError
from guestnet.core.events import Expected, StepBegan, VerbRun
from guestnet.core.showing import describe
from guestnet.journal.query import Trace
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.links import LinkSettings, SettingsOf
from guestnet.link.settings import NOTHING
from guestnet.scenario import Guest, Host, Lab, Link, PortalView, UplinkView, VpnView, tcp
from guestnet.scenario.verbs import short
from tests.unit.scenario.fake_lab import FakeLab

HERE = Path(__file__).name
ASKING = {
    "dropped", "impaired", "saw", "packets", "expect", "expect_none", "expect_sequence", "close", "start",
    "settle", "sleep", "asleep", "step", "note", "now", "rng", "status",
}  # fmt: skip
"""Public methods that change nothing, write events of their own, or consist of verbs."""


@pytest.fixture
def lab(fake: FakeLab) -> Lab:
    fake.replies[SettingsOf] = LinkSettings(up=NOTHING, down=NOTHING)
    return Lab(cast(LabProcess, fake))


def told(fake: FakeLab) -> list[VerbRun]:
    fake.recorder.flush()
    trace = Trace(fake.artifacts)
    trace.refresh()
    return list(trace.events(VerbRun))


def here() -> int:
    """The line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_verb_tells_what_it_was_given_what_came_of_it_and_from_which_line(lab: Lab, fake: FakeLab) -> None:
    fake.answer(stderr="remote 203.0.113.10 81\nlocal 192.168.65.3 40000\nerrno 111\ntook 0.004\n")
    lab.guest.connect("shop.example", 81, timeout="3s")
    line = here() - 1
    (event,) = told(fake)
    assert (event.verb, event.arguments) == ("guest1.connect", "'shop.example', 81, timeout='3s'")
    assert (event.result, event.raised) == ("ECONNREFUSED after 0.004 s", False)
    assert event.where.endswith(f"{HERE}:{line}")
    assert not event.where.startswith("/")
    assert event.seconds >= 0
    shown = describe(event)
    assert shown.text.startswith(
        "guest1.connect('shop.example', 81, timeout='3s'): ECONNREFUSED after 0.004 s, in 0.00"
    )
    assert (shown.group, shown.tone) == ("verb", "")


def test_a_verb_that_raises_tells_why(lab: Lab, fake: FakeLab) -> None:
    fake.answer(status=2, stderr="no such file\n")
    with pytest.raises(GuestError):
        lab.guest.run(["cat", "x"], check=True)
    with pytest.raises(DescriptionError):
        lab.guest.connect("shop.example", 80800)
    assert [(event.verb, event.result, event.raised) for event in told(fake)] == [
        ("guest1.run", "'cat x' on guest1 ended with status 2", True),
        ("guest1.connect", "80800 is no port", True),
    ]
    assert describe(told(fake)[0]).tone == "warning"


def test_what_a_verb_does_inside_is_no_verb_of_the_scenario(lab: Lab, fake: FakeLab) -> None:
    fake.answer("ip='192.168.65.3'\n")
    lab.guest.lease()
    with lab.cable.impaired(loss="3%"):
        lab.sleep(hours=1)
    line = here() - 1
    events = told(fake)
    assert [event.verb for event in events] == ["guest1.lease", "lab.asleep", "lab.links.cable.impaired"]
    assert events[2].arguments == "loss='3%'"
    assert [event.where.rpartition(":")[2] for event in events[1:]] == [str(line), str(line - 1)]


def test_what_a_lab_does_before_its_scenario_is_none_of_its_verbs(lab: Lab, fake: FakeLab) -> None:
    fake.answer("ip='192.168.65.4'\n")
    lab.add_guest()
    assert [event.verb for event in told(fake)] == ["lab.add_guest"]


def test_an_expectation_and_a_step_tell_their_line_too(lab: Lab, fake: FakeLab) -> None:
    with lab.step("one"), pytest.raises(ExpectationFailed):
        lab.cable.expect(tcp.syn(), within=0)
    line = here() - 1
    told(fake)
    trace = lab.trace
    assert next(trace.events(StepBegan)).where.endswith(f"{HERE}:{line - 1}")
    assert next(trace.events(Expected)).where.endswith(f"{HERE}:{line}")


@pytest.mark.parametrize("kind", [Lab, Guest, Host, Link, UplinkView, VpnView, PortalView])
def test_every_method_that_does_something_is_a_verb(kind: type) -> None:
    methods = {
        name: method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    plain = {name for name, method in methods.items() if not hasattr(method, "__wrapped__")}
    assert plain <= ASKING


def test_what_is_long_is_cut() -> None:
    assert short(b"x" * 70_000) == "70000 B"
    assert short(b"x") == "b'x'"
    assert len(short("x" * 70_000)) == 60
    assert short(["a"] * 100).endswith("…")
