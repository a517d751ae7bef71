"""The lab clock: the only place that asks the machine for the time."""

import time
from collections.abc import Callable

from guestnet.core.errors import DescriptionError


class LabClock:
    """Unix epoch at the lab's start plus monotonic time since, in nanoseconds. It never goes back.

    It jumps forward when a scenario says so (`advance`): hours pass in no time. Whoever has armed a timer of
    the machine for a time of this clock must look at it again then, and says so with `on_jump`.
    """

    def __init__(self, epoch: int | None = None) -> None:
        """``epoch``: nanoseconds to start at; the machine's wall clock when None."""
        self._offset = (time.time_ns() if epoch is None else epoch) - time.monotonic_ns()
        self._jumped = 0
        self._watchers: list[Callable[[], None]] = []

    @property
    def jumped(self) -> int:
        """By how many nanoseconds in all: how far the lab is ahead of this machine."""
        return self._jumped

    def now(self) -> int:
        """Nanoseconds on the lab clock."""
        return time.monotonic_ns() + self._offset

    def advance(self, nanoseconds: int) -> int:
        """Jump forward, tell all who asked for it, and return the time after the jump.

        Raises DescriptionError when ``nanoseconds`` is negative.
        """
        if nanoseconds < 0:
            raise DescriptionError(
                f"the lab clock can't go back by {-nanoseconds} ns",
                remedy="set the wall clock of a guest back: guest.set_clock()",
            )
        self._offset += nanoseconds
        self._jumped += nanoseconds
        after = self.now()
        for watcher in list(self._watchers):
            watcher()
        return after

    def on_jump(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` after each jump; what is returned, called once, ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
