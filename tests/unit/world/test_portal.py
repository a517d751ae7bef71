"""Captive portals: what they answer, who goes through, what can't be described."""

import json
from urllib.parse import urlencode

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.world.described.model import Host, Link
from guestnet.world.described.place import WorldError
from guestnet.world.described.portal import Changes, Portal
from guestnet.world.described.server import Record, Server
from guestnet.world.described.world import World
from guestnet.world.portal.decide import Answer, Asked, Forged, Session, api_url, name, page
from guestnet.world.portal.ruleset import ruleset
from guestnet.world.portal.running import garden, records
from guestnet.world.portal.sessions import Sessions

PORTAL = Portal(host="hotel", link="wifi", name="portal.example", garden=("menu.example", "198.51.100.0/24"))
HERE = ("10.0.0.1", "2001:db8::1")
OUT, IN = Session(False), Session(True, 90.5)
SECOND = 1_000_000_000


def ask(
    path: str, host: str = "portal.example", session: Session = OUT, method: str = "GET", body: str = "",
    secure: bool = False, **ways: object,
) -> Answer:  # fmt: skip
    portal = _with(**ways)
    return page(portal, portal, HERE, session, Asked(secure, method, host, path, body))


def _with(**ways: object) -> Portal:
    return Portal(host="hotel", link="wifi", name="portal.example", **ways)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [302, 303, 307])
def test_others_pages_are_redirected_to_the_form_which_learns_what_was_wanted(status: int) -> None:
    answer = ask("/x?y=1", "shop.example", redirect=status)

    assert answer.status == status
    assert answer.headers["Location"] == "http://portal.example/?url=http%3A%2F%2Fshop.example%2Fx%3Fy%3D1"
    assert answer.headers["Cache-Control"] == "no-store"


def test_511_has_a_link_to_the_form_and_never_is_the_form() -> None:
    answer = ask("/", "shop.example", redirect=511)

    assert answer.status == 511
    assert 'href="http://portal.example/?url=' in answer.body
    assert "<form" not in answer.body


def test_a_page_may_be_replaced_by_the_form() -> None:
    assert "<form" in ask("/", "shop.example", redirect=200).body


@pytest.mark.parametrize("host", ["portal.example", "portal.example:80", "10.0.0.1", "[2001:db8::1]:80"])
def test_the_portal_knows_its_own_names(host: str) -> None:
    assert ask("/", host).status == 200


def test_accepting_the_terms_logs_in_and_forgetting_to_does_not() -> None:
    accepted = ask("/login", method="POST", body="accept=yes")
    refused = ask("/login", method="POST", body="")

    assert (accepted.status, accepted.login) == (303, True)
    assert (refused.status, refused.login) == (403, False)
    assert ask("/login", body="accept=yes").login is False


def test_an_account_wants_its_user_and_password() -> None:
    def login(user: str, password: str) -> bool:
        body = urlencode({"user": user, "password": password})
        return ask("/login", method="POST", body=body, account="room 7:a&b").login

    assert login("room 7", "a&b")
    assert not login("room 7", "")
    assert not login("", "")
    assert not ask("/login", method="POST", body="accept=yes", account="a:b").login


def test_the_api_is_json_over_tls_only() -> None:
    closed = json.loads(ask("/api", secure=True).body)
    answer = ask("/api", secure=True, session=IN)

    assert closed == {
        "captive": True, "user-portal-url": "https://portal.example/",
        "venue-info-url": "https://portal.example/", "can-extend-session": False,
    }  # fmt: skip
    assert answer.headers["Content-Type"] == "application/captive+json"
    assert json.loads(answer.body)["captive"] is False
    assert json.loads(answer.body)["seconds-remaining"] == 90
    assert ask("/api").status == 404
    assert ask("/api", secure=True, api=False).status == 404
    assert api_url(PORTAL) == "https://portal.example/api"


def test_whoever_is_in_can_log_out() -> None:
    assert "/logout" in ask("/", session=IN).body
    assert ask("/logout", session=IN, method="POST").logout
    assert not ask("/logout", session=IN).logout
    assert ask("/nothing").status == 404


@pytest.mark.parametrize(
    ("asked", "kind", "values"),
    [
        ("shop.example", "A", ["10.0.0.1"]),
        ("shop.example", "AAAA", ["2001:db8::1"]),
        ("shop.example", "MX", []),
        ("menu.example", "A", ["203.0.113.9"]),
        ("MENU.example", "AAAA", []),
    ],
)
def test_every_name_is_forged_but_those_of_the_garden(asked: str, kind: str, values: list[str]) -> None:
    query = dns.message.make_query(asked, kind)
    forged = name(query.to_wire(), HERE, 7, {"menu.example": [("A", "203.0.113.9")]})
    answer = dns.message.from_wire(forged.answer)

    assert forged.question == f"{kind} {asked}"
    assert query.is_response(answer)
    assert answer.rcode() == dns.rcode.NOERROR
    assert [str(item) for rrset in answer.answer for item in rrset] == values
    assert all(rrset.ttl == 7 for rrset in answer.answer)


@pytest.mark.parametrize("octets", [b"", b"\0" * 5, bytes(12), b"\xff" * 40])
def test_what_is_no_query_is_not_answered(octets: bytes) -> None:
    assert name(octets, HERE, 0, {}).answer == b""


def test_sessions_end_when_their_time_is_over_and_not_before() -> None:
    sessions = Sessions()
    sessions.open("aa", 10, now=0)
    sessions.open("bb", 0, now=0)

    assert sessions.of("aa", 4 * SECOND) == Session(True, 6.0)
    assert sessions.of("bb", 10**18) == Session(True, None)
    assert sessions.of("cc", 0) == Session(False)
    assert sessions.poll_at() == 10 * SECOND
    assert sessions.expire(10 * SECOND - 1) == []
    assert sessions.expire(10 * SECOND) == ["aa"]
    assert sessions.poll_at() is None
    assert sessions.machines == ["bb"]
    assert sessions.close("bb")
    assert not sessions.close("bb")


def test_a_new_login_starts_the_time_anew() -> None:
    sessions = Sessions()
    sessions.open("aa", 10, now=0)
    sessions.open("aa", 10, now=5 * SECOND)

    assert sessions.poll_at() == 15 * SECOND


def test_the_ruleset_names_who_is_in_and_what_is_open() -> None:
    text = ruleset(PORTAL, PORTAL, ["203.0.113.9", "2001:db8::9"], ["02:00:00:00:00:01"])

    assert "elements = { 02:00:00:00:00:01 }" in text
    assert "elements = { 203.0.113.9/32 }" in text
    assert "elements = { 2001:db8::9/128 }" in text
    assert text.startswith("table inet portal\ndelete table inet portal\n")


def test_names_of_the_garden_are_followed_through_aliases() -> None:
    zone = (
        Record(name="menu.example", type="CNAME", value="www.example"),
        Record(name="www.example", type="A", value="203.0.113.9"),
        Record(name="loop.example", type="CNAME", value="other.example"),
    )
    back = (Record(name="other.example", type="CNAME", value="Loop.example"),)
    world = World(
        name="w",
        hosts={"laptop": Host(), "far": Host(addresses=("203.0.113.53", "203.0.113.54"))},
        servers={
            "dns": Server(kind="dns", host="far", addresses=("203.0.113.53",), port=53, records=zone),
            "two": Server(kind="dns", host="far", addresses=("203.0.113.54",), port=53, records=back),
        },
    )  # fmt: skip

    assert records(("Menu.example", "loop.example"), world) == {
        "menu.example": [("A", "203.0.113.9")],
        "loop.example": [],
    }
    assert garden(("menu.example", "198.51.100.0/24"), world) == ["198.51.100.0/24", "203.0.113.9"]


@pytest.mark.parametrize("flags", ["QR", "TC QR"])
def test_an_answer_is_not_answered(flags: str) -> None:
    message = dns.message.make_query("shop.example", "A")
    message.flags = dns.flags.from_text(flags)

    assert name(message.to_wire(), HERE, 7, {}) == Forged()


def test_changes_are_those_that_were_given() -> None:
    assert Changes(redirect=307, udp=False).given == {"redirect": 307, "udp": False}


HOTEL = Host(forward=True, addresses=("10.9.9.9",))
WIFI = Link(ends={"laptop": ("10.0.0.2/24",), "hotel": ("10.0.0.1/24",)})


@pytest.mark.parametrize(
    ("place", "fields", "hotel"),
    [
        ("portals.p.host", {"host": "mars"}, HOTEL),
        ("portals.p.host", {"host": "laptop"}, HOTEL),
        ("portals.p.host", {}, Host(addresses=("10.9.9.9",))),
        ("portals.p.link", {"link": "cable"}, HOTEL),
        ("portals.p.name", {"name": "portal"}, HOTEL),
        ("portals.p.name", {"name": "portal..example"}, HOTEL),
        ("portals.p.ttl", {"ttl": -1}, HOTEL),
        ("portals.p.session", {"session": -1.0}, HOTEL),
        ("portals.p.account", {"account": "user"}, HOTEL),
        ("portals.p.resolvers[0]", {"resolvers": ("dns",)}, HOTEL),
        ("portals.p.garden[1]", {"garden": ("10.0.0.0/8", "nowhere.example")}, HOTEL),
        ("portals.p.pool[1]", {"pool": ("10.0.0.5", "10.0.1.5")}, HOTEL),
        ("portals.p.pool", {"pool": ("10.0.0.5",)}, HOTEL),
        ("portals.p.session", {"session": float("nan")}, HOTEL),
    ],
)
def test_what_can_not_be_is_an_error_that_names_the_place(
    place: str, fields: dict[str, object], hotel: Host
) -> None:
    portal = Portal(**{"host": "hotel", "link": "wifi", "name": "portal.example"} | fields)  # type: ignore[arg-type]
    with pytest.raises(WorldError) as caught:
        World(name="w", hosts={"laptop": Host(), "hotel": hotel}, links={"wifi": WIFI}, portals={"p": portal})

    assert caught.value.message.startswith(f"{place}: ")
    assert caught.value.remedy


def test_an_access_points_ports_are_its_own() -> None:
    web = Server(kind="http", host="hotel", addresses=("10.0.0.1",), port=80)
    hosts = {"laptop": Host(), "hotel": HOTEL}
    portal = Portal(host="hotel", link="wifi", name="portal.example")

    with pytest.raises(WorldError, match="web has the port of its pages"):
        World(name="w", hosts=hosts, links={"wifi": WIFI}, servers={"web": web}, portals={"p": portal})


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.text(max_size=60),
    st.sampled_from([200, 302, 303, 307, 511]),
)
def test_whatever_a_client_asks_it_is_answered_and_not_let_in(
    host: str, path: str, body: str, redirect: int
) -> None:
    answer = ask(path, host, method="GET", body=body, redirect=redirect)

    assert answer.status in (200, 302, 303, 307, 404, 511)
    assert not answer.login
    assert "\n" not in answer.headers.get("Location", "")


@given(st.binary(max_size=80))
def test_octets_that_are_no_query_never_raise(octets: bytes) -> None:
    name(octets, HERE, 0, {})
