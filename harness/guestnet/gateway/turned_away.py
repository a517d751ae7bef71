"""What bounds turn away, so that the journal says it without becoming a flood of its own.

At each bound the first few of a second are written down one by one, as the events that they are; and at the
end of each second in which a bound turned somebody away, one ``LimitReached`` with their number. Errors that
a guest can make at will, each with an event of its own, are counted in the same way: for them the bound is
the number of events.
"""

from typing import Final

from guestnet.core.events import Event, LimitReached
from guestnet.core.time import SECOND
from guestnet.gateway.outbox import Outbox

SHOWN: Final = 32
"""Events of one bound and second."""


class _Window:
    __slots__ = ("bound", "count", "ends_at", "told_from")

    def __init__(self, bound: int, told_from: int, ends_at: int) -> None:
        self.bound = bound
        self.told_from = told_from
        self.count = 0
        self.ends_at = ends_at


class TurnedAway:
    """Shared by all parts of one gateway."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._windows: dict[str, _Window] = {}

    def note(self, limit: str, bound: int, now: int, event: Event | None = None) -> None:
        """``limit``, which is ``bound`` (0: not known), turned something away; ``event`` says what."""
        if self._count(limit, bound, 1, now) <= SHOWN and event is not None:
            self._outbox.record(event)

    def shows(self, what: str, now: int) -> bool:
        """Whether one more event about ``what`` may be written; beyond that they are only counted."""
        return self._count(what, SHOWN, SHOWN + 1, now) <= SHOWN

    def _count(self, limit: str, bound: int, told_from: int, now: int) -> int:
        window = self._windows.get(limit)
        if window is None:
            window = self._windows[limit] = _Window(bound, told_from, now + SECOND)
        window.count += 1
        return window.count

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        if not self._windows:
            return None
        return min((window.ends_at for window in self._windows.values()), default=None)

    def flush(self, now: int) -> None:
        """Tell of the seconds that are over."""
        if not self._windows:
            return
        for limit, window in list(self._windows.items()):
            if now >= window.ends_at:
                del self._windows[limit]
                if window.count < window.told_from:
                    continue
                self._outbox.record(LimitReached(at=now, limit=limit, bound=window.bound, count=window.count))
