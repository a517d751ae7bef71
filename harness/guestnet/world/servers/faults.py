"""The name server behind a world's name servers that fails the names it is asked for.

dnsmasq, which has the names in the world's eyes, forwards these here and passes on what comes back.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from guestnet.edge.dns_server import Answering, Asked
from guestnet.wire.dns import octets
from guestnet.world.described.server import Fault, Record

_TTL: Final = 60


def failing(faults: Mapping[str, Fault], records: Sequence[Record]) -> Answering:
    """What a server of names with ``faults`` answers; those that are only truncated have ``records``."""

    async def answering(asked: Asked) -> bytes | None:
        return answer(asked.query, faults, records, stream=asked.stream)

    return answering


def answer(
    query: dns.message.Message, faults: Mapping[str, Fault], records: Sequence[Record], *, stream: bool
) -> bytes | None:
    """What ``query`` is answered with, over TCP if ``stream``; None for no answer at all."""
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    fault = next((fault for failed, fault in faults.items() if _is_below(name, failed.lower())), "REFUSED")
    if fault == "SILENT":
        return None
    response = dns.message.make_response(query)
    if fault != "TRUNCATED":
        response.set_rcode(dns.rcode.from_text(fault))
    elif not stream:
        response.flags |= dns.flags.TC
    else:
        wanted = dns.rdatatype.to_text(question.rdtype)
        values = [each.value for each in records if each.name.lower() == name and each.type == wanted]
        if values:
            response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", wanted, *values))
    return octets(response)


def _is_below(name: str, parent: str) -> bool:
    return name == parent or name.endswith(f".{parent}")
