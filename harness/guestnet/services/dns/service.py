"""DNS service: our own names answered here, all else forwarded as it came (RFC 1035, 2181, 5625, 6891).

Theory of operation
-------------------
A proxy in the sense of RFC 5625: what it need not understand goes through untouched. The query that is
forwarded and the answer that comes back are the very octets, only the message id is the client's again; so
record types, TTLs, NXDOMAIN, EDNS options and unknown things survive. A message is taken apart to find its
question, to journal what was answered, and when the answer is longer than the client takes: then the
client gets the empty answer with TC (RFC 2181 9) and comes again over TCP.

A forwarded query is a *pending* one with a token, until `guestnet.services.dns.forwarding` is over with.
Who the servers are is asked each time (``ListServers``, ``listed``), for the laptop's network may change.
Pending queries are bounded. A query that its client sends again while it is pending is not forwarded again.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

import dns.message
import dns.rcode
import dns.rdatatype
from msgspec import Struct

from guestnet.core.events import DnsAnswered
from guestnet.services.dns.forwarding import Answered, AskServer, ForgetServer, Forwarder
from guestnet.services.dns.forwarding import Outcome as Forwarded
from guestnet.services.dns.names import OwnNames
from guestnet.wire.dns import LARGEST, failure, fitted, octets, read_answer, read_query, udp_limit
from guestnet.wire.ip import IpAddress

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


class ListServers(Struct, frozen=True):
    """Tell ``DnsService.listed`` whom the laptop's resolver asks now."""

    token: int


Outcome = Reply[Client] | AskServer | ForgetServer
"""What is to be done, in order."""


class _Pending(Struct, Generic[Client], frozen=True):
    client: Client
    address: str
    query: dns.message.Message
    wire: bytes
    limit: int


class DnsService(Generic[Client]):
    """``names`` are ours (`OwnNames`); at most ``limit`` queries are pending."""

    def __init__(self, names: Mapping[str, Sequence[IpAddress]], *, limit: int = LIMIT) -> None:
        self._own = OwnNames(names)
        self._limit = limit
        self._pending: dict[int, _Pending[Client]] = {}
        self._asked: set[tuple[str, int]] = set()
        self._next_token = 1
        self._forwarder = Forwarder(limit=limit)

    @property
    def pending(self) -> int:
        """How many queries wait for the resolver."""
        return len(self._pending)

    def query(
        self, wire: bytes, client: Client, address: str, now: int, *, stream: bool
    ) -> Reply[Client] | ListServers | None:
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
        self._pending[token] = _Pending(client, address, query, wire, limit)
        self._asked.add((address, query.id))
        return ListServers(token)

    def listed(self, token: int, servers: Sequence[str], now: int) -> list[Outcome[Client]]:
        """The servers that ``ListServers`` asked for."""
        pending = self._pending.get(token)
        return self._outcomes(self._forwarder.ask(token, pending.wire, servers, now), now) if pending else []

    def answered(self, token: int, answer: bytes, now: int) -> list[Outcome[Client]]:
        """A server answered ``AskServer``."""
        return self._outcomes(self._forwarder.answered(token, answer, now), now)

    def failed(self, token: int, now: int) -> list[Outcome[Client]]:
        """A server can't be asked as ``AskServer`` wants."""
        return self._outcomes(self._forwarder.failed(token, now), now)

    def due(self, now: int) -> list[Outcome[Client]]:
        """What time brings: another server, or SERVFAIL."""
        return self._outcomes(self._forwarder.due(now), now)

    def poll_at(self) -> int | None:
        """When ``due`` should be called."""
        return self._forwarder.poll_at()

    def _outcomes(self, forwarded: Sequence[Forwarded], now: int) -> list[Outcome[Client]]:
        return [
            self._resolved(each.number, each.answer, now) if isinstance(each, Answered) else each
            for each in forwarded
        ]

    def _resolved(self, token: int, wire: bytes | None, now: int) -> Reply[Client]:
        pending = self._pending.pop(token)
        self._asked.discard((pending.address, pending.query.id))
        event = _event(wire, pending.address, now, "host") if wire is not None else None
        if wire is None or event is None:
            return _fail(pending.query, pending.client, pending.address, now, "host")
        return Reply(pending.client, fitted(wire, pending.query, pending.limit), event)


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
