"""The lab clock: the only place that asks the machine for the time."""

import time


class LabClock:
    """Unix epoch at the lab's start plus monotonic time since, in nanoseconds: never jumps or goes back."""

    def __init__(self, epoch: int | None = None) -> None:
        """``epoch``: nanoseconds to start at; the machine's wall clock when None."""
        self._offset = (time.time_ns() if epoch is None else epoch) - time.monotonic_ns()

    def now(self) -> int:
        """Nanoseconds on the lab clock."""
        return time.monotonic_ns() + self._offset
