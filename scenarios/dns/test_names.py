"""Names, as resolvers in the guest see them (RFC 1035) through the laptop's resolver."""

import pytest

from guestnet.scenario import Lab, dns


def test_a_name_resolves_through_the_laptops_resolver(lab: Lab) -> None:
    """The stack asks the resolver that the laptop is set to, and passes its answer on."""
    answer = lab.guest.resolve("shop.example")

    assert answer.rcode == "NOERROR"
    assert answer.addresses == ["203.0.113.10"]
    assert answer.server == lab.guest.lease().dns[0]
    lab.cable.expect(dns.query("shop.example", "A"))
    lab.cable.expect(dns.answer("shop.example", addresses=["203.0.113.10"]))


def test_aliases_and_ipv6_addresses_pass_unchanged(lab: Lab) -> None:
    """A CNAME and an AAAA record arrive as the authoritative server wrote them."""
    alias = lab.guest.resolve("www.example")
    six = lab.guest.resolve("v6.example", "AAAA")

    assert alias.addresses == ["203.0.113.10"]
    assert alias.cname == "shop.example"
    assert six.addresses == ["2001:db8::10"]
    lab.cable.expect(dns.answer("v6.example", rdtype="AAAA", addresses=["2001:db8::10"]))


@pytest.mark.lab(needs=("host-name", "address-plan"))
def test_the_host_has_a_name(lab: Lab) -> None:
    """host.docker.internal is the laptop itself: its loopback services answer there."""
    answer = lab.guest.resolve("host.docker.internal")
    page = lab.guest.download("http://host.docker.internal:8080/size/1000")

    assert answer.addresses == ["192.168.65.2"]
    assert lab.guest.resolve("gateway.docker.internal").addresses == ["192.168.65.1"]
    assert page.intact
    lab.cable.expect(dns.answer("host.docker.internal", addresses=["192.168.65.2"]))


def test_a_name_that_does_not_exist_is_nxdomain(lab: Lab) -> None:
    """Not SERVFAIL and not a timeout: clients act differently on each."""
    answer = lab.guest.resolve("nowhere.example")

    assert answer.rcode == "NXDOMAIN"
    assert answer.addresses == []
    lab.cable.expect(dns.answer("nowhere.example", rcode="NXDOMAIN"))
