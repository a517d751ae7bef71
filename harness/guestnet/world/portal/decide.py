"""What a captive portal answers: pure functions of its ways and of who asks.

A browser that is not logged in sees, whatever it asked for, the portal's page or a redirect to it; the
portal's page has a form; what the form brings opens the portal or does not. Machines ask the API instead
(RFC 8908). Names have the portal's address, if it forges them.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from guestnet.world.described.portal import Portal, Ways

API: Final = "/api"
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"

_HTML: Final = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
_CAPPORT: Final = {"Content-Type": "application/captive+json", "Cache-Control": "private"}
"""RFC 8908 sections 4.1 and 5."""


class Asked(NamedTuple):
    """A request for a page; ``body`` is that of a form."""

    secure: bool
    method: str
    host: str
    path: str
    body: str = ""


class Session(NamedTuple):
    """How the client that asks stands: ``remaining`` are the seconds it has left, None without end."""

    is_open: bool
    remaining: float | None = None


class Answer(NamedTuple):
    """A page; ``login`` or ``logout``: what it does to the client's session."""

    status: int
    headers: Mapping[str, str]
    body: str
    login: bool = False
    logout: bool = False


def page(portal: Portal, ways: Ways, addresses: Sequence[str], session: Session, asked: Asked) -> Answer:
    """What ``asked`` is answered with by an access point that has ``addresses``."""
    host = _without_port(asked.host)
    if host != portal.name and host not in addresses:
        return _elsewhere(portal, ways, asked)
    path = asked.path.partition("?")[0]
    if path == API:
        return _api(portal, ways, session, asked)
    if path == LOGIN and asked.method == "POST":
        return _login(portal, ways, asked)
    if path == LOGOUT and asked.method == "POST":
        return Answer(303, {"Location": f"http://{portal.name}/"}, "", logout=True)
    if path != "/":
        return Answer(404, _HTML, _page(portal, "<p>There is no such page.</p>"))
    return Answer(200, _HTML, _page(portal, _welcome(portal, ways, session)))


def api_url(portal: Portal) -> str:
    """The URI of the API: what DHCP option 114 has (RFC 8910 section 2.1). It must be of HTTPS."""
    return f"https://{portal.name}{API}"


def _without_port(host: str) -> str:
    """Of what a client put into Host: whatever it likes."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _elsewhere(portal: Portal, ways: Ways, asked: Asked) -> Answer:
    """To whoever asked for somebody else's page."""
    wanted = f"{'https' if asked.secure else 'http'}://{asked.host}{asked.path}"
    login = f"http://{portal.name}/?url={quote(wanted, safe='')}"
    if ways.redirect == 200:
        return Answer(200, _HTML, _page(portal, _form(portal, ways)))
    if ways.redirect == 511:
        link = html.escape(login)
        body = (
            f'<meta http-equiv="refresh" content="0; url={link}">\n'
            f'<p>You need to <a href="{link}">log in</a>.</p>'
        )
        return Answer(511, _HTML, _page(portal, body))
    return Answer(ways.redirect, _HTML | {"Location": login}, "")


def _login(portal: Portal, ways: Ways, asked: Asked) -> Answer:
    form = {name: values[-1] for name, values in parse_qs(asked.body).items()}
    if ways.account:
        accepted = f"{form.get('user', '')}:{form.get('password', '')}" == ways.account
        wrong = "<p>Wrong user or password.</p>"
    else:
        accepted = form.get("accept") == "yes"
        wrong = "<p>You have to accept our terms.</p>"
    if not accepted:
        return Answer(403, _HTML, _page(portal, wrong + _form(portal, ways)))
    return Answer(303, {"Location": f"http://{portal.name}/"}, "", login=True)


def _api(portal: Portal, ways: Ways, session: Session, asked: Asked) -> Answer:
    """RFC 8908 section 5. Over plain HTTP there is none (section 4)."""
    if not ways.api or not asked.secure:
        return Answer(404, _HTML, _page(portal, "<p>There is no such page.</p>"))
    state: dict[str, object] = {
        "captive": not session.is_open,
        "user-portal-url": f"https://{portal.name}/",
        "venue-info-url": f"https://{portal.name}/",
        "can-extend-session": bool(ways.session),
    }
    if session.remaining is not None:
        state["seconds-remaining"] = int(session.remaining)
    return Answer(200, _CAPPORT, json.dumps(state))


def _welcome(portal: Portal, ways: Ways, session: Session) -> str:
    if not session.is_open:
        return _form(portal, ways)
    left = "" if session.remaining is None else f" for {session.remaining:.0f} s more"
    return (
        f"<p>You are online{left}.</p>\n"
        f'<form action="http://{portal.name}{LOGOUT}" method="post"><button>Log out</button></form>'
    )


def _form(portal: Portal, ways: Ways) -> str:
    fields = (
        '<input name="user">\n<input name="password" type="password">'
        if ways.account
        else '<input name="accept" type="checkbox" value="yes"> I accept the terms.'
    )
    action = f"http://{portal.name}{LOGIN}"
    return f'<form action="{action}" method="post">\n{fields}\n<button>Log in</button>\n</form>'


def _page(portal: Portal, body: str) -> str:
    return f"<!doctype html>\n<title>{portal.name}</title>\n<h1>Welcome to {portal.name}</h1>\n{body}\n"


class Forged(NamedTuple):
    """The answer to a DNS query in wire format, and what it was asked: "A shop.example"."""

    answer: bytes = b""
    question: str = ""


def name(
    query: bytes, addresses: Sequence[str], ttl: int, real: Mapping[str, Sequence[tuple[str, str]]]
) -> Forged:
    """The forged answer to a DNS query: everything has ``addresses``, for ``ttl`` seconds.

    Names in ``real`` have their own records instead, as (type, value): those of the walled garden. What is no
    query gets no answer.
    """
    try:
        asked = dns.message.from_wire(query)
        (question,) = asked.question
    except (dns.exception.DNSException, ValueError):
        return Forged()
    if asked.flags & dns.flags.QR:
        return Forged()
    response = dns.message.make_response(asked, recursion_available=True)
    kind = dns.rdatatype.to_text(question.rdtype)
    wanted = question.name.to_text(omit_final_dot=True)
    records = real.get(wanted.lower())
    if records is None:
        records = [("AAAA" if ":" in address else "A", address) for address in addresses]
    values = [value for known, value in records if known == kind]
    if values:
        response.answer.append(dns.rrset.from_text(question.name, ttl, "IN", kind, *values))
    return Forged(response.to_wire(), f"{kind} {wanted}")
