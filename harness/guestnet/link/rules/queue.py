"""A queue and what serves it: a rate, a token bucket, or a delivery trace.

``Shaper`` is a machine in lab time: ``push`` at a frame's arrival and ``serve`` at any later time give the
same departures, because each is computed at its own time and not at that of the call. A frame that is being
sent at a rate leaves when its last bit has; it goes on at once with that time, and waits with those that are
delayed.
"""

from collections import deque
from typing import Final, Protocol

from guestnet.link.item import Arrival, Item
from guestnet.link.quantities import Bound, bound
from guestnet.link.rules.codel import Codel, ControlledDelay, Entry
from guestnet.link.verdicts import Verdicts

DEFAULT: Final = Bound(None, 1000)
"""Of a queue that nobody bounded, as netem's."""


class Queue:
    """First in, first out; what exceeds ``bound`` is lost at its tail, what CoDel picks at its head."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.octets = 0
        self.bound = DEFAULT
        self.codel: ControlledDelay | None = None
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


def show(queue: str | float | None, codel: bool | Codel | None) -> str:
    """" (queue 64 KiB, CoDel 5 ms 100 ms)"; "" when it is as nobody asked for."""
    texts = [] if queue is None else [f"queue {bound(queue)}"]
    if (managed := managing(codel)) is not None:
        texts.append(managed.show())
    return f" ({', '.join(texts)})" if texts else ""


def managing(codel: bool | Codel | None) -> Codel | None:
    """What manages the queue, if anything does."""
    return codel if isinstance(codel, Codel) else Codel() if codel else None
