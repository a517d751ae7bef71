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

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset
from msgspec import Struct

from guestnet.core.events import DnsAnswered
from guestnet.core.time import SECOND
from guestnet.wire.ip import IpAddress, show_ip

DEADLINE: Final = 12 * SECOND
"""Longer than the edge's resolver takes to give up, shorter than clients wait in all."""
LIMIT: Final = 512
"""Pending queries."""
TTL: Final = 60
"""Seconds; of our own names."""
_PLAIN_UDP: Final = 512
_MAX_UDP: Final = 65507
_HEADER: Final = 12
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
    """``names`` are ours: their addresses, for A, AAAA and the PTR back (of the first name of an address)."""

    def __init__(self, names: Mapping[str, Sequence[IpAddress]], *, limit: int = LIMIT) -> None:
        self._addresses = {dns.name.from_text(name): tuple(addresses) for name, addresses in names.items()}
        self._pointers: dict[dns.name.Name, dns.name.Name] = {}
        for name, addresses in self._addresses.items():
            for address in addresses:
                self._pointers.setdefault(dns.reversename.from_address(show_ip(address)), name)
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
        if len(wire) < _HEADER or wire[2] & 0x80:
            return None
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            header = wire[:2] + bytes((0x80 | wire[2] & 0x79, dns.rcode.FORMERR)) + bytes(8)
            return Reply(client, header, None)
        if query.opcode() != dns.opcode.QUERY:
            return self._fail(query, client, address, now, dns.rcode.NOTIMP)
        if len(query.question) != 1:
            return self._fail(query, client, address, now, dns.rcode.FORMERR)
        limit = 65535 if stream else udp_limit(query)
        own = self._own(query)
        if own is not None:
            return Reply(client, _fitted(own, query, limit), _event(own, address, now, "builtin"))
        if (address, query.id) in self._asked:
            return None
        if len(self._pending) >= self._limit:
            return self._fail(query, client, address, now, dns.rcode.SERVFAIL)
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
        answer = _parse_answer(wire) if wire is not None else None
        if wire is None or answer is None:
            return self._fail(pending.query, pending.client, pending.address, now, dns.rcode.SERVFAIL, "host")
        event = _event(answer, pending.address, now, "host")
        if len(wire) <= pending.limit:
            return Reply(pending.client, pending.query.id.to_bytes(2, "big") + wire[2:], event)
        return Reply(pending.client, _fitted(answer, pending.query, pending.limit), event)

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

    def _own(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN:
            return None
        addresses = self._addresses.get(question.name)
        pointer = self._pointers.get(question.name)
        if addresses is None and pointer is None:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        answer.flags |= dns.flags.AA
        wanted = question.rdtype
        for rdtype, size in ((dns.rdatatype.A, 4), (dns.rdatatype.AAAA, 16)):
            own = [show_ip(address) for address in addresses or () if len(address) == size]
            if own and wanted in (rdtype, dns.rdatatype.ANY):
                rrset = dns.rrset.from_text_list(question.name, TTL, dns.rdataclass.IN, rdtype, own)
                answer.answer.append(rrset)
        if pointer is not None and wanted in (dns.rdatatype.PTR, dns.rdatatype.ANY):
            text = pointer.to_text()
            answer.answer.append(
                dns.rrset.from_text(question.name, TTL, dns.rdataclass.IN, dns.rdatatype.PTR, text)
            )
        return answer

    @staticmethod
    def _fail(
        query: dns.message.Message,
        client: Client,
        address: str,
        now: int,
        rcode: dns.rcode.Rcode,
        source: str = "builtin",
    ) -> Reply[Client]:
        answer = dns.message.make_response(query, recursion_available=True)
        answer.set_rcode(rcode)
        return Reply(client, answer.to_wire(), _event(answer, address, now, source))


def udp_limit(query: dns.message.Message) -> int:
    """Octets that the asker takes in one datagram: 512, or what its EDNS says (RFC 6891 6.2.3)."""
    return min(max(query.payload, _PLAIN_UDP), _MAX_UDP) if query.edns >= 0 else _PLAIN_UDP


def _parse_answer(wire: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None


def _fitted(answer: dns.message.Message, query: dns.message.Message, limit: int) -> bytes:
    """``answer`` as octets, or, when they are more than ``limit``, the empty answer with TC."""
    wire = answer.to_wire(max_size=65535)
    if len(wire) <= limit:
        return query.id.to_bytes(2, "big") + wire[2:]
    short = dns.message.make_response(query, recursion_available=True)
    short.flags |= dns.flags.TC | answer.flags & dns.flags.AA
    short.set_rcode(answer.rcode())
    return short.to_wire()


def _event(answer: dns.message.Message, address: str, now: int, source: str) -> DnsAnswered:
    question = answer.question[0] if answer.question else None
    shown: Sequence[str] = [str(record) for rrset in answer.answer for record in rrset]
    return DnsAnswered(
        at=now,
        client=address,
        name=question.name.to_text() if question is not None else "",
        rdtype=dns.rdatatype.to_text(question.rdtype) if question is not None else "",
        rcode=dns.rcode.to_text(answer.rcode()),
        answers=list(shown[:_SHOWN]),
        source=source,
    )
