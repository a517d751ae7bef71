"""Requests that make clocks jump; `guestnet.lab.controls` carries them out."""

from guestnet.lab.requests.request import Request


class AdvanceClock(Request[int], frozen=True, kw_only=True):
    """Let the lab clock jump forward by ``by`` nanoseconds; the answer is the time after that."""

    by: int


class SetClock(Request[int], frozen=True, kw_only=True):
    """Set the guest's wall clock to ``at`` (nanoseconds since 1970; None: the lab's time) and ``ahead`` more.

    The answer is what it was set to. Raises GuestError for a guest that has no clock of its own.
    """

    guest: str
    at: int | None = None
    ahead: int = 0


class FallAsleep(Request[None], frozen=True, kw_only=True):
    """Shut the laptop's lid: pause the ``guests``, then take the ``uplinks`` down.

    Raises LabError when it is shut.
    """

    guests: bool = True
    uplinks: bool = True


class WakeUp(Request[None], frozen=True, kw_only=True):
    """Open the lid: the ``uplinks`` come up again unless one is up, guests go on, their ``clocks`` are set.

    Raises LabError when it is open.
    """

    uplinks: bool = True
    clocks: bool = True


AnyTimeRequest = AdvanceClock | SetClock | FallAsleep | WakeUp
