"""The DNS service: own names, forwarding, truncation, bounds."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.time import SECOND
from guestnet.services.dns.forwarding import AskServer
from guestnet.services.dns.service import DnsService, ListServers, Reply
from guestnet.wire.ipv4 import ip4
from guestnet.wire.ipv6 import ip6

NAMES = {
    "host.docker.internal": (ip4("192.168.65.2"),),
    "gateway.docker.internal": (ip4("192.168.65.1"), ip6("fd65:6775:6573:7400::1")),
}
START = 1_700_000_000 * SECOND
GUEST = "192.168.65.3:4000"


@pytest.fixture
def service() -> DnsService[str]:
    return DnsService(NAMES)


def ask(
    service: DnsService[str],
    name: str,
    rdtype: str = "A",
    *,
    now: int = START,
    stream: bool = False,
    **options: int,
) -> Reply[str] | ListServers | None:
    query = dns.message.make_query(name, rdtype, **options)  # type: ignore[arg-type]
    return service.query(query.to_wire(), "client", GUEST, now, stream=stream)


def answered(outcome: Reply[str] | ListServers | None) -> dns.message.Message:
    assert isinstance(outcome, Reply)
    assert outcome.client == "client"
    return dns.message.from_wire(outcome.message)


def forwarded(service: DnsService[str], outcome: Reply[str] | ListServers | None) -> AskServer:
    """What the laptop's only server is asked."""
    assert isinstance(outcome, ListServers)
    (asked,) = service.listed(outcome.token, ["192.0.2.53"], START)
    assert isinstance(asked, AskServer)
    return asked


def resolved(service: DnsService[str], asked: AskServer, wire: bytes | None) -> Reply[str]:
    """The end of a query that the server answers with ``wire`` each time, or not at all."""
    while True:
        token = asked.token
        (outcome,) = (
            service.failed(token, START) if wire is None else service.answered(token, wire, START)
        )
        if isinstance(outcome, Reply):
            return outcome
        assert isinstance(outcome, AskServer)
        asked = outcome


def records(message: dns.message.Message) -> list[str]:
    return [str(record) for rrset in message.answer for record in rrset]


def upstream(
    forward: AskServer, *texts: str, rdtype: str = "A", rcode: dns.rcode.Rcode = dns.rcode.NOERROR
) -> bytes:
    """What a resolver sends back, under an id of its own."""
    query = dns.message.from_wire(forward.query)
    answer = dns.message.make_response(query)
    answer.id = (query.id + 1) & 0xFFFF
    answer.set_rcode(rcode)
    if texts:
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 123, "IN", rdtype, *texts))
    return answer.to_wire()


@pytest.mark.parametrize(
    ("name", "address"),
    [("host.docker.internal", "192.168.65.2"), ("GATEWAY.docker.INTERNAL", "192.168.65.1")],
)
def test_own_names_have_their_address(service: DnsService[str], name: str, address: str) -> None:
    outcome = ask(service, name)
    message = answered(outcome)
    assert records(message) == [address]
    assert message.flags & dns.flags.RA
    assert isinstance(outcome, Reply)
    assert outcome.event is not None
    assert (outcome.event.source, outcome.event.answers, outcome.event.rcode) == (
        "builtin",
        [address],
        "NOERROR",
    )


@pytest.mark.parametrize("rdtype", ["AAAA", "TXT", "HTTPS"])
def test_own_names_have_nothing_else(service: DnsService[str], rdtype: str) -> None:
    message = answered(ask(service, "host.docker.internal", rdtype))
    assert message.rcode() == dns.rcode.NOERROR
    assert records(message) == []


def test_own_names_may_have_addresses_of_both_versions(service: DnsService[str]) -> None:
    name = "gateway.docker.internal"
    assert records(answered(ask(service, name))) == ["192.168.65.1"]
    assert records(answered(ask(service, name, "AAAA"))) == ["fd65:6775:6573:7400::1"]
    assert records(answered(ask(service, name, "ANY"))) == ["192.168.65.1", "fd65:6775:6573:7400::1"]


def test_own_addresses_have_a_name(service: DnsService[str]) -> None:
    assert records(answered(ask(service, "2.65.168.192.in-addr.arpa", "PTR"))) == ["host.docker.internal."]
    nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.7.3.7.5.6.5.7.7.6.5.6.d.f.ip6.arpa"
    assert records(answered(ask(service, nibbles, "PTR"))) == ["gateway.docker.internal."]


def test_all_else_is_forwarded_untouched_and_comes_back_untouched_but_for_the_id(
    service: DnsService[str],
) -> None:
    query = dns.message.make_query("shop.example", "MX", use_edns=0, payload=4096, want_dnssec=True)
    forward = forwarded(service, service.query(query.to_wire(), "client", GUEST, START, stream=False))
    assert forward.query == query.to_wire()
    wire = upstream(forward, "10 mail.shop.example.", rdtype="MX")
    outcome = resolved(service, forward, wire)
    assert outcome.message[2:] == wire[2:]
    assert answered(outcome).id == query.id
    assert answered(outcome).answer[0].ttl == 123
    assert outcome.event is not None
    assert (outcome.event.source, outcome.event.name, outcome.event.rdtype) == ("host", "shop.example.", "MX")


def test_nxdomain_comes_back_as_it_is(service: DnsService[str]) -> None:
    forward = forwarded(service, ask(service, "nothing.example"))
    outcome = resolved(service, forward, upstream(forward, rcode=dns.rcode.NXDOMAIN))
    assert answered(outcome).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("wire", [None, b"\0\1\2", bytes(12)[:-1] + b"\x09"])
def test_a_failing_resolver_is_servfail(service: DnsService[str], wire: bytes | None) -> None:
    forward = forwarded(service, ask(service, "shop.example"))
    assert answered(resolved(service, forward, wire)).rcode() == dns.rcode.SERVFAIL


def test_silent_servers_are_servfail_in_the_end(service: DnsService[str]) -> None:
    forward = forwarded(service, ask(service, "shop.example"))
    outcomes = []
    while (now := service.poll_at()) is not None:
        assert service.due(now - 1) == []
        outcomes += service.due(now)
    reply = outcomes[-1]
    assert isinstance(reply, Reply)
    assert answered(reply).rcode() == dns.rcode.SERVFAIL
    assert service.pending == 0
    assert service.answered(forward.token, upstream(forward, "1.2.3.4"), START) == []


def test_a_laptop_without_a_server_is_servfail_at_once(service: DnsService[str]) -> None:
    outcome = ask(service, "shop.example")
    assert isinstance(outcome, ListServers)
    (reply,) = service.listed(outcome.token, [], START)
    assert isinstance(reply, Reply)
    assert answered(reply).rcode() == dns.rcode.SERVFAIL
    assert service.listed(outcome.token, ["192.0.2.53"], START) == []


def test_a_long_answer_is_truncated_to_what_the_client_takes(service: DnsService[str]) -> None:
    many = [f"10.0.{number}.1" for number in range(100)]
    plain = forwarded(service, ask(service, "many.example"))
    short = answered(resolved(service, plain, upstream(plain, *many)))
    assert short.flags & dns.flags.TC
    assert records(short) == []
    edns = forwarded(service, ask(service, "many.example", use_edns=0, payload=4096))
    assert len(records(answered(resolved(service, edns, upstream(edns, *many))))) == 100
    stream = forwarded(service, ask(service, "many.example", stream=True))
    assert len(records(answered(resolved(service, stream, upstream(stream, *many))))) == 100


def test_a_repeated_query_is_forwarded_once_while_pending(service: DnsService[str]) -> None:
    query = dns.message.make_query("shop.example", "A").to_wire()
    first = forwarded(service, service.query(query, "client", GUEST, START, stream=False))
    assert service.query(query, "client", GUEST, START + SECOND, stream=False) is None
    resolved(service, first, upstream(first, "1.2.3.4"))
    forwarded(service, service.query(query, "client", GUEST, START + SECOND, stream=False))


def test_pending_queries_are_bounded() -> None:
    service: DnsService[str] = DnsService(NAMES, limit=2)
    for number in range(2):
        forwarded(service, ask(service, f"name{number}.example"))
    assert answered(ask(service, "one-too-many.example")).rcode() == dns.rcode.SERVFAIL
    assert service.pending == 2


def test_malformed_messages_are_formerr_or_dropped(service: DnsService[str]) -> None:
    good = dns.message.make_query("shop.example", "A").to_wire()
    outcome = service.query(good[:-3], "client", GUEST, START, stream=False)
    assert isinstance(outcome, Reply)
    assert dns.message.from_wire(outcome.message).rcode() == dns.rcode.FORMERR
    assert outcome.message[:2] == good[:2]
    assert service.query(good[:11], "client", GUEST, START, stream=False) is None


def test_answers_are_never_answered(service: DnsService[str]) -> None:
    message = dns.message.make_response(dns.message.make_query("host.docker.internal", "A")).to_wire()
    assert service.query(message, "client", GUEST, START, stream=False) is None


def test_other_opcodes_are_not_implemented(service: DnsService[str]) -> None:
    query = dns.message.make_query("host.docker.internal", "A")
    query.set_opcode(dns.opcode.STATUS)
    assert (
        answered(service.query(query.to_wire(), "client", GUEST, START, stream=False)).rcode()
        == dns.rcode.NOTIMP
    )


@given(st.binary(max_size=600))
def test_any_octets_are_survived(octets: bytes) -> None:
    service: DnsService[str] = DnsService(NAMES)
    outcome = service.query(octets, "client", GUEST, START, stream=False)
    if isinstance(outcome, ListServers):
        resolved(service, forwarded(service, outcome), octets)
    assert service.pending == 0
