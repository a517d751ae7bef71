"""Captive portals and IPv6: it is forgotten in many of them, one way or the other."""

import pytest

from guestnet.scenario import Lab, dhcp, dhcpv6, ndp

pytestmark = pytest.mark.lab(profile="hotel-wifi", needs="ipv6")


def test_both_versions_are_captive_and_one_login_opens_both(lab: Lab) -> None:
    """The access point knows the machine, not its addresses."""
    lab.guest.autoconfiguration()
    assert lab.guest.fetch("http://shop.example/", family=4).status == 302
    assert lab.guest.fetch("http://shop.example/", family=6).status == 302
    assert lab.guest.connect("shop.example", 443, family=6).refused
    lab.portal.login()
    assert lab.guest.fetch("http://shop.example/", family=4).ok
    assert lab.guest.fetch("http://shop.example/", family=6).ok


def test_a_portal_that_breaks_ipv6_is_survived_by_falling_back(lab: Lab) -> None:
    """AAAA records and a router are there, but IPv6 goes nowhere: happy eyeballs (RFC 8305) take IPv4."""
    lab.guest.autoconfiguration()
    lab.portal.set(ipv6="dead")
    lab.portal.login()
    assert lab.guest.resolve("shop.example", "AAAA").addresses == ["2001:db8::10"]
    assert lab.guest.connect("shop.example", 80, family=6, timeout=0.5).error == "GAVE_UP"
    page = lab.guest.download("http://shop.example/size/1000", family=0)
    assert page.intact
    assert page.remote is not None
    assert page.remote.address == "203.0.113.10"


def test_ipv6_goes_past_a_portal_that_knows_only_ipv4(lab: Lab) -> None:
    """Half of the internet is there without a login: a machine that has IPv6 may never see the portal."""
    lab.guest.autoconfiguration()
    lab.portal.set(ipv6="open")
    assert lab.guest.fetch("http://shop.example/", family=4).status == 302
    assert lab.guest.fetch("http://shop.example/", family=6).ok
    assert lab.guest.connect("shop.example", 443, family=6).connected
    assert lab.guest.fetch("http://v6.example/", family=6).ok


@pytest.mark.lab(needs=["ipv6", "captive-portal"])
def test_guests_are_told_what_the_laptop_was_told(lab: Lab) -> None:
    """RFC 8910 in all its ways: DHCP, DHCPv6, and router advertisements, which say at once when it ends."""
    api = lab.portal.state.api
    lab.guest.lease()
    lab.cable.expect(dhcp.ack(captive_portal=api))
    lab.guest.autoconfiguration()
    lab.cable.expect(ndp.router_advertisement(captive_portal=api))
    lab.guest.dhcpv6()
    lab.cable.expect(dhcpv6.reply(captive_portal=api))
    for has_api in (False, True):
        with lab.step("with an API" if has_api else "without API") as change:
            lab.portal.set(api=has_api)
            told = api if has_api else ""
            lab.cable.expect(ndp.router_advertisement(captive_portal=told), since=change)
    with lab.step("out of the hotel") as outside:
        lab.roam(None)
        lab.cable.expect(ndp.router_advertisement(captive_portal=""), since=outside)
