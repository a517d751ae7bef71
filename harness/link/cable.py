"""One link between two ends, each direction on its own.

A cable passes frames at once while it is up and drops them while it is down. An ``Impairment`` may be
fitted to a direction; it then decides over every frame: pass, hold until a due time, or drop, and says so
in events. The cable asks nobody for the time and holds no frame itself.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from harness.core.events import Event as JournalEvent
from harness.core.events import FrameDropped, LinkChanged
from harness.core.port import Frame
from harness.core.recorder import Direction
from harness.wire import frame as layers


class Passed(Struct, frozen=True):
    """What came through, in order, and what is to be written in the journal about what did not."""

    frames: Sequence[Frame]
    events: Sequence[JournalEvent] = ()


class Impairment(Protocol):
    """Decides over the frames of one direction; seeded, in lab time, and bounded in what it holds."""

    def offer(self, frames: Sequence[Frame], now: int) -> Passed:
        """What of ``frames`` goes on at once."""

    def due(self, now: int) -> Passed:
        """Frames held until ``now``."""

    def poll_at(self) -> int | None:
        """When the next held frame is due."""


class Cable:
    """A link called ``name``; directions are "up", away from the guest, and "down"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_up = True
        self._impairments: dict[Direction, Impairment] = {}

    def set_up(self, up: bool, now: int) -> list[JournalEvent]:
        """Plug in or pull out; the event, when that changed anything."""
        if up == self.is_up:
            return []
        self.is_up = up
        return [LinkChanged(at=now, link=self.name, change="up" if up else "down")]

    def impair(self, direction: Direction, impairment: Impairment | None) -> None:
        """Fit ``impairment`` to ``direction`` in place of the former one; what that one held is lost."""
        if impairment is None:
            self._impairments.pop(direction, None)
        else:
            self._impairments[direction] = impairment

    def is_impaired(self, direction: Direction) -> bool:
        """Whether there is an impairment in ``direction``."""
        return direction in self._impairments

    def offer(self, direction: Direction, frames: Sequence[Frame], now: int) -> Passed:
        """``frames`` enter at one end; what leaves at the other end at once."""
        if not self.is_up:
            return Passed((), dropped(self.name, "down", frames, now))
        impairment = self._impairments.get(direction)
        return Passed(frames) if impairment is None else impairment.offer(frames, now)

    def due(self, direction: Direction, now: int) -> Passed:
        """What was held in ``direction`` and leaves now."""
        impairment = self._impairments.get(direction)
        if impairment is None:
            return Passed(())
        passed = impairment.due(now)
        if self.is_up or not passed.frames:
            return passed
        return Passed((), [*passed.events, *dropped(self.name, "down", passed.frames, now)])

    def poll_at(self) -> int | None:
        """When ``due`` should be called for both directions."""
        if not self._impairments:
            return None
        return min(
            (at for one in self._impairments.values() if (at := one.poll_at()) is not None), default=None
        )


def dropped(link: str, rule: str, frames: Sequence[Frame], now: int) -> list[JournalEvent]:
    """One event for each of ``frames`` that ``rule`` dropped on ``link``."""
    return [
        FrameDropped(at=now, link=link, rule=rule, frame=layers.show(layers.decode(one))) for one in frames
    ]
