"""DNS64 (RFC 6147): a resolver that makes AAAA records for names that have A records alone."""

from ipaddress import IPv4Address, IPv6Network
from typing import Final

import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from guestnet.tcpip.siit import embedded

MAX_TTL: Final = 600
"""Of a record that was made where the zone gives no time for its absence (RFC 6147 section 5.1.7)."""
_EXCLUDED: Final = IPv6Network("::ffff:0:0/96")


def wants_ipv4(query: dns.message.Message, answer: dns.message.Message) -> bool:
    """Whether ``answer`` to ``query`` leaves something to be made: no AAAA record that is of use.

    A name that does not exist has none of either kind (section 5.1.2); any other error is an empty answer
    (section 5.1.3).
    """
    question = query.question[0] if query.question else None
    if question is None or question.rdtype != dns.rdatatype.AAAA or answer.rcode() == dns.rcode.NXDOMAIN:
        return False
    return all(
        _is_excluded(record.address) for rrset in _of_type(answer, dns.rdatatype.AAAA) for record in rrset
    )


def for_ipv4(query: dns.message.Message) -> dns.message.Message:
    """The question for the A records of the same name."""
    return dns.message.make_query(query.question[0].name, dns.rdatatype.A)


def synthesized(
    query: dns.message.Message, absent: dns.message.Message, found: dns.message.Message, prefix: str
) -> dns.message.Message:
    """The answer to ``query`` from A records ``found``; without any, ``absent`` as it came.

    Aliases stay; each A record becomes an AAAA record in ``prefix`` (section 5.1.7).
    """
    if found.rcode() != dns.rcode.NOERROR or not _of_type(found, dns.rdatatype.A):
        return absent
    limit = min(
        (rrset.ttl for rrset in absent.authority if rrset.rdtype == dns.rdatatype.SOA), default=MAX_TTL
    )
    base = IPv6Network(prefix).network_address.packed
    response = dns.message.make_response(query, recursion_available=True)
    for rrset in found.answer:
        if rrset.rdtype != dns.rdatatype.A:
            response.answer.append(rrset)
            continue
        made = dns.rrset.RRset(rrset.name, dns.rdataclass.IN, dns.rdatatype.AAAA)
        for record in rrset:
            address = IPv6Network((embedded(base, IPv4Address(record.address).packed), 128)).network_address
            made.add(
                dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.AAAA, str(address)),
                min(rrset.ttl, limit),
            )
        response.answer.append(made)
    return response


def _of_type(message: dns.message.Message, rdtype: dns.rdatatype.RdataType) -> list[dns.rrset.RRset]:
    return [rrset for rrset in message.answer if rrset.rdtype == rdtype]


def _is_excluded(address: str) -> bool:
    """IPv4-mapped addresses are no way to anywhere (section 5.1.4)."""
    return IPv6Network(address).subnet_of(_EXCLUDED)
