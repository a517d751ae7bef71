"""A queue and what serves it: a rate, a token bucket, or a delivery trace.

``Shaper`` is a machine in lab time: ``push`` at a frame's arrival and ``serve`` at any later time give the
same departures, because each is computed at its own time and not at that of the call. A frame that is being
sent at a rate leaves when its last bit has; it goes on at once with that time, and waits with those that are
delayed.

A token bucket (RFC 2697's, as netem's and tbf's) holds its tokens as bits times nanoseconds, in integers, so
that nothing is lost by rounding.
"""

from collections import deque
from typing import Final, Protocol

from guestnet.core.time import SECOND
from guestnet.link.codel import Codel, Entry
from guestnet.link.item import Arrival, Item
from guestnet.link.quantities import Bound
from guestnet.link.trace import OPPORTUNITY, Opportunities
from guestnet.link.verdicts import Verdicts

DEFAULT: Final = Bound(None, 1000)
"""Of a queue that nobody bounded, as netem's."""
_ETHERNET: Final = 14


class Queue:
    """First in, first out; what exceeds ``bound`` is lost at its tail, what CoDel picks at its head."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.octets = 0
        self.bound = DEFAULT
        self.codel: Codel | None = None
        self._verdicts = verdicts
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def head(self) -> Entry:
        """The next one. Raises IndexError when there is none."""
        return self._entries[0]

    def push(self, item: Item, now: int) -> bool:
        """Whether there was room for it."""
        octets, packets = self.bound
        size = len(item[0])
        if (octets is not None and self.octets + size > octets) or (
            packets is not None and len(self._entries) >= packets
        ):
            self._verdicts.lost(item, f"queue of {self.bound} full", now)
            return False
        self._entries.append((now, item))
        self.octets += size
        return True

    def take(self, now: int) -> Entry | None:
        """The one to send at ``now``; None when there is none, or none left."""
        return self.pop() if self.codel is None else self.codel.dequeue(self, now)

    def pop(self) -> Entry | None:
        """The head."""
        if not self._entries:
            return None
        entry = self._entries.popleft()
        self.octets -= len(entry[1][0])
        return entry

    def drop(self, entry: Entry, now: int) -> None:
        """CoDel loses ``entry``."""
        self._verdicts.lost(entry[1], "CoDel", now)


class Server(Protocol):
    """Takes frames out of a queue when it can send them."""

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
        """Put into ``out`` all departures that are decided up to ``now``, in order, with their times."""

    def poll_at(self, queue: Queue) -> int | None:
        """When the next one is decided."""


class Rate:
    """A wire of ``rate`` bits a second: one frame after the other, from ``busy_until`` on."""

    def __init__(self, rate: float, busy_until: int) -> None:
        self._nanoseconds = 8 * SECOND / rate
        self._busy_until = busy_until

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
        """As of ``Server``."""
        while queue:
            start, arrived = self._busy_until, queue.head[0]
            if start < arrived:
                start = arrived
            if start > now:
                return
            entry = queue.take(start)
            if entry is not None:
                self._busy_until = start + round(len(entry[1][0]) * self._nanoseconds)
                out.append((self._busy_until, entry[1]))

    def poll_at(self, queue: Queue) -> int | None:
        """As of ``Server``."""
        return self._busy_until if queue else None


class Bucket:
    """Tokens for ``burst`` octets at most, coming in at ``rate`` bits a second; full at ``start``."""

    def __init__(self, rate: float, burst: int, start: int) -> None:
        self._rate = max(round(rate), 1)
        self._most = burst * 8 * SECOND
        self._tokens = self._most
        self._at = start

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
        """As of ``Server``."""
        while queue:
            at = self._ready_at(queue)
            if at > now:
                return
            self._tokens = min(self._tokens + (at - self._at) * self._rate, self._most)
            self._at = at
            entry = queue.take(at)
            if entry is not None:
                # CoDel may have put a larger one in the place of that which was waited for: a debt then.
                self._tokens -= len(entry[1][0]) * 8 * SECOND
                out.append((at, entry[1]))

    def poll_at(self, queue: Queue) -> int | None:
        """As of ``Server``."""
        return self._ready_at(queue) if queue else None

    def _ready_at(self, queue: Queue) -> int:
        """When there are tokens for the head; one larger than the bucket waits until it is full."""
        arrived, item = queue.head
        missing = min(len(item[0]) * 8 * SECOND, self._most) - self._tokens
        return max(arrived, self._at + max(-(-missing // self._rate), 0))


class Trace:
    """The ``opportunities`` of a delivery trace."""

    def __init__(self, opportunities: Opportunities) -> None:
        self._opportunities = opportunities
        self._under_way: Item | None = None
        self._missing = 0

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
        """As of ``Server``."""
        while queue or self._under_way is not None:
            if self._under_way is None:
                # An arrival can't use an opportunity of its own moment: that was over before it came.
                self._opportunities.skip(queue.head[0])
            at = self._opportunities.next_at
            if at > now:
                return
            self._opportunities.use()
            self._use(queue, at, out)

    def poll_at(self, queue: Queue) -> int | None:
        """As of ``Server``."""
        return self._opportunities.next_at if queue or self._under_way is not None else None

    def _use(self, queue: Queue, at: int, out: list[Arrival]) -> None:
        left = OPPORTUNITY
        while left > 0:
            if self._under_way is None:
                entry = queue.take(at)
                if entry is None:
                    return
                self._under_way = entry[1]
                self._missing = max(len(entry[1][0]) - _ETHERNET, 1)
            used = min(left, self._missing)
            left -= used
            self._missing -= used
            if not self._missing:
                out.append((at, self._under_way))
                self._under_way = None


class Shaper:
    """A ``queue`` and its ``server``; ``name`` is the rule that holds frames."""

    def __init__(self, name: str, queue: Queue, server: Server, verdicts: Verdicts) -> None:
        self._name = name
        self._queue = queue
        self._server = server
        self._verdicts = verdicts

    def push(self, items: list[Item], now: int) -> list[Arrival]:
        """``items`` arrive; what departs, with its time."""
        out: list[Arrival] = []
        queue, serve = self._queue, self._server.serve
        for item in items:
            if queue.push(item, now):
                # One at a time: one that is sent at once leaves its room to the next.
                serve(queue, now, out)
        return self._told(out)

    def serve(self, now: int) -> list[Arrival]:
        """What departs up to ``now``, with its time."""
        out: list[Arrival] = []
        self._server.serve(self._queue, now, out)
        return self._told(out)

    def poll_at(self) -> int | None:
        """When to ``serve``."""
        return self._server.poll_at(self._queue)

    def _told(self, out: list[Arrival]) -> list[Arrival]:
        if out:
            add = self._verdicts.delays(self._name).add
            for at, (_, _, entered, packet_id) in out:
                if at > entered:
                    add(packet_id, at, at - entered)
        return out
