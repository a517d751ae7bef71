"""DNS messages as they are carried: over streams, in datagrams, under other ids (RFC 1035 section 4).

dnspython takes a message apart; here is what stands around it, once for every server and client. Messages are
octets, and a query that was read is a `dns.message.Message` beside them.
"""

from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

PORT: Final = 53
LARGEST: Final = 65535
"""Octets of a message: the length before it on a stream has 16 bits (RFC 1035 section 4.2.2)."""
_PLAIN_UDP: Final = 512
_MAX_UDP: Final = 65507
_HEADER: Final = 12
_PREFIX: Final = 2

# Of the header's third octet (RFC 1035 section 4.1.1).
_QR: Final = 0x80
_OPCODE_AND_RD: Final = 0x79
_AA: Final = 0x04
_TC: Final = 0x02


def framed(message: bytes) -> bytes:
    """``message`` as it goes on a stream: after its length. Raises OverflowError when it is too long."""
    return len(message).to_bytes(_PREFIX, "big") + message


def take(received: bytearray) -> bytes | None:
    """The first message of a stream's octets, which is taken out of them; None while it is not whole."""
    end = _PREFIX + int.from_bytes(received[:_PREFIX], "big")
    if len(received) < max(end, _PREFIX):
        return None
    message = bytes(received[_PREFIX:end])
    del received[:end]
    return message


def read_query(wire: bytes) -> dns.message.Message | bytes | None:
    """The query that ``wire`` is, with one question; octets when it is to be refused with these.

    FORMERR for what can't be read or has not one question, NOTIMP for other opcodes (RFC 1035 section 4.1.1).
    None for what gets no answer at all: an answer, or too short to have an id.
    """
    if len(wire) < _HEADER or wire[2] & _QR:
        return None
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return wire[:2] + bytes((_QR | wire[2] & _OPCODE_AND_RD, dns.rcode.FORMERR)) + bytes(8)
    if query.opcode() != dns.opcode.QUERY:
        return failure(query, dns.rcode.NOTIMP)
    if len(query.question) != 1:
        return failure(query, dns.rcode.FORMERR)
    return query


def read_answer(wire: bytes) -> dns.message.Message | None:
    """The message that ``wire`` is, whatever follows it; None when it can't be read."""
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None


def failure(query: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    """The answer to ``query`` that has nothing but ``rcode``."""
    answer = dns.message.make_response(query, recursion_available=True)
    answer.set_rcode(rcode)
    return octets(answer)


def octets(message: dns.message.Message) -> bytes:
    """``message`` at its full length: left alone, dnspython wants to fit an answer into its asker's EDNS."""
    return message.to_wire(max_size=LARGEST)


def udp_limit(query: dns.message.Message) -> int:
    """Octets that the asker takes in one datagram: 512, or what its EDNS says (RFC 6891 section 6.2.3)."""
    return min(max(query.payload, _PLAIN_UDP), _MAX_UDP) if query.edns >= 0 else _PLAIN_UDP


def fitted(answer: bytes, query: dns.message.Message, limit: int) -> bytes:
    """``answer`` under the id of ``query``; when it is longer than ``limit``, the empty one with TC.

    Its client comes again over TCP and need not guess which records it has got (RFC 2181 section 9).
    """
    if len(answer) <= limit:
        return with_id(answer, query.id.to_bytes(2, "big"))
    short = dns.message.make_response(query, recursion_available=True)
    short.set_rcode(rcode_of(answer))
    short.flags |= dns.flags.TC | (dns.flags.AA if answer[2] & _AA else 0)
    return octets(short)


def with_id(message: bytes, identifier: bytes) -> bytes:
    """``message`` under another id, all else as it is."""
    return identifier + message[2:]


def is_truncated(answer: bytes) -> bool:
    """Whether ``answer`` has TC."""
    return bool(answer[2] & _TC)


def rcode_of(answer: bytes) -> dns.rcode.Rcode:
    """The code in the header of ``answer``, without EDNS's upper bits."""
    return dns.rcode.Rcode(answer[3] & 0x0F)


def is_answer(wire: bytes, query: bytes) -> bool:
    """Whether ``wire`` answers ``query``: it has the id and repeats the question (RFC 5452 section 9.1)."""
    if len(wire) < _HEADER or wire[:2] != query[:2]:
        return False
    try:
        asked = dns.message.from_wire(query, question_only=True)
        return asked.is_response(dns.message.from_wire(wire, question_only=True))
    except (dns.exception.DNSException, ValueError):
        return False
