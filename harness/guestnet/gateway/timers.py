"""Many deadlines, one of them next: a heap with one live entry a key."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """Deadlines in lab time by key.

    Moving a deadline later costs nothing until the old one is reached: ``poll_at`` may be early, and ``due``
    then finds nothing. That is what most timers do, being pushed back by every packet.
    """

    def __init__(self) -> None:
        self._wanted: dict[Key, int] = {}
        self._queued: dict[Key, int] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._wanted)

    def set(self, key: Key, at: int | None) -> None:
        """The deadline of ``key`` from now on; None for no deadline."""
        if at is None:
            if self._wanted.pop(key, None) is not None and len(self._heap) > 64 + 4 * len(self._wanted):
                self._compact()
            return
        self._wanted[key] = at
        queued = self._queued.get(key)
        if queued is None or at < queued:
            self._push(key, at)

    def poll_at(self) -> int | None:
        """The earliest time at which something may be due."""
        heap = self._heap
        while heap and self._is_stale(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: int) -> list[Key]:
        """The keys whose deadline is reached, in the order of their deadlines; they have none afterwards."""
        heap = self._heap
        if not heap or heap[0][0] > now:
            return []
        ready = []
        while heap and heap[0][0] <= now:
            entry = heapq.heappop(heap)
            if self._queued.get(entry[2]) != entry[0]:
                continue
            key = entry[2]
            del self._queued[key]
            wanted = self._wanted.get(key)
            if wanted is None:
                continue
            if wanted > now:
                self._push(key, wanted)
                continue
            del self._wanted[key]
            ready.append(key)
        return ready

    def _push(self, key: Key, at: int) -> None:
        # The count keeps keys out of comparisons and equal deadlines in the order in which they were set.
        self._count += 1
        self._queued[key] = at
        heapq.heappush(self._heap, (at, self._count, key))

    def _compact(self) -> None:
        """Throw out what was taken back, before its time."""
        self._heap = [entry for entry in self._heap if not self._is_stale(entry)]
        heapq.heapify(self._heap)

    def _is_stale(self, entry: tuple[int, int, Key]) -> bool:
        if self._queued.get(entry[2]) != entry[0]:
            return True
        if entry[2] not in self._wanted:
            del self._queued[entry[2]]
            return True
        return False
