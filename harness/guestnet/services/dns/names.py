"""Names of our own: addresses both ways, and nothing else about them."""

from collections.abc import Mapping, Sequence
from typing import Final

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from guestnet.wire.ip import IpAddress, show_ip

TTL: Final = 60
"""Seconds."""


class OwnNames:
    """``names`` with their addresses, for A, AAAA and the PTR back (of the first name of an address)."""

    def __init__(self, names: Mapping[str, Sequence[IpAddress]]) -> None:
        self._addresses = {dns.name.from_text(name): tuple(addresses) for name, addresses in names.items()}
        self._pointers: dict[dns.name.Name, dns.name.Name] = {}
        for name, addresses in self._addresses.items():
            for address in addresses:
                self._pointers.setdefault(dns.reversename.from_address(show_ip(address)), name)

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """The answer to ``query``; None when its name is none of ours."""
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
