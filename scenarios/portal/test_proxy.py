"""An office whose only way out is an HTTP proxy, and what programs in the guest see of it."""

import msgspec
import pytest

from guestnet.core import events
from guestnet.scenario import Lab
from guestnet.world.described.world import World
from guestnet.world.profiles.load import load_profile
from scenarios.portal.debian import SITE, apt, use_repository

OFFICE = load_profile("corp-proxy-only")
PROXY = "http://proxy.corp.example:3128"


def with_proxy(**options: object) -> World:
    """The office with another kind of proxy."""
    proxy = msgspec.structs.replace(OFFICE.servers["proxy"], **options)
    return msgspec.structs.replace(OFFICE, servers=OFFICE.servers | {"proxy": proxy})


@pytest.mark.lab(profile=OFFICE)
def test_only_the_proxy_leads_out(lab: Lab) -> None:
    """Outside names and addresses do not exist for the guest; by the proxy all does, plain and tunnelled."""
    guest = lab.guest
    guest.trust(lab.ca)
    with lab.step("without the proxy"):
        assert guest.resolve("shop.example").rcode == "NXDOMAIN"
        assert guest.connect("203.0.113.10", 443).refused
        assert guest.connect("203.0.113.30", 7, timeout=0.5).error == "GAVE_UP"
        assert guest.fetch("http://intranet.corp.example/").ok
    with lab.step("by the proxy"):
        assert guest.fetch("http://shop.example/", proxy=PROXY).ok
        assert guest.fetch("https://shop.example/", proxy=PROXY).ok
        assert guest.download("http://files.example/size/100000", proxy=PROXY).intact
    lab.journal.expect(events.Served, server="proxy", request="GET http://shop.example/", status="200")
    lab.journal.expect(events.Served, server="proxy", request="CONNECT shop.example:443", status="200")
    with lab.step("apt"):
        use_repository(guest)
        assert "Could not resolve 'deb.example'" in apt(guest, "update", patient=False).stderr
        assert apt(guest, "update", environment=f"http_proxy={PROXY}").stderr == ""
    lab.journal.expect(events.Served, server="proxy", request=f"GET {SITE}/dists/stable/InRelease")
    with lab.step("what the proxy can't reach"):
        assert guest.fetch("http://dead.example/", proxy=PROXY).status == 502
        assert "502" in guest.fetch("https://dead.example/", proxy=PROXY).error


@pytest.mark.lab(profile=with_proxy(login="alice:secret"))
def test_a_proxy_that_wants_a_login_says_407(lab: Lab) -> None:
    """Proxy authentication (RFC 9110, section 11.7), for plain requests and for tunnels."""
    guest = lab.guest
    guest.trust(lab.ca)
    known = "http://alice:secret@proxy.corp.example:3128"
    refused = guest.fetch("http://shop.example/", proxy=PROXY)
    assert refused.status == 407
    assert refused.headers["proxy-authenticate"].startswith("Basic")
    assert "407" in guest.fetch("https://shop.example/", proxy=PROXY).error
    assert guest.fetch("http://shop.example/", proxy=known).ok
    assert guest.fetch("https://shop.example/", proxy=known).ok
    lab.journal.expect(events.Served, server="proxy", request="CONNECT shop.example:443", status="407")


@pytest.mark.lab(profile=with_proxy(intercept=True))
def test_a_proxy_that_opens_tls_is_trusted_with_the_companys_authority_only(lab: Lab) -> None:
    """Every site has a certificate of the company's; a guest that does not know that one sees no site."""
    assert "certificate" in lab.guest.fetch("https://shop.example/", proxy=PROXY).error
    lab.guest.trust(lab.ca)
    assert lab.guest.fetch("https://shop.example/size/10", proxy=PROXY).ok
    # A tunnel would have shown no more than CONNECT.
    lab.journal.expect(
        events.Served, server="proxy", request="GET https://shop.example/size/10", status="200"
    )
