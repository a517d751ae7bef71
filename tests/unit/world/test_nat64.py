"""DNS64 and the NAT64's pool; `tests/unit/tcpip/test_siit.py` has the translation."""

from ipaddress import IPv4Address, IPv6Address

import dns.message
import pytest

from guestnet.world.described.model import Host, Link
from guestnet.world.described.nat64 import Nat64
from guestnet.world.described.place import WorldError
from guestnet.world.described.world import World
from guestnet.world.nat64 import dns64
from guestnet.world.nat64.translating import Pool

PREFIX = "64:ff9b::/96"


def message(text: str) -> dns.message.Message:
    return dns.message.from_text(text)


def answer(query: dns.message.Message, *records: str, rcode: str = "NOERROR") -> dns.message.Message:
    sections = "\n".join(records)
    question = query.question[0].to_text()
    return message(
        f"id {query.id}\nopcode QUERY\nrcode {rcode}\nflags QR RD RA\n;QUESTION\n{question}\n{sections}"
    )


AAAA = dns.message.make_query("v4.example.", "AAAA")
A = dns64.for_ipv4(AAAA)


def test_an_answer_with_an_address_is_left_alone() -> None:
    assert not dns64.wants_ipv4(AAAA, answer(AAAA, ";ANSWER", "v4.example. 60 IN AAAA 2001:db8::1"))


@pytest.mark.parametrize(
    ("records", "rcode", "wanted"),
    [
        ((), "NOERROR", True),
        ((), "SERVFAIL", True),
        ((), "NXDOMAIN", False),
        ((";ANSWER", "v4.example. 60 IN AAAA ::ffff:203.0.113.10"), "NOERROR", True),
        ((";ANSWER", "v4.example. 60 IN CNAME other.example."), "NOERROR", True),
    ],
)
def test_an_answer_without_one_of_use_asks_for_ipv4(
    records: tuple[str, ...], rcode: str, wanted: bool
) -> None:
    assert dns64.wants_ipv4(AAAA, answer(AAAA, *records, rcode=rcode)) is wanted


def test_a_question_for_anything_else_is_left_alone() -> None:
    assert not dns64.wants_ipv4(A, answer(A))


def test_each_address_is_embedded_and_aliases_stay() -> None:
    absent = answer(AAAA, ";AUTHORITY", "example. 30 IN SOA ns. me. 1 2 3 4 5")
    found = answer(
        A, ";ANSWER", "v4.example. 60 IN CNAME web.example.", "web.example. 60 IN A 203.0.113.10",
        "web.example. 60 IN A 203.0.113.11",
    )  # fmt: skip

    made = dns64.synthesized(AAAA, absent, found, PREFIX)

    assert made.id == AAAA.id
    assert [rrset.to_text() for rrset in made.answer] == [
        "v4.example. 60 IN CNAME web.example.",
        "web.example. 30 IN AAAA 64:ff9b::cb00:710a\nweb.example. 30 IN AAAA 64:ff9b::cb00:710b",
    ]


@pytest.mark.parametrize("rcode", ["NOERROR", "SERVFAIL"])
def test_without_an_ipv4_address_the_first_answer_stands(rcode: str) -> None:
    absent = answer(AAAA)

    assert dns64.synthesized(AAAA, absent, answer(A, rcode=rcode), PREFIX) is absent


def test_clients_have_addresses_of_the_pool_and_the_quietest_gives_way() -> None:
    pool = Pool(PREFIX, "192.168.254.0/30")
    one, two, three = (IPv6Address(f"2001:db8::{number}").packed for number in (1, 2, 3))
    first, second = pool.to_ip4(one), pool.to_ip4(two)

    assert first == IPv4Address("192.168.254.1").packed
    assert pool.to_ip4(one) == first
    assert second is not None
    assert pool.to_ip4(three) == second
    assert pool.to_ip6(second) == three
    assert pool.to_ip6(IPv4Address("192.168.254.3").packed) is None


def test_what_is_in_the_prefix_is_an_ipv4_address_and_back() -> None:
    pool = Pool(PREFIX, "192.168.254.0/24")
    server = IPv4Address("203.0.113.10").packed
    embedded = IPv6Address("64:ff9b::cb00:710a").packed

    assert pool.to_ip4(embedded) == server
    assert pool.to_ip6(server) == embedded
    assert pool.is_ours(embedded)
    assert pool.is_ours(IPv4Address("192.168.254.9").packed)
    assert not pool.is_ours(server)
    assert not pool.is_ours(IPv6Address("2001:db8::1").packed)


HOSTS = {"laptop": Host(), "router": Host(forward=True), "box": Host()}
LINKS = {
    "in": Link(ends={"laptop": ("2001:db8:1::2/64",), "router": ("2001:db8:1::1/64",)}),
    "side": Link(
        ends={"router": ("192.0.0.1/29", "2001:db8:2::1/64"), "box": ("192.0.0.2/29", "2001:db8:2::2/64")}
    ),
}
RIGHT = {"host": "box", "dns64": ("2001:db8:2::2",), "resolvers": ("203.0.113.53",)}


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("nat64.n.host", {"host": "laptop"}),
        ("nat64.n.host", {"host": "mars"}),
        ("nat64.n.host", {"host": "router"}),
        ("nat64.n.prefix", {"prefix": "64:ff9b::/64"}),
        ("nat64.n.prefix", {"prefix": "10.0.0.0/8"}),
        ("nat64.n.pool", {"pool": "64:ff9b::/96"}),
        ("nat64.n.pool", {"pool": "192.168.254.1/24"}),
        ("nat64.n.dns64[0]", {"dns64": ("2001:db8:2::3",)}),
        ("nat64.n.dns64", {"resolvers": ()}),
        ("nat64.n.resolvers[0]", {"resolvers": ("dns",)}),
    ],
)
def test_an_impossible_nat64_is_told_with_its_place(place: str, fields: dict[str, object]) -> None:
    World(name="w", hosts=HOSTS, links=LINKS, nat64={"n": Nat64(**RIGHT)})  # type: ignore[arg-type]
    with pytest.raises(WorldError) as caught:
        World(name="w", hosts=HOSTS, links=LINKS, nat64={"n": Nat64(**RIGHT | fields)})  # type: ignore[arg-type]

    assert caught.value.message.startswith(f"{place}: ")


def test_a_translator_needs_both_versions() -> None:
    links = LINKS | {"side": Link(ends={"router": (), "box": ("2001:db8:2::2/64",)})}
    with pytest.raises(WorldError, match=r"nat64\.n\.host: box has no link with both versions"):
        World(name="w", hosts=HOSTS, links=links, nat64={"n": Nat64(**RIGHT)})  # type: ignore[arg-type]
