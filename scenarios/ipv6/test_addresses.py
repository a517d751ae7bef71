"""How a guest comes by its IPv6: router advertisements (RFC 4861, 4862, 8106) and DHCPv6 (RFC 8415)."""

from ipaddress import IPv6Address

import pytest

from guestnet.core import events
from guestnet.core.address import Mac
from guestnet.scenario import Lab, dhcpv6, dns, ndp

pytestmark = pytest.mark.lab(needs="ipv6")

PREFIX = "fd65:6775:6573:7400::"
GATEWAY, HOST, ROUTER = f"{PREFIX}1", f"{PREFIX}2", "fe80::1"


def with_identifier(prefix: str, mac: Mac) -> str:
    """The address that ``mac`` makes of ``prefix``: modified EUI-64 (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]))
    return str(IPv6Address(IPv6Address(prefix).packed[:8] + identifier))


def test_a_guest_configures_itself(lab: Lab) -> None:
    """Its addresses are of its own MAC, proved to be free; route, MTU and DNS server are the router's."""
    guest = lab.guest
    found = guest.autoconfiguration()

    assert found.address == with_identifier(PREFIX, guest.mac)
    assert found.link_local == with_identifier("fe80::", guest.mac)
    assert (found.router, found.prefix, found.mtu) == (ROUTER, 64, 1500)
    advertisement = ndp.router_advertisement(
        source=ROUTER, prefix=f"{PREFIX}/64", dns=[GATEWAY], mtu=1500, managed=False, other_config=True
    )
    lab.cable.expect_sequence([ndp.probe(found.link_local), ndp.router_solicitation(), advertisement])
    lab.cable.expect_sequence([advertisement, ndp.probe(found.address)])
    with lab.step("the advertised resolver is in resolv.conf, and answers"):
        guest.run(f"until grep -q {GATEWAY} /etc/resolv.conf; do sleep 0.05; done", check=True)
        assert guest.resolve("v6.example", "AAAA", server=GATEWAY).addresses == ["2001:db8::10"]
        lab.cable.expect(dns.query("v6.example", "AAAA", to=(GATEWAY, 53)))
    with lab.step("DHCPv6 tells the same resolver, and gives no address"):
        told = guest.dhcpv6()
        assert (told.dns, told.addresses) == ([GATEWAY], [])
        lab.cable.expect_sequence([dhcpv6.information_request(), dhcpv6.reply(dns_servers=[GATEWAY])])
    with lab.step("who asks for an address all the same is given one"):
        leased = guest.dhcpv6(stateful=True)
        assert leased.addresses == [f"{PREFIX}3"]
        reply = dhcpv6.reply(address=f"{PREFIX}3")
        lab.cable.expect_sequence(
            [dhcpv6.solicit(mac=guest.mac), dhcpv6.advertise(), dhcpv6.request(), reply]
        )
    with lab.step("gateway and laptop have names"):
        assert guest.resolve("gateway.docker.internal", "AAAA").addresses == [GATEWAY]
        assert guest.resolve("host.docker.internal", "AAAA").addresses == [HOST]


def test_two_guests_find_each_other(lab: Lab) -> None:
    """Each has addresses of its own, and neighbour discovery passes between their cables."""
    second = lab.add_guest()
    ours, theirs = lab.guest.autoconfiguration(), second.autoconfiguration()

    assert ours.address == with_identifier(PREFIX, lab.guest.mac)
    assert theirs.address == with_identifier(PREFIX, second.mac)
    assert second.ping(ours.address, count=2).received == 2
    lab.cable.expect(ndp.neighbour_advertisement(ours.address, mac=lab.guest.mac, solicited=True))


def test_a_guest_that_tries_an_address_of_ours_finds_it_taken(lab: Lab) -> None:
    """Duplicate address detection (RFC 4862 5.4): the guest's kernel gives the address up, and goes on."""
    guest = lab.guest
    guest.autoconfiguration()

    for taken in (GATEWAY, HOST, ROUTER):
        with lab.step(f"try {taken}") as step:
            guest.run(f"ip -6 address add {taken}/64 dev eth0", check=True)
            failed = f"until ip -6 address show dev eth0 to {taken} | grep -q dadfailed; do sleep 0.05; done"
            guest.run(failed, check=True, timeout=20)
            conflict = lab.journal.expect(events.AddressConflict, address=taken)
            assert conflict.claimant == str(guest.mac)
            defence = ndp.neighbour_advertisement(taken, mac=Mac.parse(conflict.holder))
            lab.cable.expect_sequence([ndp.probe(taken), defence], since=step)
            guest.run(f"ip -6 address del {taken}/64 dev eth0", check=True)
    with lab.step("all is as before"):
        assert guest.ping(GATEWAY, count=1).received == 1
