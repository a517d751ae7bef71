"""What a scenario sees of a lab that runs: its journal and capture, kept fresh, and time.

Nothing here sleeps: the lab process answers an `Activity` request as soon as journal or capture have grown,
or at its timeout.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar, cast

from guestnet.core.errors import CapabilityMissing
from guestnet.core.events import (
    AnyEvent,
    Event,
    Expected,
    StepBegan,
)
from guestnet.core.showing import describe
from guestnet.core.time import duration, to_seconds
from guestnet.journal.query import BEGINNING, Packet, Trace
from guestnet.lab.requests.protocol import Activity, Record, Status
from guestnet.lab.requests.request import Request

R = TypeVar("R")

MEANWHILE: Final = 6
"""Journal events that a failure shows."""
OF_A_KIND: Final = 3
"""Of these, of one class."""

Since = int | Packet | Event | None
"""From when on to look: a lab time in ns, or what was just before (a step too). None: the lab's beginning."""

Duration = float | str
"""Seconds, or text as `guestnet.core.time.duration` takes it: "200ms"."""


def in_seconds(value: Duration) -> float:
    """``value`` in seconds. Raises DescriptionError when it is no duration."""
    return to_seconds(duration(value))


class Process(Protocol):
    """What is needed of `guestnet.lab.process.client.LabProcess`."""

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """The lab's response to ``request``."""


class Observer:
    """A running lab's journal and capture, as fresh as the last ``refresh``.

    ``clock`` gives seconds that pass as the lab's do; deadlines are measured with it.
    """

    def __init__(self, process: Process, trace: Trace, clock: Callable[[], float] = time.monotonic) -> None:
        self.trace = trace
        self._process = process
        self._clock = clock
        self._journal = 0
        self._capture = 0
        self._capabilities: frozenset[str] = frozenset()

    def refresh(self, timeout: float = 0.0) -> None:
        """Read what is new, waiting ``timeout`` seconds for something when nothing is."""
        sizes = self.call(Activity(journal=self._journal, capture=self._capture, timeout=timeout))
        self._journal, self._capture = sizes.journal, sizes.capture
        self.trace.refresh()

    def growth(self, within: Duration) -> Iterator[bool]:
        """Refresh again and again until ``within`` seconds are over; yields after each, True at the last."""
        left = self.deadline(within)
        self.refresh()
        while left() > 0:
            yield False
            self.refresh(max(left(), 0.0))
        yield True

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """Ask the lab process."""
        return self._process.call(request, timeout=timeout)

    def record(self, event: Event) -> int:
        """Write ``event`` into the journal; its time (ns)."""
        return self.call(Record(event=cast(AnyEvent, event)))

    def require(self, capability: str, what: str, *, cable: str | None = None) -> None:
        """Raise CapabilityMissing unless the stack has ``capability``, needed for ``what`` ("to see …").

        ``cable``: only if that is the name of a guest's cable, for other links are not the stack's.
        """
        if capability in self._capabilities:
            return
        status = self.call(Status())
        self._capabilities = frozenset(status.capabilities)
        cables = {guest.link for guest in status.guests}
        if capability not in self._capabilities and (cable is None or cable in cables):
            raise CapabilityMissing(f"the stack {status.stack} has no {capability}", remedy=f"needed {what}")

    def deadline(self, within: Duration) -> Callable[[], float]:
        """A function that tells how many seconds are left of ``within``."""
        end = self._clock() + in_seconds(within)
        return lambda: end - self._clock()

    def told(self, since: Since) -> list[str]:
        """What the journal says since then about trouble, the last few, a line each.

        Of a kind at most ``OF_A_KIND``: a thousand lost frames don't hide that their uplink went down.
        """
        telling: list[Event] = []
        seen: Counter[type[Event]] = Counter()
        for event in reversed(list(self.trace.events(Event, _tells, since=self.start(since)))):
            seen[type(event)] += 1
            if seen[type(event)] <= OF_A_KIND and len(telling) < MEANWHILE:
                telling.append(event)
        return [self.show_event(event) for event in reversed(telling)]

    def show_event(self, event: Event) -> str:
        """``event`` in one line, with its time and the name of its class, which expectations use."""
        name, text = type(event).__name__, describe(event).text
        return f"{self.trace.since_start(event.at):.6f} s  {name}: {text.removeprefix(f'{name} ')}"

    def show_since(self, since: Since) -> str:
        """``since`` in words."""
        if since is None:
            return "since the lab began"
        if isinstance(since, StepBegan):
            return f"since step {since.name!r} began"
        if isinstance(since, Packet):
            return f"since frame #{since.number}"
        return f"since {self.trace.since_start(since if isinstance(since, int) else since.at):.6f} s"

    def start(self, since: Since) -> int:
        """``since`` as a time, in ns."""
        return BEGINNING if since is None else since if isinstance(since, int) else since.at


def _tells(event: Event) -> bool:
    """Whether ``event`` may explain why something did not happen; what was expected did not happen itself."""
    return describe(event).is_trouble and not isinstance(event, Expected)
