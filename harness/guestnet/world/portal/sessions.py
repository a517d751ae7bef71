"""Who is logged in at a captive portal, and how long."""

from guestnet.world.portal.decide import Session

_SECOND = 1_000_000_000


class Sessions:
    """Logins by the hardware address of the machine; an end is a time of the lab's clock (ns)."""

    def __init__(self) -> None:
        self._ends: dict[str, int | None] = {}

    def open(self, machine: str, seconds: float, now: int) -> None:
        """Log ``machine`` in for ``seconds``, 0 for ever; again when it is already."""
        self._ends[machine] = now + round(seconds * _SECOND) if seconds else None

    def close(self, machine: str) -> bool:
        """Log ``machine`` out; whether it was in."""
        if machine not in self._ends:
            return False
        del self._ends[machine]
        return True

    def expire(self, now: int) -> list[str]:
        """Log out all whose time is over; who they were."""
        over = [machine for machine, end in self._ends.items() if end is not None and end <= now]
        for machine in over:
            del self._ends[machine]
        return over

    def of(self, machine: str, now: int) -> Session:
        """How ``machine`` stands."""
        if machine not in self._ends:
            return Session(False)
        end = self._ends[machine]
        return Session(True, None if end is None else max(0, end - now) / _SECOND)

    def poll_at(self) -> int | None:
        """When the next one ends."""
        return min((end for end in self._ends.values() if end is not None), default=None)

    @property
    def machines(self) -> list[str]:
        """Those that are logged in."""
        return list(self._ends)
