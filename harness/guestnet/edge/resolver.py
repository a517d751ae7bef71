"""A resolver for whoever waits: the forwarder's policy (`guestnet.services.dns.forwarding`) on real sockets.

The builtin stack has the same forwarder in its gateway, in the lab's time; here it is this machine's.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final

from guestnet.edge.dns_client import DnsClient, Opening
from guestnet.gateway.events import Event, ServerAnswered, ServerFailed
from guestnet.services.dns.forwarding import Answered, AskServer, ForgetServer, Forwarder, Outcome
from guestnet.wire.dns import PORT

_NANO: Final = 1_000_000_000


class Resolver:
    """Asks servers on ``port`` with sockets that ``opening`` makes, under the running loop, until ``close``.

    It remembers from one query to the next which of them are silent.
    """

    def __init__(self, *, opening: Opening = socket.socket, port: int = PORT) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: list[Event] = []
        self._client = DnsClient(self._events.append, self._woken, opening=opening, port=port)
        self._forwarder = Forwarder()
        self._waiting: dict[int, asyncio.Future[bytes | None]] = {}
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._execute: dict[type[Outcome], Callable[[Any], None]] = {
            AskServer: self._client.ask, ForgetServer: self._client.forget, Answered: self._answered,
        }  # fmt: skip

    async def ask(self, query: bytes, servers: Sequence[str]) -> bytes | None:
        """The answer of ``servers`` to ``query``, under any id; None when none of them answered."""
        number = next(self._numbers)
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        self._waiting[number] = future
        try:
            self._carry_out(self._forwarder.ask(number, query, servers, self._now()))
            return await future
        finally:
            del self._waiting[number]
            self._carry_out(self._forwarder.give_up(number))

    async def close(self) -> None:
        """Give up all queries: who waits for one gets None."""
        if self._timer is not None:
            self._timer.cancel()
        await self._client.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)

    def _now(self) -> int:
        return int(self._loop.time() * _NANO)

    def _answered(self, outcome: Answered) -> None:
        future = self._waiting[outcome.number]
        if not future.done():
            future.set_result(outcome.answer)

    def _woken(self) -> None:
        events, now = self._events[:], self._now()
        self._events.clear()
        for event in events:
            if isinstance(event, ServerAnswered):
                self._carry_out(self._forwarder.answered(event.token, event.answer, now))
            elif isinstance(event, ServerFailed):
                self._carry_out(self._forwarder.failed(event.token, now))

    def _carry_out(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._execute[type(outcome)](outcome)
        if self._timer is not None:
            self._timer.cancel()
        at = self._forwarder.poll_at()
        self._timer = None if at is None else self._loop.call_at(at / _NANO, self._time_is_over)

    def _time_is_over(self) -> None:
        # A float has not every nanosecond.
        self._carry_out(self._forwarder.due(self._now() + 1000))
