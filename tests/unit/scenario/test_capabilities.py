"""What a stack can't show is no failure of the scenario, and no silent pass: it is told as a capability."""

from collections.abc import Callable
from typing import cast

import msgspec
import pytest

from guestnet.core.errors import CapabilityMissing
from guestnet.core.events import DnsAnswered, FlowRefused, FrameDropped, GuestEnded, Noted, StepEnded
from guestnet.lab.process.client import LabProcess
from guestnet.scenario import Lab, event, tcp
from guestnet.scenario.expecting import JournalView, LinkView
from tests.unit.scenario.fake_lab import SHOP, FakeLab, tcp_frame

LINK: dict[str, Callable[[LinkView], object]] = {
    "expect": lambda link: link.expect(tcp.syn()),
    "expect_none": lambda link: link.expect_none(tcp.syn()),
    "expect_sequence": lambda link: link.expect_sequence([tcp.syn()]),
    "saw": lambda link: link.saw(tcp.syn()),
    "packets": lambda link: link.packets(),
}
JOURNAL: dict[str, Callable[[JournalView], object]] = {
    "expect": lambda journal: journal.expect(FlowRefused),
    "expect_none": lambda journal: journal.expect_none(FlowRefused),
    "expect_sequence": lambda journal: journal.expect_sequence([event(Noted), event(FlowRefused)]),
    "saw": lambda journal: journal.saw(DnsAnswered),
    "events": lambda journal: journal.events(FlowRefused),
}


@pytest.fixture
def slirp(fake: FakeLab) -> FakeLab:
    """A lab whose stack is seen from outside only."""
    fake.started = msgspec.structs.replace(fake.started, stack="slirp", capabilities=["ipv4", "tcp"])
    return fake


@pytest.mark.parametrize("link", ["cable", "cable-dropped"])
@pytest.mark.parametrize("verb", LINK)
def test_nobody_sees_frames_that_the_stack_does_not_record(slirp: FakeLab, verb: str, link: str) -> None:
    with pytest.raises(
        CapabilityMissing, match=r"the stack slirp has no capture: needed to see .* the link cable"
    ):
        LINK[verb](LinkView(slirp.observer(), link))


@pytest.mark.parametrize("verb", LINK)
def test_the_worlds_own_links_are_seen_with_any_stack(slirp: FakeLab, verb: str) -> None:
    slirp.frames(tcp_frame("S", to=(SHOP, 80)), link="wifi")
    link = LinkView(slirp.observer(), "wifi")
    if verb == "expect_none":
        with pytest.raises(AssertionError):
            LINK[verb](link)
    else:
        assert LINK[verb](link)


@pytest.mark.parametrize("verb", JOURNAL)
def test_nobody_sees_flows_that_the_stack_does_not_tell(slirp: FakeLab, verb: str) -> None:
    slirp.event(Noted(at=0, text="x"))
    with pytest.raises(CapabilityMissing, match="the stack slirp has no flow-events: needed to see a "):
        JOURNAL[verb](JournalView(slirp.observer()))


def test_what_the_lab_writes_itself_is_seen_with_any_stack(slirp: FakeLab) -> None:
    journal = JournalView(slirp.observer())
    slirp.event(GuestEnded(at=0, guest="guest1", reason="stopped"))
    journal.expect(GuestEnded)
    assert not journal.saw(FrameDropped)  # impairments of the world's links write it too


def test_with_the_capability_the_lab_is_asked_once(fake: FakeLab) -> None:
    link = LinkView(fake.observer(), "cable")
    link.saw(tcp.syn())
    asked = len(fake.requests)
    link.packets()
    assert [type(request).__name__ for request in fake.requests[asked:]] == ["Activity"]


def test_a_step_that_needs_more_than_the_stack_can_do_is_skipped(slirp: FakeLab) -> None:
    lab = Lab(cast(LabProcess, slirp))
    with pytest.raises(CapabilityMissing), lab.step("look"):
        lab.cable.expect(tcp.syn())
    assert [one.outcome for one in lab.journal.events(StepEnded)] == ["skipped"]
