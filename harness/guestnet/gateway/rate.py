"""How often something may happen, for each of many: a token bucket, as the generic cell rate algorithm."""

from collections import OrderedDict
from collections.abc import Hashable

from guestnet.core.time import SECOND


class RateLimit:
    """At most ``rate`` a second for each key in the long run, ``burst`` at once.

    ``keys`` bounds the memory: of the key that was not asked for longest is forgotten what it used.
    """

    def __init__(self, rate: int, burst: int, *, keys: int = 1024) -> None:
        self._interval = SECOND // rate
        self._tolerance = (burst - 1) * self._interval
        self._keys = keys
        # When a bucket will be full again, in the order in which they were used.
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()

    def allows(self, key: Hashable, now: int) -> bool:
        """Whether it may happen once more at ``now`` (nanoseconds); if so, it counts as happened."""
        full_at = max(self._full_at.get(key, now), now)
        if full_at - now > self._tolerance:
            return False
        self._full_at[key] = full_at + self._interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)
        return True
