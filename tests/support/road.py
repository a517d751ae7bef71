"""A link under a script: frames at given times, and whoever calls it when he likes."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from guestnet.core.events import VERDICTS, Event, FrameDropped, FramesDelayed, Verdict
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark
from guestnet.core.time import SECOND
from guestnet.link.link import Link
from guestnet.link.passed import Passed
from guestnet.link.settings import impairments

START = 1_700_000_000 * SECOND


class Out(NamedTuple):
    """A frame that left: how long it was held, by the link's own account."""

    frame: bytes
    held: int
    note: str


class Road:
    """Keeps all that ``link`` says about ``direction``."""

    def __init__(self, link: Link, direction: Direction = "up") -> None:
        self.link = link
        self.direction: Direction = direction
        self.out: list[Out] = []
        self.answers: list[Frame] = []
        self.events: list[Event] = []
        self.captured: list[tuple[bytes, str]] = []
        self.marks: list[Mark] = []
        """Of the capture: of frames that got through, then of those that did not."""
        self.arrived: list[tuple[int, bytes]] = []
        """When each frame left, if whoever asked was on time."""

    def offer(self, frames: Sequence[Frame], now: int) -> None:
        self.keep(self.link.offer(self.direction, frames, now), now)

    def due(self, now: int) -> None:
        self.keep(self.link.due(self.direction, now), now)

    def keep(self, passed: Passed, now: int) -> None:
        held = passed.held or [0] * len(passed.frames)
        notes = passed.notes or [""] * len(passed.frames)
        self.out += [Out(bytes(f), h, n) for f, h, n in zip(passed.frames, held, notes, strict=True)]
        self.arrived += [(now, bytes(frame)) for frame in passed.frames]
        self.answers += passed.answers
        self.events += passed.events
        self.captured += [(bytes(one.frame), one.rule) for one in passed.dropped]
        self.marks += [mark for mark in (*passed.marks(), *passed.lost()[1]) if mark != ("", 0)]

    def until(self, now: int) -> None:
        """Ask for what is due, exactly when it is, up to ``now``."""
        while (at := self.link.poll_at()) is not None and at <= now:
            self.due(at)

    def drive(self, arrivals: Iterable[tuple[int, Sequence[Frame]]], *, end: int | None = None) -> "Road":
        """All of ``arrivals``, on time, and what comes out up to ``end``; else all that ever does."""
        now = START
        for now, frames in arrivals:
            self.until(now)
            self.offer(frames, now)
        self.until(now + 3600 * SECOND if end is None else end)
        return self

    @property
    def dropped(self) -> list[FrameDropped]:
        return [event for event in self.events if isinstance(event, FrameDropped)]

    @property
    def delayed(self) -> list[FramesDelayed]:
        return [event for event in self.events if isinstance(event, FramesDelayed)]


def verdicts(events: Iterable[Event]) -> list[Verdict]:
    """All that ``events`` tell of, in order."""
    return [one for event in events if isinstance(event, VERDICTS) for one in event.verdicts()]


def numbered(number: int, size: int = 60) -> bytes:
    """A frame of a type that nobody knows, with ``number`` in it."""
    return bytes.fromhex("525400650002 525400650001 88b5") + number.to_bytes(4, "big") + bytes(size - 18)


def number_of(frame: bytes) -> int:
    return int.from_bytes(frame[14:18], "big")


FRAMES: list[Frame] = [numbered(number) for number in range(10)]


def linked(**changes: Any) -> Road:
    """A link with ``changes`` in both directions."""
    link = Link("wifi", seed=3)
    link.impair(impairments(**changes), START)
    return Road(link)


def numbers(road: Road) -> list[int]:
    """Of the frames that came through, in order."""
    return [number_of(out.frame) for out in road.out]


def lost(road: Road) -> list[int]:
    """Of the frames that did not."""
    return [number_of(frame) for frame, _ in road.captured]
