"""A rate, and with a burst a token bucket.

The bucket (RFC 2697's, as netem's and tbf's) holds its tokens as bits times nanoseconds, in integers, so that
nothing is lost by rounding.
"""

from guestnet.core.time import SECOND
from guestnet.link import quantities
from guestnet.link.item import Arrival
from guestnet.link.rules.queue import Queue, Server


def server(rate: str | float, burst: str | float | None, now: int, busy_until: int) -> Server:
    """What serves a queue from ``now`` on; a wire does from ``busy_until``."""
    bits = quantities.rate(rate)
    return Wire(bits, busy_until) if burst is None else Bucket(bits, quantities.size(burst), now)


def show(rate: str | float, burst: str | float | None) -> str:
    """"10 Mbit/s", "10 Mbit/s in bursts of 15 KiB"."""
    bursts = "" if burst is None else f" in bursts of {quantities.show_size(quantities.size(burst))}"
    return f"{quantities.show_rate(quantities.rate(rate))}{bursts}"


class Wire:
    """One of ``rate`` bits a second: one frame after the other, from ``busy_until`` on."""

    def __init__(self, rate: float, busy_until: int) -> None:
        self._nanoseconds = 8 * SECOND / rate
        self._busy_until = busy_until

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
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
        return self._busy_until if queue else None


class Bucket:
    """Tokens for ``burst`` octets at most, coming in at ``rate`` bits a second; full at ``start``."""

    def __init__(self, rate: float, burst: int, start: int) -> None:
        self._rate = max(round(rate), 1)
        self._most = burst * 8 * SECOND
        self._tokens = self._most
        self._at = start

    def serve(self, queue: Queue, now: int, out: list[Arrival]) -> None:
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
        return self._ready_at(queue) if queue else None

    def _ready_at(self, queue: Queue) -> int:
        """When there are tokens for the head; one larger than the bucket waits until it is full."""
        arrived, item = queue.head
        missing = min(len(item[0]) * 8 * SECOND, self._most) - self._tokens
        return max(arrived, self._at + max(-(-missing // self._rate), 0))
