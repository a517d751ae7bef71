"""DNS messages on streams and in datagrams."""

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.wire.dns import (
    LARGEST,
    failure,
    fitted,
    framed,
    is_answer,
    octets,
    read_answer,
    read_query,
    take,
    udp_limit,
)

QUERY = dns.message.make_query("shop.example", "A")


def answer(query: dns.message.Message, count: int) -> dns.message.Message:
    made = dns.message.make_response(query)
    values = [f"10.0.{number >> 8}.{number & 255}" for number in range(count)]
    made.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *values))
    return made


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50))
def test_messages_of_a_stream_come_out_as_they_went_in_however_it_is_cut(
    messages: list[bytes], piece: int
) -> None:
    stream = b"".join(map(framed, messages))
    received, taken = bytearray(), []
    for at in range(0, len(stream), piece):
        received += stream[at : at + piece]
        while (message := take(received)) is not None:
            taken.append(message)

    assert taken == messages
    assert not received


def test_what_is_no_message_of_a_stream_can_not_be_framed() -> None:
    with pytest.raises(OverflowError):
        framed(bytes(LARGEST + 1))


@pytest.mark.parametrize(("options", "limit"), [
    ({}, 512), ({"use_edns": 0, "payload": 1232}, 1232), ({"use_edns": 0, "payload": 100}, 512),
    ({"use_edns": 0, "payload": 65535}, 65507),
])  # fmt: skip
def test_a_datagram_is_as_long_as_its_asker_says(options: dict[str, int], limit: int) -> None:
    query = dns.message.make_query("shop.example", "A", **options)  # type: ignore[arg-type]
    assert udp_limit(query) == limit


def test_what_fits_goes_untouched_but_for_the_id() -> None:
    other = dns.message.make_query("shop.example", "A", id=(QUERY.id + 1) & 0xFFFF)
    wire = octets(answer(other, 3))
    assert fitted(wire, QUERY, len(wire)) == QUERY.id.to_bytes(2, "big") + wire[2:]


def test_what_does_not_fit_is_the_empty_answer_with_tc() -> None:
    long = answer(QUERY, 100)
    long.flags |= dns.flags.AA
    long.set_rcode(dns.rcode.YXDOMAIN)

    short = dns.message.from_wire(fitted(octets(long), QUERY, 512))

    assert short.flags & dns.flags.TC
    assert short.flags & dns.flags.AA
    assert short.rcode() == dns.rcode.YXDOMAIN
    assert short.question == QUERY.question
    assert not short.answer
    assert short.id == QUERY.id


def test_a_long_answer_to_a_small_edns_is_written_whole() -> None:
    """For a stream; dnspython alone would raise TooBig."""
    small = dns.message.make_query("shop.example", "A", use_edns=0, payload=512)
    assert len(octets(answer(small, 100))) > 512


def test_a_query_is_read_and_what_is_none_is_refused_or_passed_over() -> None:
    wire = QUERY.to_wire()
    assert read_query(wire) == QUERY
    assert read_query(failure(QUERY, dns.rcode.SERVFAIL)) is None
    assert read_query(wire[:11]) is None
    for bad, rcode in (
        (wire[:-3], dns.rcode.FORMERR),
        (wire[:4] + b"\0\2" + wire[6:] + wire[12:], dns.rcode.FORMERR),
        (wire[:2] + bytes([dns.opcode.STATUS << 3]) + wire[3:], dns.rcode.NOTIMP),
    ):
        refusal = read_query(bad)
        assert isinstance(refusal, bytes)
        assert refusal[:2] == wire[:2]
        refused = dns.message.from_wire(refusal)
        assert refused.flags & dns.flags.QR
        assert refused.rcode() == rcode


def test_an_answer_has_the_id_and_the_question() -> None:
    wire, right = QUERY.to_wire(), octets(answer(QUERY, 1))
    other = dns.message.make_query("evil.example", "A", id=QUERY.id)
    assert is_answer(right, wire)
    assert not is_answer(bytes([right[0] ^ 1]) + right[1:], wire)
    assert not is_answer(octets(answer(other, 1)), wire)
    assert not is_answer(wire, wire)
    assert not is_answer(right[:11], wire)


@given(st.binary(max_size=600))
def test_any_octets_are_survived(junk: bytes) -> None:
    read_query(junk)
    read_answer(junk)
    assert not is_answer(junk, QUERY.to_wire()) or junk[:2] == QUERY.to_wire()[:2]
