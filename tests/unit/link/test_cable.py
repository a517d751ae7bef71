"""A cable and the place where impairments plug in."""

from collections.abc import Sequence

from harness.core.events import FrameDropped, LinkChanged
from harness.core.port import Frame
from harness.core.time import MILLISECOND, SECOND
from harness.link.cable import Cable, Passed

START = 1_700_000_000 * SECOND
FRAME = bytes.fromhex("ffffffffffff5254006500010806") + bytes(28)


class Delay:
    """Holds every frame for 40 ms."""

    def __init__(self) -> None:
        self.held: list[tuple[int, Frame]] = []

    def offer(self, frames: Sequence[Frame], now: int) -> Passed:
        self.held += [(now + 40 * MILLISECOND, frame) for frame in frames]
        return Passed(())

    def due(self, now: int) -> Passed:
        ready = [frame for at, frame in self.held if at <= now]
        self.held = [(at, frame) for at, frame in self.held if at > now]
        return Passed(ready)

    def poll_at(self) -> int | None:
        return min((at for at, _ in self.held), default=None)


def test_a_cable_passes_frames_at_once() -> None:
    cable = Cable("cable")
    assert cable.offer("up", [FRAME], START) == Passed([FRAME])
    assert cable.poll_at() is None


def test_a_cable_that_is_down_drops_and_says_so() -> None:
    cable = Cable("cable")
    assert cable.set_up(False, START) == [LinkChanged(at=START, link="cable", change="down")]
    passed = cable.offer("down", [FRAME, FRAME], START)
    assert not passed.frames
    assert [type(event) for event in passed.events] == [FrameDropped, FrameDropped]
    assert [event.rule for event in passed.events if isinstance(event, FrameDropped)] == ["down", "down"]


def test_setting_a_cable_as_it_is_changes_nothing() -> None:
    assert Cable("cable").set_up(True, START) == []


def test_an_impairment_holds_frames_of_its_direction_only() -> None:
    cable = Cable("cable")
    cable.impair("up", Delay())
    assert cable.offer("up", [FRAME], START).frames == ()
    assert cable.offer("down", [FRAME], START).frames == [FRAME]
    assert cable.poll_at() == START + 40 * MILLISECOND
    assert cable.due("up", START + 40 * MILLISECOND).frames == [FRAME]
    assert cable.poll_at() is None


def test_frames_held_when_the_cable_goes_down_are_dropped() -> None:
    cable = Cable("cable")
    cable.impair("down", Delay())
    cable.offer("down", [FRAME], START)
    cable.set_up(False, START)
    passed = cable.due("down", START + SECOND)
    assert not passed.frames
    assert len(passed.events) == 1
