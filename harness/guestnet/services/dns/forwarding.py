"""Bringing a query to servers: whom to ask, for how long, and whose answer counts.

Theory of operation
-------------------
A resolver's list of servers is asked in its order, twice around but with at most five tries, one at a time; a
try has ``PER_SERVER``. What ends it early is an error of its socket (a closed port, no way) or an answer. One
with TC is asked for again over TCP, of the same server, which has ``PER_SERVER`` anew (RFC
7766 section 5). SERVFAIL, REFUSED and NOTIMP let the next server try; after the first round the last of such
answers is given, when nobody had a better one. Any other answer is the answer.

A server that was silent may only be slow: its socket stays open while the next is asked, and its answer
counts as long as there is none. For ``SHUNNED`` it is asked after all the others, so that a dead first server
costs its time once and not with each name; with any answer, late ones too, it has its place again. One that
fails at once costs nothing and keeps its place.

Nothing here knows ids or addresses: whoever has the sockets asks under ids that nobody can guess, and passes
on only what answers the question (RFC 5452 section 9.1). Outcomes are to be carried out in their order.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import dns.rcode
from msgspec import Struct

from guestnet.core.time import SECOND
from guestnet.wire.dns import is_truncated, rcode_of

PER_SERVER: Final = 2 * SECOND
"""For one try."""
SHUNNED: Final = 30 * SECOND
LIMIT: Final = 512
"""Queries under way; one more has no answer."""
_TRIES: Final = 5
_REMEMBERED: Final = 64
"""Servers that were silent."""
_TRY_NEXT: Final = frozenset({dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP})
_HEADER: Final = 12


class AskServer(Struct, frozen=True):
    """Send ``query`` to the address ``server``, over TCP if ``stream``; what comes of it is of ``token``."""

    token: int
    server: str
    query: bytes
    stream: bool


class ForgetServer(Struct, frozen=True):
    """Close the socket of ``token``: nobody waits for it any more."""

    token: int


class Answered(Struct, frozen=True):
    """The query ``number`` is over; None when no server answered it."""

    number: int
    answer: bytes | None


Outcome: TypeAlias = AskServer | ForgetServer | Answered


class _Query:
    __slots__ = ("again", "best", "current", "number", "octets", "plan", "until", "waiting")

    def __init__(self, number: int, octets: bytes, order: list[str]) -> None:
        self.number = number
        self.octets = octets
        self.plan = order[:_TRIES]
        self.again = order[: _TRIES - len(self.plan)]
        """The second round."""
        self.best: bytes | None = None
        self.waiting: dict[int, str] = {}
        """Servers that have not answered, by token."""
        self.current = 0
        self.until = 0


class Forwarder:
    """All queries under way. ``number`` is the caller's own name for one."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._queries: dict[int, _Query] = {}
        """Whose try ends first comes first: all have the same time."""
        self._tokens: dict[int, tuple[_Query, bool]] = {}
        self._next_token = 1
        self._silent: dict[str, int] = {}

    def ask(self, number: int, query: bytes, servers: Sequence[str], now: int) -> list[Outcome]:
        """Begin to bring ``query`` to ``servers``."""
        if not servers or len(self._queries) >= self._limit:
            return [Answered(number, None)]
        order = sorted(servers, key=lambda server: self._silent.get(server, 0) > now)
        begun = self._queries[number] = _Query(number, query, order)
        return self._try(begun, now)

    def give_up(self, number: int) -> list[Outcome]:
        """Nobody wants the answer to ``number`` any more."""
        query = self._queries.get(number)
        return self._end(query, None)[:-1] if query is not None else []

    def answered(self, token: int, answer: bytes, now: int) -> list[Outcome]:
        """A server answered. Of what is not waited for any more nothing comes."""
        query, stream = self._tokens.pop(token, (None, False))
        if query is None:
            return []
        server = query.waiting.pop(token)
        self._silent.pop(server, None)
        if len(answer) >= _HEADER and is_truncated(answer) and not stream:
            return self._ask(query, server, now, stream=True)
        if len(answer) >= _HEADER and rcode_of(answer) not in _TRY_NEXT:
            return self._end(query, answer)
        query.best = answer if len(answer) >= _HEADER else query.best
        return self._try(query, now) if token == query.current else []

    def failed(self, token: int, now: int) -> list[Outcome]:
        """A server's socket has an error, or its stream an end."""
        query, _ = self._tokens.pop(token, (None, False))
        if query is None:
            return []
        del query.waiting[token]
        return self._try(query, now) if token == query.current else []

    def due(self, now: int) -> list[Outcome]:
        """What time brings: tries that are over."""
        outcomes: list[Outcome] = []
        late = []
        for query in self._queries.values():
            if query.until > now:
                break
            late.append(query)
        for query in late:
            if (server := query.waiting.get(query.current)) is not None:
                self._shun(server, now)
            outcomes += self._try(query, now)
        return outcomes

    def poll_at(self) -> int | None:
        """When ``due`` should be called."""
        return next((query.until for query in self._queries.values()), None)

    def _try(self, query: _Query, now: int) -> list[Outcome]:
        """The next server, or the end."""
        if not query.plan and query.best is None:
            query.plan, query.again = query.again, []
        if not query.plan:
            return self._end(query, query.best)
        server = query.plan.pop(0)
        before = [token for token, asked in query.waiting.items() if asked == server]
        return [self._forget(query, token) for token in before] + self._ask(query, server, now, stream=False)

    def _ask(self, query: _Query, server: str, now: int, *, stream: bool) -> list[Outcome]:
        token = query.current = self._next_token
        self._next_token += 1
        query.waiting[token] = server
        self._tokens[token] = (query, stream)
        query.until = now + PER_SERVER
        del self._queries[query.number]
        self._queries[query.number] = query
        return [AskServer(token, server, query.octets, stream)]

    def _forget(self, query: _Query, token: int) -> Outcome:
        del query.waiting[token], self._tokens[token]
        return ForgetServer(token)

    def _end(self, query: _Query, answer: bytes | None) -> list[Outcome]:
        del self._queries[query.number]
        forgotten = [self._forget(query, token) for token in list(query.waiting)]
        return [*forgotten, Answered(query.number, answer)]

    def _shun(self, server: str, now: int) -> None:
        self._silent.pop(server, None)
        self._silent[server] = now + SHUNNED
        if len(self._silent) > _REMEMBERED:
            del self._silent[next(iter(self._silent))]
