"""What a guest makes of routers that tell it otherwise (RFC 4861 4.2, RFC 4862 5.5, RFC 8415)."""

import pytest

from guestnet.scenario import Lab, ndp, tcp

pytestmark = pytest.mark.lab(needs="ipv6")

PREFIX = "fd65:6775:6573:7400::"


@pytest.mark.lab(ipv6="managed")
def test_addresses_may_be_dhcpv6s_alone(lab: Lab) -> None:
    """The guest makes none of the prefix; the one that it leases works."""
    guest = lab.guest
    told = ndp.router_advertisement(source="fe80::1", managed=True, other_config=True)
    lab.cable.expect(told, within=20)
    assert guest.dhcpv6(stateful=True).addresses == [f"{PREFIX}3"]
    addresses = guest.run(["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]).stdout
    assert f"{PREFIX}3" in addresses
    assert addresses.count("inet6") == 1


@pytest.mark.lab(ipv6="no-router")
def test_without_a_router_there_is_no_way_out(lab: Lab) -> None:
    """The guest has an address and the laptop's, but a connect to elsewhere fails in its own kernel."""
    guest = lab.guest
    lab.cable.expect(ndp.router_advertisement(source="fe80::1", prefix=f"{PREFIX}/64"), within=20)
    guest.run("until ip -6 address show dev eth0 | grep -q 'inet6 fd65:'; do sleep 0.05; done", check=True)
    attempt = guest.connect("2001:db8::10", 80)

    assert attempt.error == "ENETUNREACH"
    lab.cable.expect_none(tcp.syn(to="2001:db8::10"), for_=0.2)


@pytest.mark.lab(ipv6="off")
def test_ipv6_may_be_off(lab: Lab) -> None:
    """Nobody advertises anything, and names of the laptop have IPv4 addresses only."""
    guest = lab.guest
    lab.cable.expect(ndp.router_solicitation(), within=20)

    lab.cable.expect_none(ndp.router_advertisement(), for_=0.5)
    assert guest.resolve("host.docker.internal", "AAAA").addresses == []
