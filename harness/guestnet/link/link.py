"""A link: two ends, and in each direction what is wrong with it.

One class for the guest's cable and for every link of the world: whoever carries the frames (an edge) offers
them here and does what the answer says. "up" is away from the guest, or from the laptop; "down" towards it.

::

    passed = link.offer("up", frames, now)      what leaves at the other end at once, what is dropped, answers
    link.poll_at()                              when frames that are held want to leave
    passed = link.due("up", now)                those that leave now

Time and luck. All verdicts are made in lab time by the frames' order and times of arrival alone: a caller who
is late or who cuts batches otherwise gets the same frames with the same verdicts. Each rule draws from a
stream of its own, named by link, direction and rule: a rule that is added does not shift the others.

A direction with nothing set passes the very object that it was offered.
"""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import structs

from guestnet.core.events import Event, LinkChanged
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction
from guestnet.core.time import earliest
from guestnet.link.impairable import Settings
from guestnet.link.lane import Lane
from guestnet.link.passed import NOTHING, Passed
from guestnet.link.quantities import duration
from guestnet.link.rules.flap import Flapping
from guestnet.link.settings import NOTHING as UNSET
from guestnet.link.settings import Impairments, Schedule, cleared, merged
from guestnet.link.timetable import Timetable
from guestnet.link.words import describe
from guestnet.wire.ip import IpAddress

DIRECTIONS: Final[tuple[Direction, Direction]] = ("up", "down")


class Link:
    """The link ``name`` in a run of ``seed``. It answers packets that are too big from its ``addresses``."""

    def __init__(self, name: str, seed: int = 0, *, addresses: Sequence[IpAddress] = ()) -> None:
        self.name = name
        self.seed = seed
        self.is_plugged = True
        self._lanes = {direction: Lane(name, direction, seed, addresses) for direction in DIRECTIONS}
        self._timetable: Timetable | None = None
        self._flapping: dict[Direction, Flapping] = {}
        self._events: list[Event] = []
        self._is_idle = True
        """Nothing is set, held or to be told, in no direction: what most links are, most of the time."""

    # --- settings ---

    def set_plugged(self, plugged: bool, now: int) -> list[Event]:
        """Plug in or pull out, at the guest's end; the event, when that changed anything."""
        if plugged == self.is_plugged:
            return []
        self._advance(now)
        self.is_plugged = plugged
        for lane in self._lanes.values():
            lane.is_plugged = plugged
        told = LinkChanged(at=now, link=self.name, change="plugged" if plugged else "unplugged")
        return [*self._take_events(), told]

    def settings(self, direction: Direction) -> Impairments:
        """What is set in ``direction``."""
        return self._lanes[direction].settings

    def is_impaired(self, direction: Direction) -> bool:
        """Whether frames in ``direction`` may not pass at once and as they are, now or by the schedule."""
        return not self._lanes[direction].is_clear or self._timetable is not None

    def impair(self, settings: Impairments, now: int, direction: Direction | None = None) -> list[Event]:
        """Set what ``settings`` sets in ``direction``, or in both; all else stays as it is.

        Raises SettingError, and then nothing has changed.
        """
        self._advance(now)
        which = DIRECTIONS if direction is None else (direction,)
        wanted = {one: merged(self.settings(one), settings) for one in which}
        for one, result in wanted.items():
            self._set(one, result, now, fresh=settings)
        return [*self._take_events(), *self._told(now, which)]

    def put(self, settings: Settings, now: int) -> list[Event]:
        """Let exactly ``settings`` be set in each direction."""
        events: list[Event] = []
        for direction, wanted in zip(DIRECTIONS, settings, strict=True):
            if self.settings(direction) != wanted:
                self.clear(now, "all", direction=direction)
                events += self.impair(wanted, now, direction)
        return events

    def clear(self, now: int, *names: str, direction: Direction | None = None) -> list[Event]:
        """Take back the settings ``names``, or all and the schedule too, in ``direction`` or in both.

        Frames that are held leave when they would have. Raises SettingError.
        """
        self._advance(now)
        if not names and direction is None:
            self._timetable = None
        which = DIRECTIONS if direction is None else (direction,)
        wanted = {one: cleared(self.settings(one), *names) for one in which}
        for one, result in wanted.items():
            self._set(one, result, now)
        return [*self._take_events(), *self._told(now, which)]

    def schedule(self, schedule: Schedule | None, now: int) -> list[Event]:
        """Follow ``schedule`` from ``now`` on, in place of the former one; None ends that."""
        self._advance(now)
        self._timetable = None if schedule is None else Timetable(schedule, now)
        steps = "ends" if schedule is None else f"of {len(schedule.steps)} steps"
        if schedule is not None and schedule.repeat is not None:
            steps += f", every {duration(schedule.repeat) / 1e9:g} s"
        told = LinkChanged(at=now, link=self.name, change=f"schedule {steps}", seed=self.seed)
        return [*self._take_events(), told]

    # --- frames ---

    def offer(self, direction: Direction, frames: Sequence[Frame], now: int) -> Passed:
        """``frames`` enter at one end; what leaves at the other end at once."""
        if self._is_idle:
            return Passed(frames)
        self._follow(now)
        lane = self._lanes[direction]
        if lane.is_clear and not self._events:
            return Passed(frames)
        return self._with_events(lane.offer(frames, now))

    def due(self, direction: Direction, now: int) -> Passed:
        """What was held in ``direction`` and leaves now."""
        if self._is_idle:
            return NOTHING
        self._follow(now)
        return self._with_events(self._lanes[direction].due(now))

    def poll_at(self) -> int | None:
        """When ``due`` should be called for both directions."""
        if self._is_idle:
            return None
        up, down = self._lanes["up"], self._lanes["down"]
        at = self._changes_at()
        self._is_idle = at is None and up.is_clear and down.is_clear and not self._events
        return earliest(at, up.poll_at(), down.poll_at())

    # --- within ---

    def _advance(self, now: int) -> None:
        """Let all happen that happens up to ``now``; what leaves waits to be asked for."""
        self._is_idle = False
        self._follow(now)
        for lane in self._lanes.values():
            lane.advance(now)

    def _set(self, one: Direction, settings: Impairments, at: int, fresh: Impairments = UNSET) -> None:
        """As of `Lane.change`, from ``at`` on."""
        if fresh.flap is not None or settings.flap != self.settings(one).flap:
            self._flapping.pop(one, None)
            if settings.flap is not None:
                self._flapping[one] = Flapping(settings.flap, at)
        self._lanes[one].change(settings, at, fresh=fresh)

    def _changes_at(self) -> int | None:
        """When the link changes next by itself."""
        step = self._timetable.next_at if self._timetable is not None else None
        return earliest(step, *[flapping.next_at for flapping in self._flapping.values()])

    def _follow(self, now: int) -> None:
        """The link's own changes up to ``now``: steps of the schedule, and the downs and ups of a flap."""
        while (at := self._changes_at()) is not None and at <= now:
            self._flap(at, now)
            if self._timetable is not None and self._timetable.next_at == at:
                self._step(self._timetable, at, now)

    def _step(self, table: Timetable, at: int, now: int) -> None:
        for lane in self._lanes.values():
            lane.advance(at)
        step = table.take(now)
        which = DIRECTIONS if step.direction is None else (step.direction,)
        for one in which:
            settings = self.settings(one)
            if step.clear:
                settings = cleared(settings, *step.clear)
            self._set(one, merged(settings, step.impair), at, fresh=step.impair)
        self._events += self._told(at, which)
        if table.next_at is None:
            self._timetable = None

    def _flap(self, at: int, now: int) -> None:
        """Tell of what changes at ``at``."""
        told: dict[Literal["", "up", "down"], tuple[str, object]] = {
            one: (flapping.take(now), flapping.key)
            for one, flapping in self._flapping.items()
            if flapping.next_at == at
        }
        if len(told) == 2 and told["up"] == told["down"]:
            told = {"": told["up"]}
        self._events += [self._changed(at, one, words) for one, (words, _) in told.items()]

    def _told(self, at: int, which: Sequence[Direction]) -> list[Event]:
        """That the settings of the directions ``which`` are as they are now."""
        words = {one: describe(self.settings(one)) for one in which}
        if len(which) == 2 and words["up"] == words["down"]:
            return [self._event(at, "", words["up"])]
        return [self._event(at, direction, words[direction]) for direction in which]

    def _event(self, at: int, direction: Literal["", "up", "down"], words: str) -> LinkChanged:
        return self._changed(at, direction, f"impaired: {words}" if words else "not impaired")

    def _changed(self, at: int, direction: Literal["", "up", "down"], change: str) -> LinkChanged:
        return LinkChanged(at=at, link=self.name, change=change, direction=direction, seed=self.seed)

    def _with_events(self, passed: Passed) -> Passed:
        if not self._events:
            return passed
        return structs.replace(passed, events=[*self._take_events(), *passed.events])

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
