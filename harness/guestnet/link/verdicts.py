"""What the rules of one direction decided: gathered for the journal and the capture.

Every verdict is in the journal. A drop or a change is an event of its own, until a rule has had ``SHOWN`` of
them within a second of lab time: decoding a frame for people takes longer than forwarding it. The others, and
all delays, come as columns, up to ``TOGETHER`` a line. Nothing here depends on how frames are batched: the
seconds are those of the lab clock, and times are those at which rules decided, not at which somebody asked.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from guestnet.core.columns import differences
from guestnet.core.events import (
    Event,
    FrameDropped,
    FrameImpaired,
    FramesDelayed,
    FramesDropped,
    FramesImpaired,
)
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction
from guestnet.core.time import SECOND
from guestnet.link.item import Item
from guestnet.link.passed import Dropped
from guestnet.wire import frame as layers

SHOWN: Final = 200
"""Frames a rule and second that are shown one by one."""
TOGETHER: Final = 1000
"""Verdicts a line of the journal."""
_SHOWN_OF_A_BATCH: Final = 32

_Kind = type[FrameDropped] | type[FrameImpaired]
_Row: TypeAlias = tuple[int, int, int]
"""Packet id, time, and the octets or the delay."""


class Gathered:
    """Verdicts of one rule within one second, which go to ``tell`` when it is over or enough are here."""

    __slots__ = ("_start", "_tell", "end", "rows", "shown")

    def __init__(self, tell: Callable[[list[_Row]], None]) -> None:
        self._tell = tell
        self._start = self.end = 0
        self.rows: list[_Row] = []
        self.shown = 0

    def turn(self, at: int) -> None:
        """Be of the second of ``at``."""
        if not self._start <= at < self.end:
            self.tell()
            self._start = at // SECOND * SECOND
            self.end = self._start + SECOND
            self.shown = 0

    def add(self, packet_id: int, at: int, value: int) -> None:
        """One more."""
        if not self._start <= at < self.end:
            self.turn(at)
        self.rows.append((packet_id, at, value))
        if len(self.rows) >= TOGETHER:
            self.tell()

    def tell(self) -> None:
        """Hand over what is here."""
        if self.rows:
            rows, self.rows = self.rows, []
            self._tell(rows)


class Verdicts:
    """Of one direction of ``link``."""

    def __init__(self, link: str, direction: Direction) -> None:
        self._link = link
        self._direction = direction
        self._events: list[Event] = []
        self._dropped: list[Dropped] = []
        self._answers: list[Frame] = []
        self._floods: dict[tuple[_Kind, str], Gathered] = {}
        self._delays: dict[str, Gathered] = {}

    def lost(self, item: Item, rule: str, at: int) -> None:
        """``rule`` dropped ``item``."""
        self._dropped.append(Dropped(item[0], rule, item[3]))
        self._decided(FrameDropped, item, rule, at)

    def changed(self, item: Item, rule: str, at: int) -> None:
        """``rule`` lets ``item`` through, but not as it was."""
        self._decided(FrameImpaired, item, rule, at)

    def answer(self, frame: Frame) -> None:
        """``frame`` goes back to where another came from."""
        self._answers.append(frame)

    def delays(self, rule: str) -> Gathered:
        """Where to ``add`` what ``rule`` holds: for now, not to be kept."""
        delays = self._delays.get(rule)
        if delays is None:
            delays = self._delays[rule] = Gathered(lambda rows: self._tell_delays(rule, rows))
        return delays

    def settle(self, now: int) -> None:
        """Tell what was gathered in seconds that are over."""
        for delayed in [rule for rule, one in self._delays.items() if one.end <= now]:
            self._delays.pop(delayed).tell()
        for flood in [key for key, one in self._floods.items() if one.end <= now]:
            self._floods.pop(flood).tell()

    def poll_at(self) -> int | None:
        """When there is something to ``settle``."""
        ends = [one.end for one in self._delays.values() if one.rows]
        if self._floods:
            ends += [one.end for one in self._floods.values() if one.rows]
        return min(ends, default=None)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell, now or later."""
        told = self._events or self._dropped or self._answers
        return not told and self.poll_at() is None

    def take(self) -> tuple[Sequence[Event], Sequence[Dropped], Sequence[Frame]]:
        """Events, dropped frames and answers since the last time."""
        taken = (self._events, self._dropped, self._answers)
        self._events, self._dropped, self._answers = [], [], []
        return taken

    def _decided(self, kind: _Kind, item: Item, rule: str, at: int) -> None:
        flood = self._floods.get((kind, rule))
        if flood is None:
            flood = self._floods[kind, rule] = Gathered(lambda rows: self._tell_flood(kind, rule, rows))
        flood.turn(at)
        frame, _, _, packet_id = item
        if flood.shown >= SHOWN:
            flood.add(packet_id, at, len(frame))
            return
        flood.shown += 1
        event = kind(
            at=at, link=self._link, direction=self._direction, rule=rule, frame=_show(frame),
            length=len(frame), packet_id=packet_id,
        )  # fmt: skip
        self._events.append(event)

    def _tell_flood(self, kind: _Kind, rule: str, rows: list[_Row]) -> None:
        packet_ids, times, lengths = zip(*rows, strict=True)
        batch = FramesDropped if kind is FrameDropped else FramesImpaired
        event = batch(
            at=times[-1], link=self._link, direction=self._direction, rule=rule, count=len(rows),
            octets=sum(lengths), first_at=times[0], packet_ids=differences(packet_ids),
            times=_since_first(times), lengths=differences(lengths),
        )  # fmt: skip
        self._events.append(event)

    def _tell_delays(self, rule: str, rows: list[_Row]) -> None:
        packet_ids, times, delays = zip(*rows, strict=True)
        event = FramesDelayed(
            at=times[-1], link=self._link, direction=self._direction, rule=rule, count=len(rows),
            least=min(delays), mean=sum(delays) // len(rows), most=max(delays), first_at=times[0],
            packet_ids=differences(packet_ids), times=_since_first(times), delays=differences(delays),
        )  # fmt: skip
        self._events.append(event)


def dropped(link: str, rule: str, frames: Sequence[Frame], now: int) -> list[Event]:
    """What tells that ``rule`` dropped ``frames`` on ``link``, where there are no directions and no numbers.

    The first are shown, an event each; of a flood the others come together.
    """
    shown, more = frames[:_SHOWN_OF_A_BATCH], frames[_SHOWN_OF_A_BATCH:]
    events: list[Event] = [
        FrameDropped(at=now, link=link, rule=rule, frame=_show(one), length=len(one)) for one in shown
    ]
    for first in range(0, len(more), TOGETHER):
        lengths = [len(one) for one in more[first : first + TOGETHER]]
        batch = FramesDropped(
            at=now, link=link, direction="", rule=rule, count=len(lengths), octets=sum(lengths),
            first_at=now, times=[0] * len(lengths), lengths=differences(lengths),
        )  # fmt: skip
        events.append(batch)
    return events


def _since_first(times: Sequence[int]) -> list[int]:
    return [0, *differences(times)[1:]]


def _show(frame: Frame) -> str:
    return layers.show(layers.decode(frame))
