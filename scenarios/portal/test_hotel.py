"""A hotel's Wi-Fi: what programs in the guest see of its captive portal, before the login and after.

For the hotel the guest's packets are the laptop's, so whoever of the two logs in does it for both.
"""

import json

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, dns, tcp

pytestmark = pytest.mark.lab(profile="hotel-wifi")


def test_a_login_opens_what_was_redirected_reset_and_silent(lab: Lab) -> None:
    """Before: HTTP leads to the portal, TLS is reset, other ports are silent. After: everything is there."""
    guest = lab.guest
    with lab.step("before the login"):
        page = guest.fetch("http://shop.example/")
        assert page.status == 302
        assert page.location.startswith("http://portal.hotel.example/?url=http%3A%2F%2Fshop.example")
        attempt = guest.connect("shop.example", 443)
        assert attempt.error == "ECONNREFUSED"
        lab.cable.expect(tcp.reset(to=attempt.source))
        assert guest.connect("echo.example", 7, timeout=0.5).error == "GAVE_UP"
        assert guest.udp_echo("echo.example", 7, b"hello", timeout=0.5) is None
        assert not lab.portal.is_open
    with lab.step("the login"):
        assert lab.portal.login().status == 303
        lab.journal.expect(events.PortalChanged, portal="hotel", change="open")
    with lab.step("after the login"):
        assert lab.portal.is_open
        assert guest.fetch("http://shop.example/").text.endswith("<h1>This is shop.</h1>\n")
        assert guest.fetch("https://shop.example/", trust=lab.ca).ok
        assert guest.connect("echo.example", 7).connected
        assert guest.udp_echo("echo.example", 7, b"hello") == b"hello"
    lab.journal.expect(events.Served, server="hotel", request="GET /", status="302")


def test_machines_find_the_portal_and_then_the_internet(lab: Lab) -> None:
    """Operating systems ask for a page that is known to be empty, and look what they get instead."""
    assert lab.portal.detect(lab.guest).captive
    assert lab.portal.detect().captive
    lab.portal.login()
    assert lab.portal.detect(lab.guest).verdict == "open"
    assert lab.portal.detect().verdict == "open"


def test_a_guest_logs_in_by_the_form(lab: Lab) -> None:
    """The guest's own browser is redirected, finds the form, is told what it forgot, and gets its page."""
    portal = lab.portal
    portal.set(account="room101:breakfast")
    wrong = portal.login(lab.guest, via="http://shop.example/", user="room101", password="dinner")
    assert wrong.status == 403
    assert "Wrong user or password" in wrong.text
    assert not portal.is_open

    assert portal.login(lab.guest).location == portal.state.url
    assert lab.guest.fetch("http://shop.example/").ok


def test_the_walled_garden_is_there_for_everybody(lab: Lab) -> None:
    """The hotel's menu needs no login, not even where names are forged; its neighbour does."""
    assert lab.guest.fetch("http://menu.example/").ok
    assert lab.guest.connect("menu.example", 443).refused
    lab.portal.set(forge=True)
    assert lab.guest.resolve("menu.example").addresses == ["203.0.113.45"]
    assert lab.guest.fetch("http://menu.example/").ok


def test_dhcp_and_the_api_say_how_the_network_stands(lab: Lab) -> None:
    """RFC 8910's option leads to RFC 8908's API; with it nobody has to guess from redirects."""
    offer = lab.laptop.dhcp("wifi")
    assert offer is not None
    assert offer.captive_portal == "https://portal.hotel.example/api"
    assert offer.address.startswith("10.40.0.1")

    before = lab.guest.fetch(offer.captive_portal, trust=lab.ca)
    assert before.headers["content-type"] == "application/captive+json"
    assert json.loads(before.body)["captive"] is True
    assert json.loads(before.body)["user-portal-url"] == "https://portal.hotel.example/"
    lab.portal.set(session=3600)
    lab.portal.login()
    after = json.loads(lab.guest.fetch(offer.captive_portal, trust=lab.ca).body)
    assert after["captive"] is False
    assert after["can-extend-session"] is True
    assert 3500 < after["seconds-remaining"] <= 3600

    lab.portal.set(api=False)
    silent = lab.laptop.dhcp("wifi")
    assert silent is not None
    assert silent.captive_portal == ""
    assert lab.guest.fetch(offer.captive_portal, trust=lab.ca).status == 404


def test_every_kind_of_redirect_leads_to_the_form(lab: Lab) -> None:
    """302, 303, 307, 511 (RFC 6585) and the form in place of the page: a browser gets there from each."""
    for status in (200, 302, 303, 307, 511):
        lab.portal.set(redirect=status)
        page = lab.guest.fetch("http://shop.example/")
        assert page.status == status
        if status == 200:
            assert "<form" in page.text
        elif status == 511:
            assert "http://portal.hotel.example/?url=" in page.text
        else:
            assert page.location.startswith("http://portal.hotel.example/?url=")
        lab.portal.login(via="http://shop.example/")
        assert lab.laptop.fetch("http://shop.example/").ok
        lab.portal.expire()


def test_forged_names_live_no_longer_than_the_login(lab: Lab) -> None:
    """All names have the portal's address and a TTL of 0: only who kept an address still meets the portal."""
    lab.portal.set(forge=True)
    forged = lab.guest.resolve("shop.example")
    assert (forged.addresses, forged.ttl) == (["10.40.0.1"], 0)
    assert lab.guest.resolve("no.such.name.example").addresses == ["10.40.0.1"]
    assert lab.guest.resolve("shop.example", "AAAA").addresses == ["2001:db8:40::1"]

    lab.journal.expect(events.Served, server="hotel", request="A shop.example", status="forged")
    lab.portal.set(ttl=300)
    assert lab.guest.resolve("shop.example").ttl == 300

    lab.portal.login()
    real = lab.guest.resolve("shop.example")
    assert real.addresses == ["203.0.113.10"]
    assert lab.guest.resolve("no.such.name.example").rcode == "NXDOMAIN"
    with lab.step("a program that kept the forged address"):
        poisoned = lab.guest.fetch("http://shop.example/", to="10.40.0.1")
        assert poisoned.status == 302
    assert lab.guest.fetch("http://shop.example/").ok
    lab.cable.expect(dns.answer("shop.example", addresses=["10.40.0.1"]))


def test_what_is_not_http_fails_in_every_way_that_portals_have(lab: Lab) -> None:
    """RST, silence and ICMP for TLS, or somebody else's certificate: each is its own error in the guest."""
    guest = lab.guest
    guest.trust(lab.ca)
    assert "curl: (7)" in guest.fetch("https://shop.example/").error
    lab.portal.set(tls="silence")
    assert "timed out" in guest.fetch("https://shop.example/", timeout=1).error
    lab.portal.set(tls="prohibit", other="prohibit")
    assert guest.connect("shop.example", 443).error == "EHOSTUNREACH"
    assert guest.connect("echo.example", 7).error == "EHOSTUNREACH"
    lab.portal.set(tls="certificate", other="reset")
    assert "no alternative certificate subject name matches" in guest.fetch("https://shop.example/").error
    assert guest.connect("echo.example", 7).refused
    assert "<form" in guest.fetch("https://portal.hotel.example/").text


def test_a_session_ends_in_mid_download(lab: Lab) -> None:
    """What ran is cut, what begins is led to the portal; a new login, and all is well."""
    lab.portal.set(other="reset")
    lab.portal.login()
    with lab.step("a download that the end of the session cuts"):
        script = (
            "curl --silent --output /tmp/got http://files.example/drip/1000000/100000; echo $? >/tmp/ended"
        )
        lab.guest.run(
            f"rm -f /tmp/ended; ({script}) >/dev/null 2>&1 & until [ -s /tmp/got ]; do sleep 0.05; done"
        )
        lab.portal.expire()
        ended = lab.guest.run(
            "until [ -s /tmp/ended ]; do sleep 0.05; done; cat /tmp/ended; stat -c %s /tmp/got"
        )
    status, size = (int(word) for word in ended.stdout.split())
    assert status == 56  # curl's "failure in receiving network data"
    assert 0 < size < 1_000_000
    lab.journal.expect(events.PortalChanged, portal="hotel", change="closed")
    assert lab.guest.fetch("http://files.example/size/10").status == 302
    lab.portal.login()
    assert lab.guest.download("files.example", size=10_000).intact


def test_a_session_is_over_when_its_time_is(lab: Lab) -> None:
    """Eight hours of sleep end a session of six: the laptop wakes up in front of the portal again."""
    lab.portal.set(session=6 * 3600)
    lab.portal.login()
    assert lab.guest.fetch("http://shop.example/").ok
    lab.sleep(hours=8)
    lab.journal.expect(events.PortalChanged, portal="hotel", change="closed")
    assert lab.guest.fetch("http://shop.example/").status == 302


def test_datagrams_stay_blocked_after_the_login_where_the_hotel_wants_it(lab: Lab) -> None:
    """No UDP but DNS: what VPNs and QUIC meet in many hotels. TCP works, names resolve."""
    lab.portal.set(udp=False)
    lab.portal.login()
    assert lab.guest.udp_echo("echo.example", 7, b"hello", timeout=0.5) is None
    assert lab.guest.ntp("time.example", timeout=0.5) is None
    assert lab.guest.connect("echo.example", 7).connected
    assert lab.guest.resolve("shop.example", server="203.0.113.53").addresses == ["203.0.113.10"]
    lab.portal.set(udp=True)
    assert lab.guest.udp_echo("echo.example", 7, b"hello") == b"hello"
    assert lab.guest.ntp("time.example") is not None
