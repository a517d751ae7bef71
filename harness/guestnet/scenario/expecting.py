"""The verbs of an expectation, on links and on the journal, and what a failure says.

An expectation is met as soon as its frame or event is recorded, and fails at its deadline: with what was
expected in words, the nearest misses and why they are none, and what the journal says about that time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar, cast

import msgspec

from guestnet.core.errors import DescriptionError, ExpectationFailed, LabError
from guestnet.core.events import (
    AddressConflict,
    CaptureEnded,
    DhcpServed,
    DnsAnswered,
    Event,
    Expected,
    FlowClosed,
    FlowOpened,
    FlowRefused,
    LimitReached,
    Verdict,
)
from guestnet.journal.query import Packet
from guestnet.scenario.matchers import event as event_matchers
from guestnet.scenario.matchers.base import Matchable, Matcher, matcher, nearest
from guestnet.scenario.observer import Duration, Observer, Since
from guestnet.scenario.verbs import author
from guestnet.scenario.views import told

E = TypeVar("E", bound=Event)
Item = TypeVar("Item", bound=Packet | Event)

OF_THE_STACK: Final = (
    AddressConflict, DhcpServed, DnsAnswered, FlowOpened, FlowRefused, FlowClosed, LimitReached
)  # fmt: skip
"""Events that only a stack writes: another says nothing of what it does."""
NEAREST: Final = 3
"""Near misses that a failure shows."""


class View(ABC, Generic[Item]):
    """What links and the journal have in common: the verbs' work on a list of items that only grows."""

    def __init__(self, observer: Observer, name: str, noun: str) -> None:
        self._observer = observer
        self.name = name
        self._noun = noun

    @abstractmethod
    def _all(self) -> Sequence[Item]:
        """Every item of the trace, of which some belong here."""

    @abstractmethod
    def _belongs(self, item: Item) -> bool:
        """Whether ``item`` is one of this view's."""

    @abstractmethod
    def _line(self, item: Item) -> str:
        """``item`` for a failure, in one line."""

    def _count(self, number: int) -> str:
        return f"{number} {self._noun}{'' if number == 1 else 's'}"

    def _items(self, since: Since, first: int = 0) -> Iterator[tuple[int, Item]]:
        """Items from ``since`` on and at index ``first`` or later, each with the index after it."""
        start = self._observer.start(since)
        if isinstance(since, Packet):
            first = max(first, self._index_after(since))
        everything = self._all()
        for index in range(first, len(everything)):
            item = everything[index]
            if item.at >= start and item is not since and self._belongs(item):
                yield index + 1, item

    def _index_after(self, packet: Packet) -> int:
        """Where a search that begins after ``packet`` begins."""
        return 0

    def _first(
        self, wanted: Matcher[Item], within: Duration, since: Since, first: int = 0
    ) -> tuple[int, Item] | None:
        """The first item that fits, as soon as it is there, with the index after it."""
        for _ in self._observer.growth(within):
            end = len(self._all())
            for index, item in self._items(since, first):
                if wanted.matches(item):
                    return index, item
            first = end
        return None

    def _expect(self, wanted: Matcher[Item], within: Duration, since: Since) -> Item:
        __tracebackhide__ = True
        what = f"{wanted.describe()} on {self.name}"
        found = self._first(wanted, within, since)
        if found is None:
            raise self._failed(f"expected within {_show_duration(within)}: {what}", what, wanted, since)
        self._met(what, found[1])
        return found[1]

    def _expect_none(self, unwanted: Matcher[Item], for_: Duration, since: Since) -> None:
        __tracebackhide__ = True
        what = f"no {_without_article(unwanted.describe())} on {self.name}"
        found = self._first(unwanted, for_, since)
        if found is None:
            self._met(what, None)
            return
        line = self._line(found[1])
        self._record(Expected(at=0, what=what, met=False, frame=_number(found[1]), nearest=[line]))
        raise ExpectationFailed(f"expected for {_show_duration(for_)}: {what}; but there was\n    {line}")

    def _expect_sequence(self, wanted: Sequence[Matcher[Item]], within: Duration, since: Since) -> list[Item]:
        __tracebackhide__ = True
        found: list[Item] = []
        deadline = self._observer.deadline(within)
        index = 0
        for order, one in enumerate(wanted, 1):
            hit = self._first(one, max(0.0, deadline()), since, index)
            what = f"{one.describe()} on {self.name}, as number {order} of a sequence of {len(wanted)}"
            if hit is None:
                head = f"expected within {_show_duration(within)}: {what}"
                before = "".join(
                    f"\n    number {n} was {self._line(item)}" for n, item in enumerate(found, 1)
                )
                raise self._failed(head + before, what, one, found[-1] if found else since)
            index, item = hit
            self._met(what, item)
            found.append(item)
        return found

    def _met(self, what: str, item: Item | None) -> None:
        self._record(Expected(at=0, what=what, met=True, frame=None if item is None else _number(item)))

    def _record(self, event: Expected) -> None:
        self._observer.record(msgspec.structs.replace(event, where=author()))

    def _failed(self, head: str, what: str, wanted: Matcher[Item], since: Since) -> ExpectationFailed:
        """The failure, journaled, with the nearest misses and what the journal says about the time."""
        candidates = [item for _, item in self._items(since)]
        misses = nearest(wanted, candidates, NEAREST)
        lines = [(self._line(miss.item), "; ".join(miss.misses)) for miss in misses]
        told = self._observer.told(since)
        frame = _number(misses[0].item) if misses else None
        near = [f"{line}: {why}" for line, why in lines]
        self._record(Expected(at=0, what=what, met=False, frame=frame, nearest=near))
        count = f"{self._count(len(candidates))} {self._observer.show_since(since)}"
        text = [head, f"  {count}" + ("; the nearest:" if lines else ", none like it" if candidates else "")]
        for line, why in lines:
            text += [f"    {line}", f"        {why}"]
        text += self._hints(candidates)
        if told:
            text += ["  the journal meanwhile:", *(f"    {line}" for line in told)]
        return ExpectationFailed("\n".join(text))

    def _hints(self, candidates: Sequence[Item]) -> list[str]:
        """More lines for a failure."""
        return []


class LinkView(View[Packet]):
    """A link of the lab, as captured. Matchers are of `guestnet.scenario`'s modules tcp, udp, dns, ….

    All verbs look at frames since the lab began, or since ``since``: a step, a packet, an event or a time.
    Durations are seconds or text ("200ms"). They raise LabError rather than conclude anything from frames
    that a capture which ended early has not got.
    """

    def __init__(self, observer: Observer, name: str) -> None:
        super().__init__(observer, name, "frame")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {told(self._show)}>"

    def _show(self) -> str:
        self._observer.refresh()
        return self._count(sum(map(self._belongs, self._all())))

    def expect(self, wanted: Matchable[Packet], *, within: Duration = 1.0, since: Since = None) -> Packet:
        """The first packet that fits, waiting ``within`` for it. Raises ExpectationFailed."""
        __tracebackhide__ = True
        return self._expect(matcher(wanted), within, since)

    def expect_none(self, unwanted: Matchable[Packet], *, for_: Duration = 0.5, since: Since = None) -> None:
        """Wait ``for_``; raises ExpectationFailed as soon as a packet fits."""
        __tracebackhide__ = True
        self._expect_none(matcher(unwanted), for_, since)

    def expect_sequence(
        self, wanted: Sequence[Matchable[Packet]], *, within: Duration = 1.0, since: Since = None
    ) -> list[Packet]:
        """Packets that fit one after the other, others may lie between. Raises ExpectationFailed."""
        __tracebackhide__ = True
        return self._expect_sequence([matcher(one) for one in wanted], within, since)

    def saw(self, wanted: Matchable[Packet], *, since: Since = None) -> bool:
        """Whether a packet that fits was captured so far."""
        return self._first(matcher(wanted), 0, since) is not None

    def packets(self, wanted: Matchable[Packet] | None = None, *, since: Since = None) -> list[Packet]:
        """All packets so far, or those that fit."""
        self._observer.refresh()
        fits = None if wanted is None else matcher(wanted)
        return [packet for _, packet in self._items(since) if fits is None or fits.matches(packet)]

    def _items(self, since: Since, first: int = 0) -> Iterator[tuple[int, Packet]]:
        cable = self.name.removesuffix("-dropped")
        self._observer.require("capture", f"to see what is on the link {self.name}", cable=cable)
        yield from super()._items(since, first)
        for ended in self._observer.trace.events(CaptureEnded):
            raise LabError(
                f"nobody knows what else was on {self.name}: the capture ended at "
                f"{self._observer.trace.since_start(ended.at):.6f} s ({ended.reason})",
                remedy="make room on the disk, or let less pass",
            )

    def _all(self) -> Sequence[Packet]:
        return self._observer.trace.all_packets

    def _belongs(self, item: Packet) -> bool:
        return item.record.link == self.name

    def _index_after(self, packet: Packet) -> int:
        return packet.number

    def _line(self, item: Packet) -> str:
        time = self._observer.trace.since_start(item.at)
        comment = f"  ({item.comment})" if item.comment else ""
        return f"#{item.number}  {time:.6f} s  {item.direction or '?':4}  {item.show()}{comment}"

    def _hints(self, candidates: Sequence[Packet]) -> list[str]:
        if candidates:
            return []
        return [f"  links with frames: {', '.join(self._observer.trace.links) or 'none'}"]


class JournalView(View[Event]):
    """The journal of the lab: events of `guestnet.core.events`. The verbs are those of a link.

    Fields of an event are given by name: ``journal.expect(events.FlowRefused, remote="203.0.113.10:81")``.
    """

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer, "the journal", "event")

    def __repr__(self) -> str:
        return f"<JournalView: {told(self._show)}>"

    def _show(self) -> str:
        self._observer.refresh()
        return self._count(len(self._all()))

    def expect(
        self, event_type: type[E], where: Matchable[E] | None = None, /, *,
        within: Duration = 1.0, since: Since = None, **fields: object,
    ) -> E:  # fmt: skip
        """The first event that fits, waiting ``within`` for it. Raises ExpectationFailed."""
        __tracebackhide__ = True
        self._require(event_type)
        found = self._expect(event_matchers.event(event_type, where, **fields), within, since)
        return cast(E, found)

    def expect_none(
        self, event_type: type[E], where: Matchable[E] | None = None, /, *,
        for_: Duration = 0.5, since: Since = None, **fields: object,
    ) -> None:  # fmt: skip
        """Wait ``for_``; raises ExpectationFailed as soon as an event fits."""
        __tracebackhide__ = True
        self._require(event_type)
        self._expect_none(event_matchers.event(event_type, where, **fields), for_, since)

    def expect_sequence(
        self, wanted: Sequence[Matcher[Event]], *, within: Duration = 1.0, since: Since = None
    ) -> list[Event]:
        """Events that fit one after the other, others may lie between; matchers are made by `event`."""
        __tracebackhide__ = True
        for one in wanted:
            if isinstance(one, event_matchers.OfKind):
                self._require(one.kind)
        return self._expect_sequence(wanted, within, since)

    def saw(
        self,
        event_type: type[E],
        where: Matchable[E] | None = None,
        /,
        *,
        since: Since = None,
        **fields: object,
    ) -> bool:
        """Whether an event that fits was written so far."""
        return bool(self.events(event_type, where, since=since, **fields))

    def events(
        self,
        event_type: type[E],
        where: Matchable[E] | None = None,
        /,
        *,
        since: Since = None,
        **fields: object,
    ) -> list[E]:
        """All events so far that fit."""
        self._require(event_type)
        self._observer.refresh()
        wanted = event_matchers.event(event_type, where, **fields)
        return [cast(E, event) for _, event in self._items(since) if wanted.matches(event)]

    def verdicts(
        self,
        where: Callable[[Verdict], bool] | None = None,
        /,
        *,
        since: Since = None,
        **fields: object,
    ) -> list[Verdict]:
        """What rules of links did to frames so far, one by one, also where one event tells of many.

        Fields by name: ``journal.verdicts(link="wifi", what="delayed")``. Raises DescriptionError.
        """
        for name in fields.keys() - set(Verdict._fields):
            raise DescriptionError(
                f"a verdict has no field {name!r}", remedy=f"it has {', '.join(Verdict._fields)}"
            )
        self._observer.refresh()
        told = self._observer.trace.verdicts(where, since=self._observer.start(since))
        wanted = fields.items()
        return [one for one in told if all(getattr(one, name) == value for name, value in wanted)]

    def _require(self, event_type: type[Event]) -> None:
        if issubclass(event_type, OF_THE_STACK):
            self._observer.require("flow-events", f"to see a {event_type.__name__} in the journal")

    def _all(self) -> Sequence[Event]:
        return self._observer.trace.all_events

    def _belongs(self, item: Event) -> bool:
        # What scenarios expect is in the journal too, but it did not happen on the network.
        return not isinstance(item, Expected)

    def _line(self, item: Event) -> str:
        return self._observer.show_event(item)


def _number(item: Packet | Event) -> int | None:
    return item.number if isinstance(item, Packet) else None


def _show_duration(value: Duration) -> str:
    return value if isinstance(value, str) else f"{value:g} s"


def _without_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if first in ("a", "an") else text
