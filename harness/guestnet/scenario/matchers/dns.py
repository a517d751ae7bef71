"""DNS messages over UDP on a link (RFC 1035)."""

from collections.abc import Callable, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from guestnet.core.errors import DescriptionError
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question
from guestnet.scenario.matchers.endpoint import EndpointLike, address_octets, ends, show_address
from guestnet.scenario.matchers.layer import packets

_Check = Callable[[dns.message.Message], str | None]


def query(
    name: str | None = None, rdtype: str | None = None, *,
    to: EndpointLike | None = None, source: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A question for ``name``, in any case of letters, with or without the dot at its end."""
    questions = [_ask("", _is_query), *_asked(name, rdtype), *ends(to, source)]
    return packets("a DNS query", "dns", questions)


def answer(
    name: str | None = None, rdtype: str | None = None, *,
    rcode: str | None = None, addresses: Sequence[str] | None = None,
    to: EndpointLike | None = None, source: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A response; ``rcode`` as "NXDOMAIN"; ``addresses`` are all of its A and AAAA records, in any order."""
    questions = [_ask("", _is_answer), *_asked(name, rdtype)]
    if rcode is not None:
        _known(dns.rcode.from_text, rcode, "response code")
        questions.append(_ask(f"with {rcode}", lambda message: _rcode(message, rcode)))
    if addresses is not None:
        wanted = sorted(show_address(address_octets(address)) for address in addresses)
        questions.append(
            _ask(f"with {', '.join(wanted) or 'no address'}", lambda message: _addresses(message, wanted))
        )
    return packets("a DNS answer", "dns", questions + ends(to, source))


def _ask(words: str, check: _Check) -> Question:
    def answer(packet: Packet) -> str | None:
        message = packet.dns
        return "" if message is None else check(message)

    return Question(words, answer)


def _is_query(message: dns.message.Message) -> str | None:
    return "it is an answer" if message.flags & dns.flags.QR else None


def _is_answer(message: dns.message.Message) -> str | None:
    return None if message.flags & dns.flags.QR else "it is a query"


def _asked(name: str | None, rdtype: str | None) -> list[Question]:
    questions = []
    if name is not None:
        wanted = dns.name.from_text(name)
        questions.append(_ask(f"for {name}", lambda message: _name(message, wanted)))
    if rdtype is not None:
        _known(dns.rdatatype.from_text, rdtype, "type of records")
        questions.append(_ask(f"of type {rdtype}", lambda message: _rdtype(message, rdtype.upper())))
    return questions


def _known(from_text: Callable[[str], object], text: str, what: str) -> None:
    """Raise DescriptionError unless there is such a thing: a matcher of none would never find it."""
    try:
        from_text(text)
    except (dns.exception.DNSException, ValueError):
        raise DescriptionError(f"{text!r} is no {what} of DNS", remedy="write it as RFC 1035 does") from None


def _name(message: dns.message.Message, wanted: dns.name.Name) -> str | None:
    names = [rrset.name for rrset in message.question]
    return None if wanted in names else f"name is {_join(names)}, not {_join([wanted])}"


def _rdtype(message: dns.message.Message, wanted: str) -> str | None:
    types = [dns.rdatatype.to_text(rrset.rdtype) for rrset in message.question]
    return None if wanted in types else f"type is {', '.join(types) or 'none'}, not {wanted}"


def _rcode(message: dns.message.Message, wanted: str) -> str | None:
    actual = dns.rcode.to_text(message.rcode())
    return None if actual == wanted.upper() else f"rcode is {actual}, not {wanted.upper()}"


def _addresses(message: dns.message.Message, wanted: Sequence[str]) -> str | None:
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    actual = sorted(str(record) for rrset in message.answer if rrset.rdtype in kinds for record in rrset)
    if actual == wanted:
        return None
    return f"addresses are {', '.join(actual) or 'none'}, not {', '.join(wanted) or 'none'}"


def _join(names: Sequence[dns.name.Name]) -> str:
    return ", ".join(name.to_text(omit_final_dot=True) for name in names) or "none"
