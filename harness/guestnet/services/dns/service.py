"""DNS service: our own names answered here, all else forwarded as it came (RFC 1035, 2181, 5625, 6891).

Theory of operation
-------------------
A proxy in the sense of RFC 5625: what it need not understand goes through untouched. The query that is
forwarded and the answer that comes back are the very octets, only the message id is the client's again; so
record types, TTLs, NXDOMAIN, EDNS options and unknown things survive. A message is taken apart to find its
question, to journal what was answered, and when the answer is longer than the client takes: then the
client gets the empty answer with TC (RFC 2181 9) and comes again over TCP.

Each forwarded query is a *pending* one with a token: ``query`` says what to forward, ``resolved`` takes what
came back (None when nothing did), ``expire`` gives up at the deadline with SERVFAIL. Pending queries are
bounded. A query that its client sends again while it is pending is not forwarded again.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

import dns.message
import dns.rcode
import dns.rdatatype
from msgspec import Struct

from guestnet.core.events import DnsAnswered
from guestnet.core.time import SECOND
from guestnet.services.dns.names import OwnNames
from guestnet.wire.dns import LARGEST, failure, fitted, octets, read_answer, read_query, udp_limit
from guestnet.wire.ip import IpAddress

DEADLINE: Final = 12 * SECOND
"""Longer than the edge's resolver takes to give up, shorter than clients wait in all."""
LIMIT: Final = 512
"""Pending queries."""
_SHOWN: Final = 16

Client = TypeVar("Client")
"""Whatever the caller needs to bring an answer to its asker; handed back as it was given."""


class Reply(Struct, Generic[Client], frozen=True):
    """A message to a client, and its line in the journal (None when there is nothing to tell)."""

    client: Client
    message: bytes
    event: DnsAnswered | None


class Forward(Struct, frozen=True):
    """A query for the laptop's resolver; its answer goes to ``DnsService.resolved`` with the token."""

    token: int
    query: bytes


class _Pending(Struct, Generic[Client], frozen=True):
    client: Client
    address: str
    query: dns.message.Message
    limit: int
    deadline: int


class DnsService(Generic[Client]):
    """``names`` are ours (`OwnNames`); at most ``limit`` queries are pending."""

    def __init__(self, names: Mapping[str, Sequence[IpAddress]], *, limit: int = LIMIT) -> None:
        self._own = OwnNames(names)
        self._limit = limit
        self._pending: dict[int, _Pending[Client]] = {}
        self._asked: set[tuple[str, int]] = set()
        self._next_token = 1

    @property
    def pending(self) -> int:
        """How many queries wait for the resolver."""
        return len(self._pending)

    def query(
        self, wire: bytes, client: Client, address: str, now: int, *, stream: bool
    ) -> Reply[Client] | Forward | None:
        """What to do about a message from ``client`` at ``address`` ("ip:port"); None: nothing.

        ``stream``: it came over TCP, where answers may have any length.
        """
        query = read_query(wire)
        if query is None:
            return None
        if isinstance(query, bytes):
            event = _event(query, address, now, "builtin")
            return Reply(client, query, event if event is not None and event.name else None)
        limit = LARGEST if stream else udp_limit(query)
        own = self._own.answer(query)
        if own is not None:
            wire = octets(own)
            return Reply(client, fitted(wire, query, limit), _event(wire, address, now, "builtin"))
        if (address, query.id) in self._asked:
            return None
        if len(self._pending) >= self._limit:
            return _fail(query, client, address, now, "builtin")
        token = self._next_token
        self._next_token += 1
        self._pending[token] = _Pending(client, address, query, limit, now + DEADLINE)
        self._asked.add((address, query.id))
        return Forward(token, wire)

    def resolved(self, token: int, wire: bytes | None, now: int) -> Reply[Client] | None:
        """The resolver answered ``wire``, or failed (None). A token that already expired has no reply."""
        pending = self._pending.pop(token, None)
        if pending is None:
            return None
        self._asked.discard((pending.address, pending.query.id))
        event = _event(wire, pending.address, now, "host") if wire is not None else None
        if wire is None or event is None:
            return _fail(pending.query, pending.client, pending.address, now, "host")
        return Reply(pending.client, fitted(wire, pending.query, pending.limit), event)

    def expire(self, now: int) -> list[Reply[Client]]:
        """SERVFAIL for every query whose deadline is over."""
        # Deadlines are a constant after the query, so that the pending ones are in the order of theirs.
        if not self._pending:
            return []
        late = []
        for token, pending in self._pending.items():
            if pending.deadline > now:
                break
            late.append(token)
        return [reply for token in late if (reply := self.resolved(token, None, now)) is not None]

    def poll_at(self) -> int | None:
        """When ``expire`` should be called."""
        return next((pending.deadline for pending in self._pending.values()), None)


def _fail(query: dns.message.Message, client: Client, address: str, now: int, source: str) -> Reply[Client]:
    answer = failure(query, dns.rcode.SERVFAIL)
    return Reply(client, answer, _event(answer, address, now, source))


def _event(wire: bytes, address: str, now: int, source: str) -> DnsAnswered | None:
    """None of an answer that can't be read."""
    answer = read_answer(wire)
    if answer is None:
        return None
    question = answer.question[0] if answer.question else None
    shown = [str(record) for rrset in answer.answer for record in rrset]
    return DnsAnswered(
        at=now,
        client=address,
        name=question.name.to_text() if question is not None else "",
        rdtype=dns.rdatatype.to_text(question.rdtype) if question is not None else "",
        rcode=dns.rcode.to_text(answer.rcode()),
        answers=shown[:_SHOWN],
        source=source,
    )
