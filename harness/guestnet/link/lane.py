"""One direction of a link: its settings, compiled into rules, and the frames that it holds.

::

    entry (at once)                                    timed
    mtu → drop → loss → duplicate → corrupt → reorder → queue of rate or trace → delay and jitter → down?

Frames go only forward, and each stage handles them in order at times of their own. So ``advance`` may come
late, and frames may come one by one or in batches: what leaves, and when, is the same.

A change of settings takes hold at its own moment. A rule that it does not set keeps its state (which frame is
next, in which state bursts are); frames in the queue and in the delay line stay where they are. When the
reordering, or the rate with its queue, ends, what it held goes on at once.
"""

from collections.abc import Sequence
from operator import sub
from typing import Final

from guestnet.core.port import Frame
from guestnet.core.recorder import Direction
from guestnet.core.rng import Stream, stream
from guestnet.core.time import earliest
from guestnet.link.item import Item
from guestnet.link.line import DelayLine
from guestnet.link.passed import Passed
from guestnet.link.quantities import bound, duration
from guestnet.link.rules import rate
from guestnet.link.rules.base import EntryKind, EntryRule
from guestnet.link.rules.delay import Delay, constant, jittered
from guestnet.link.rules.queue import DEFAULT, Queue, Server, Shaper, managing
from guestnet.link.rules.reorder import Overtaking, Reorder
from guestnet.link.rules.trace import Trace
from guestnet.link.settings import ENTRY, FIELDS, NOTHING, Impairments
from guestnet.link.verdicts import Verdicts
from guestnet.link.words import describe, rule
from guestnet.wire.ip import IpAddress

_SHAPING: Final = frozenset({"rate", "burst", "queue", "codel", "trace"})
_SERVING: Final = frozenset({"rate", "burst", "trace"})
_DELAYING: Final = frozenset({"delay", "jitter", "keep_order"})


class Lane:
    """``direction`` of the link ``name``."""

    def __init__(self, name: str, direction: Direction, seed: int, addresses: Sequence[IpAddress]) -> None:
        self.settings = NOTHING
        self.is_plugged = True
        self._label = (seed, "link", name, direction)
        self._addresses = addresses
        self._streams: dict[str, Stream] = {}
        self._verdicts = Verdicts(name, direction)
        self._entry: dict[str, list[EntryRule]] = {}
        self._rules: list[EntryRule] = []
        self._reorder: Overtaking | None = None
        self._queue = Queue(self._verdicts)
        self._server: Server | None = None
        self._shaper: Shaper | None = None
        self._line = DelayLine()
        self._flap: tuple[int, int, int] | None = None
        self._is_timed = False
        self._ready: list[tuple[int, Item, str]] = []
        self._entered = 0

    @property
    def is_clear(self) -> bool:
        """Whether every frame passes as it is and at once, and nothing is left to be said."""
        return (
            self.is_plugged
            and self.settings is NOTHING
            and not self._ready
            and self._line.poll_at() is None
            and self._verdicts.is_empty
        )

    # --- settings ---

    def change(self, settings: Impairments, now: int, *, fresh: Impairments = NOTHING) -> None:
        """Be as of ``settings`` from ``now`` on; rules that ``fresh`` sets begin anew even if they stay.

        The caller has advanced the lane to ``now``.
        """
        old = self.settings
        self.settings = NOTHING if settings == NOTHING else settings
        changed = {
            field
            for field in FIELDS
            if getattr(fresh, field) is not None or getattr(old, field) != getattr(settings, field)
        }
        for field in changed & set(ENTRY):
            self._entry[field] = self._rules_of(field)
        self._rules = [each for field in ENTRY for each in self._entry.get(field, ())]
        if changed & _DELAYING:
            self._delay(now)
        if changed & _SHAPING:
            self._reshape(changed, now)
        if "reorder" in changed:
            held = self._reorder.take_all() if self._reorder is not None else []
            self._reorder = None
            if isinstance(wanted := settings.reorder, Reorder):
                self._reorder = wanted.build(rule(settings, "reorder"), self._stream)
            self._queued(held, now)
        if "flap" in changed:
            flap = settings.flap
            self._flap = None if flap is None else (now, duration(flap.up), duration(flap.down))
        timed = {field: getattr(settings, field) for field in _DELAYING | {"rate", "trace", "queue", "codel"}}
        self._line.by = describe(Impairments(**timed))
        self._is_timed = any(
            getattr(settings, field) is not None for field in ("delay", "jitter", "reorder", "rate", "trace")
        )

    def _rules_of(self, field: str) -> list[EntryRule]:
        wanted: EntryKind | None = getattr(self.settings, field)
        if wanted is None:
            return []
        return wanted.build(rule(self.settings, field), self._stream, self._addresses)

    def _delay(self, now: int) -> None:
        settings = self.settings
        wanted = settings.delay if isinstance(settings.delay, Delay) else None
        draw, fixed = constant(0), 0 if wanted is None else wanted.fixed
        if wanted is not None:
            draw = wanted.draw(self._stream, now)
        if jitter := duration(settings.jitter) if settings.jitter is not None else 0:
            draw, fixed = jittered(draw, self._stream("jitter"), jitter), None
        self._line.set(
            rule(settings, "delay"), draw, fixed=fixed,
            check=None if wanted is None else wanted.filter, keep_order=settings.keep_order is not False,
        )  # fmt: skip

    def _reshape(self, changed: set[str], now: int) -> None:
        settings = self.settings
        self._queue.bound = DEFAULT if settings.queue is None else bound(settings.queue)
        if "codel" in changed:
            wanted = managing(settings.codel)
            self._queue.codel = None if wanted is None else wanted.build()
        if changed & _SERVING:
            # A frame that is being sent is sent to its end.
            self._server = None
            if isinstance(settings.trace, Trace):
                self._server = settings.trace.server(now)
            elif settings.rate is not None:
                busy_until = max(now, self._line.last_arrival)
                self._server = rate.server(settings.rate, settings.burst, now, busy_until)
        if self._server is None:
            self._shaper = None
            while (entry := self._queue.pop()) is not None:
                self._line.push([(now, entry[1])], self._verdicts)
            return
        name = rule(settings, "rate" if settings.trace is None else "trace")
        self._shaper = Shaper(name, self._queue, self._server, self._verdicts)

    def _stream(self, name: str) -> Stream:
        """The random stream of the rule ``name``: one for as long as the lane lives."""
        if name not in self._streams:
            self._streams[name] = stream(*self._label, name)
        return self._streams[name]

    # --- frames ---

    def offer(self, frames: Sequence[Frame], now: int) -> Passed:
        """``frames`` enter."""
        self.advance(now)
        items = self._numbered(frames, now)
        if reason := self._down(now):
            self._lose(items, reason, now)
            return self._passed()
        for each in self._rules:
            items = each.apply(items, now, self._verdicts)
        if self._is_timed or self._line.poll_at() is not None:
            # Held frames must not hold the whole buffer that they came in.
            items = [(bytes(frame), note, entered, number) for frame, note, entered, number in items]
            if self._reorder is not None:
                items = self._reorder.push(items, now, self._verdicts)
            self._queued(items, now)
            self._collect(now)
        else:
            self._ready += [(now, item, "") for item in items]
        return self._passed()

    def _numbered(self, frames: Sequence[Frame], now: int) -> list[Item]:
        """``frames`` with their packet ids: only what lab time alone tells decides who gets one."""
        if self.settings is NOTHING and self.is_plugged and self._line.poll_at() is None:
            return [(frame, "", now, 0) for frame in frames]
        first = self._entered + 1
        self._entered += len(frames)
        return [(frame, "", now, number) for number, frame in enumerate(frames, first)]

    def due(self, now: int) -> Passed:
        """What leaves at ``now``."""
        self.advance(now)
        return self._passed()

    def advance(self, now: int) -> None:
        """Let all happen that happens up to ``now``."""
        if self._reorder is not None:
            for at, item in self._reorder.overdue(now):
                self._serve(at)
                self._queued([item], at)
        self._serve(now)
        self._collect(now)
        self._verdicts.settle(now)

    def poll_at(self) -> int | None:
        """When ``due`` should be called."""
        return earliest(
            self._ready[0][0] if self._ready else None,
            self._reorder.poll_at() if self._reorder is not None else None,
            self._shaper.poll_at() if self._shaper is not None else None,
            self._line.poll_at(),
            self._verdicts.poll_at(),
        )

    def _queued(self, items: list[Item], at: int) -> None:
        """``items`` go into the queue, or straight to the delay line."""
        shaper = self._shaper
        arrivals = [(at, item) for item in items] if shaper is None else shaper.push(items, at)
        self._line.push(arrivals, self._verdicts)

    def _serve(self, now: int) -> None:
        """The queue up to ``now``."""
        if self._shaper is not None and (departures := self._shaper.serve(now)):
            self._line.push(departures, self._verdicts)

    def _collect(self, now: int) -> None:
        """What has come to the end of the line by ``now``."""
        due = self._line.take(now)
        if not due:
            return
        if self.is_plugged and self._flap is None and not self.settings.down:
            self._ready += [(at, item, by) for at, _, item, by in due]
            return
        for at, _, item, by in due:
            if reason := self._down(at):
                self._lose([item], reason, at)
            else:
                self._ready.append((at, item, by))

    def _down(self, at: int) -> str:
        """Why nothing gets through at ``at``; "" when it does."""
        if not self.is_plugged:
            return "unplugged"
        if self.settings.down:
            return "down"
        if self._flap is not None:
            start, up, down = self._flap
            if (at - start) % (up + down) >= up:
                return rule(self.settings, "flap")
        return ""

    def _lose(self, items: Sequence[Item], reason: str, at: int) -> None:
        for item in items:
            self._verdicts.lost(item, reason, at)

    def _passed(self) -> Passed:
        events, dropped, answers = self._verdicts.take()
        ready, self._ready = self._ready, []
        if not ready:
            return Passed((), events, dropped, answers)
        times, items, by = zip(*ready, strict=True)
        passed, notes, entered, packet_ids = zip(*items, strict=True)
        frames = list(passed)
        held = list(map(sub, times, entered))
        if not any(held) and not any(notes):
            return Passed(frames, events, dropped, answers)
        return Passed(frames, events, dropped, answers, held, notes, by, packet_ids)
