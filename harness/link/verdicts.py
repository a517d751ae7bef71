"""What the rules of one direction decided: gathered for the journal and the capture.

A drop or a change is an event of its own, until a rule has had ``SHOWN`` of them within a second of lab time:
decoding a frame for people takes longer than forwarding it. The others are counted, and told when the second
is over. Delays are counted always. Nothing here depends on how frames are batched: the seconds are those of
the lab clock, and times are those at which rules decided, not at which somebody asked.
"""

from collections.abc import Sequence
from typing import Final

from harness.core.events import Event, FrameDropped, FrameImpaired, FramesDelayed
from harness.core.port import Frame
from harness.core.recorder import Direction
from harness.core.time import SECOND
from harness.link.passed import Dropped
from harness.wire import frame as layers

SHOWN: Final = 200
"""Frames a rule and second that are shown one by one."""

_Kind = type[FrameDropped] | type[FrameImpaired]


class _Flood:
    """Of one rule within ``second``: how many were shown, and what came after those."""

    __slots__ = ("more", "octets", "second", "shown")

    def __init__(self, second: int) -> None:
        self.second = second
        self.shown = self.more = self.octets = 0


class _Delays:
    """Of one rule within ``second``."""

    __slots__ = ("count", "least", "most", "second", "total")

    def __init__(self, second: int) -> None:
        self.second = second
        self.count = self.total = self.most = 0
        self.least = 1 << 62


class Verdicts:
    """Of one direction of ``link``."""

    def __init__(self, link: str, direction: Direction) -> None:
        self._link = link
        self._direction = direction
        self._events: list[Event] = []
        self._dropped: list[Dropped] = []
        self._answers: list[Frame] = []
        self._floods: dict[tuple[_Kind, str], _Flood] = {}
        self._delays: dict[str, _Delays] = {}

    def lost(self, frame: Frame, rule: str, at: int) -> None:
        """``rule`` dropped ``frame``."""
        self._dropped.append(Dropped(frame, rule))
        self._tell(FrameDropped, frame, rule, at)

    def changed(self, frame: Frame, rule: str, at: int) -> None:
        """``rule`` lets ``frame`` through, but not as it was."""
        self._tell(FrameImpaired, frame, rule, at)

    def answer(self, frame: Frame) -> None:
        """``frame`` goes back to where another came from."""
        self._answers.append(frame)

    def held(self, rule: str, count: int, least: int, total: int, most: int, at: int) -> None:
        """``rule`` holds ``count`` frames in the second of ``at``, ``total`` nanoseconds in all."""
        second = at // SECOND
        delays = self._delays.get(rule)
        if delays is None or delays.second != second:
            if delays is not None:
                self._tell_delays(rule, delays)
            delays = self._delays[rule] = _Delays(second)
        delays.count += count
        delays.total += total
        delays.least = min(delays.least, least)
        delays.most = max(delays.most, most)

    def settle(self, now: int) -> None:
        """Tell what was counted in seconds that are over."""
        if not (self._delays or self._floods):
            return
        second = now // SECOND
        for rule, delays in list(self._delays.items()):
            if delays.second < second:
                self._tell_delays(rule, delays)
                del self._delays[rule]
        for key, flood in list(self._floods.items()):
            if flood.second < second:
                self._tell_flood(*key, flood)
                del self._floods[key]

    def poll_at(self) -> int | None:
        """When there is something to ``settle``."""
        seconds = [delays.second for delays in self._delays.values()]
        seconds += [flood.second for flood in self._floods.values() if flood.more]
        return (min(seconds) + 1) * SECOND if seconds else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell, now or later."""
        told = self._events or self._dropped or self._answers or self._delays
        return not told and not any(flood.more for flood in self._floods.values())

    def take(self) -> tuple[Sequence[Event], Sequence[Dropped], Sequence[Frame]]:
        """Events, dropped frames and answers since the last time."""
        taken = (self._events, self._dropped, self._answers)
        self._events, self._dropped, self._answers = [], [], []
        return taken

    def _tell(self, kind: _Kind, frame: Frame, rule: str, at: int) -> None:
        second = at // SECOND
        flood = self._floods.get((kind, rule))
        if flood is None or flood.second != second:
            if flood is not None:
                self._tell_flood(kind, rule, flood)
            flood = self._floods[kind, rule] = _Flood(second)
        if flood.shown < SHOWN:
            flood.shown += 1
            shown = layers.show(layers.decode(frame))
            event = kind(
                at=at, link=self._link, direction=self._direction, rule=rule, frame=shown, length=len(frame)
            )
            self._events.append(event)
        else:
            flood.more += 1
            flood.octets += len(frame)

    def _tell_flood(self, kind: _Kind, rule: str, flood: _Flood) -> None:
        if flood.more:
            event = kind(
                at=(flood.second + 1) * SECOND, link=self._link, direction=self._direction, rule=rule,
                frame=f"and {flood.more} more frames", length=flood.octets, count=flood.more,
            )  # fmt: skip
            self._events.append(event)

    def _tell_delays(self, rule: str, delays: _Delays) -> None:
        event = FramesDelayed(
            at=(delays.second + 1) * SECOND, link=self._link, direction=self._direction, rule=rule,
            count=delays.count, least=delays.least, mean=delays.total // delays.count, most=delays.most,
        )  # fmt: skip
        self._events.append(event)


class Tally:
    """Delays by ``rule``, added up before they go to ``verdicts``."""

    __slots__ = ("_count", "_least", "_most", "_rule", "_second", "_total", "_verdicts")

    def __init__(self, rule: str, verdicts: Verdicts) -> None:
        self._rule = rule
        self._verdicts = verdicts
        self._second = 0
        self._count = self._total = self._least = self._most = 0

    def add(self, held: int, at: int) -> None:
        """A frame is held for ``held`` nanoseconds; it counts in the second of ``at``."""
        if at // SECOND != self._second:
            self.tell()
            self._second = at // SECOND
        if not self._count or held < self._least:
            self._least = held
        if held > self._most:
            self._most = held
        self._count += 1
        self._total += held

    def tell(self) -> None:
        """Hand over what was added."""
        if self._count:
            self._verdicts.held(
                self._rule, self._count, self._least, self._total, self._most, self._second * SECOND
            )
            self._count = self._total = self._most = 0


def dropped(link: str, rule: str, frames: Sequence[Frame], now: int) -> list[Event]:
    """One event for each of ``frames`` that ``rule`` dropped on ``link``, where there are no directions."""
    return [
        FrameDropped(at=now, link=link, rule=rule, frame=layers.show(layers.decode(one)), length=len(one))
        for one in frames
    ]
