"""Units of time.

Every machine below the edge takes ``now`` as integer nanoseconds on the lab clock: Unix epoch
at the lab's start plus monotonic time since. Integers, because a float loses nanoseconds after 104 days.
"""

import re
from typing import Final

from guestnet.core.errors import DescriptionError

NANOSECOND: Final = 1
MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_UNITS: Final = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "min": MINUTE,
    "h": HOUR,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|min|h)")


def duration(value: str | float) -> int:
    """Nanoseconds of ``"40ms"``, ``"1.5 s"``, ``"8h"`` or a plain number of seconds.

    Raises DescriptionError when the text is no duration or the number is negative.
    """
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise DescriptionError(
                f"{value!r} is no duration", remedy="write a number and one of " + ", ".join(_UNITS)
            )
        return round(float(match[1]) * _UNITS[match[2]])
    if not value >= 0:
        raise DescriptionError(f"a duration of {value!r} s is negative", remedy="give seconds from 0 up")
    return round(value * SECOND)


def earliest(*times: int | None) -> int | None:
    """The first of ``times`` of which None is never: when to wake for whichever comes first."""
    first = None
    for time in times:
        if time is not None and (first is None or time < first):
            first = time
    return first


def to_seconds(nanoseconds: int) -> float:
    """Seconds, for people and for libraries that count in them."""
    return nanoseconds / SECOND
