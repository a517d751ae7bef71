"""A laptop whose network has only one version of IP; its guests have both."""

import pytest

from guestnet.scenario import Lab, dns, icmpv6, tcp

PREFERS_IPV6 = """\
# Local and global addresses are alike; else a guest with a local one prefers IPv4 (RFC 6724).
label ::/0 1
label ::ffff:0:0/96 4
"""


@pytest.mark.lab(needs="ipv6", laptop="ipv4")
def test_without_ipv6_clients_fall_back_at_once(lab: Lab) -> None:
    """The guest's connect() fails as the laptop's, so a client that tries IPv6 first loses no time."""
    lab.guest.autoconfiguration()
    lab.guest.write_file("/etc/gai.conf", PREFERS_IPV6)

    attempt = lab.guest.connect("2001:db8::10", 80)
    with lab.step("curl knows both addresses") as curl:
        page = lab.guest.download("http://shop.example/size/1000", family=0)

    assert attempt.error == "ENETUNREACH"
    assert page.intact
    assert page.remote == ("203.0.113.10", 80)
    refused, answered = ("2001:db8::10", 80), ("203.0.113.10", 80)
    lab.cable.expect_sequence(
        [tcp.syn(to=refused), icmpv6.unreachable("no route", about=refused), tcp.syn_ack(source=answered)],
        since=curl,
    )


@pytest.mark.lab(needs="ipv6", laptop="ipv6")
def test_without_ipv4_names_still_resolve(lab: Lab) -> None:
    """The laptop's resolver is asked over IPv6, and an IPv4 connect fails as the laptop's does."""
    answer = lab.guest.resolve("shop.example")
    attempt = lab.guest.connect("203.0.113.10", 80)

    assert answer.addresses == ["203.0.113.10"]
    assert attempt.error == "ENETUNREACH"
    lab.cable.expect(dns.answer("shop.example", addresses=["203.0.113.10"]))
    lab.guest.autoconfiguration()
    assert lab.guest.download("2001:db8::20", size="1MiB").intact
