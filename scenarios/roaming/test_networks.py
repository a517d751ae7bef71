"""Networks that are not simply the internet: NATs, translators, firewalls, and none at all."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, dns, icmp, tcp, udp
from scenarios.roaming.seen import SHOP, seen_as
from scenarios.time.session import Session


@pytest.mark.lab(profile="lte")
def test_behind_two_nats_everything_goes_out_and_nothing_comes_in(lab: Lab) -> None:
    """Guest, laptop, phone, carrier: four addresses, and the server knows the last."""
    assert seen_as(lab) == "198.51.100.10"
    assert lab.guest.udp_echo("echo.example", 7, b"hello") == b"hello"

    phone = lab.hosts["phone"].run("ip -4 -o address show dev lte", check=True).stdout
    assert "100.64.0.20/24" in phone
    outside = lab.hosts["internet"]
    assert not outside.connect("198.51.100.10", 8080, timeout=1).connected
    assert not outside.connect("100.64.0.20", 8080, timeout=1).connected
    lab.links["hotspot"].expect(tcp.syn(source="172.20.10.2", to=(SHOP, 80)))
    lab.links["lte"].expect(tcp.syn(source="100.64.0.20", to=(SHOP, 80)))
    lab.links["carrier-wan"].expect(tcp.syn(source="198.51.100.10", to=(SHOP, 80)))


@pytest.mark.lab(profile="lte", needs=["lab-clock"])
def test_a_mapping_of_the_carrier_expires(lab: Lab) -> None:
    """After a silence longer than the carriers' NATs remember, what comes for the guest is for nobody."""
    lab.hosts["internet"].run(PUSHER, check=True)
    lab.guest.write_file("/tmp/waiter.pl", WAITER)
    lab.guest.run("perl /tmp/waiter.pl </dev/null >/tmp/heard 2>&1 &", check=True)
    lab.guest.run("until grep -q hello /tmp/heard; do sleep 0.05; done", check=True)

    with lab.step("half a minute of silence"):
        lab.jump("30s")
        lab.hosts["internet"].run(
            "echo early >/tmp/say; until [ ! -e /tmp/say ]; do sleep 0.05; done", check=True
        )
        lab.guest.run("until grep -q early /tmp/heard; do sleep 0.05; done", check=True)
    with lab.step("more than a minute") as silence:
        lab.jump("70s")
        lab.hosts["internet"].run(
            "echo late >/tmp/say; until [ ! -e /tmp/say ]; do sleep 0.05; done", check=True
        )
        lab.links["carrier-wan"].expect(udp.datagram(source=("203.0.113.30", 9)), since=silence)
        lab.links["lte"].expect_none(udp.datagram(source=("203.0.113.30", 9)), for_=0.3, since=silence)
    assert "late" not in lab.guest.run("cat /tmp/heard").stdout


@pytest.mark.lab(profile="ipv6-only", needs="ipv6")
def test_by_name_a_guest_reaches_a_server_that_has_ipv4_only(lab: Lab) -> None:
    """The network's resolver makes an IPv6 address of the name, the network an IPv4 packet of the guest's."""
    lab.guest.autoconfiguration()
    answer = lab.guest.resolve("v4.example", "AAAA")
    assert answer.addresses == ["64:ff9b::cb00:710a"]
    lab.cable.expect(dns.answer("v4.example", addresses=["64:ff9b::cb00:710a"]))

    assert lab.guest.fetch("http://v4.example/", family=6).ok
    assert lab.guest.download("http://[64:ff9b::203.0.113.20]/size/300000").intact
    served = lab.journal.expect(events.Served, server="shop", request="GET /")
    assert served.client.startswith("198.51.100.14:")
    lab.links["translate"].expect(tcp.syn(source="192.168.254.1", to=(SHOP, 80)))


@pytest.mark.lab(profile="ipv6-only", needs="ipv6")
def test_without_ipv4_an_ipv4_address_is_unreachable_at_once_and_curl_takes_the_other(lab: Lab) -> None:
    """No time is lost over a version of IP that the laptop has not got."""
    lab.guest.autoconfiguration()
    assert lab.guest.connect(SHOP, 80).error == "ENETUNREACH"
    assert lab.guest.connect("64:ff9b::203.0.113.10", 80).connected
    refused = lab.guest.connect("64:ff9b::203.0.113.10", 81)
    assert refused.refused
    assert lab.guest.connect("64:ff9b::203.0.113.99", 80).unreachable
    page = lab.guest.fetch("http://v4.example/", family=0)
    assert page.ok, page.error


@pytest.mark.lab(profile="corp-firewall-strict", needs="connect-errors")
def test_a_strict_firewall_refuses_some_is_silent_to_others_and_lets_443_through(lab: Lab) -> None:
    """And the proxy is the way out for all the rest."""
    guest = lab.guest
    assert guest.connect("secure.example", 443).connected
    with lab.step("port 80: a reset"):
        attempt = guest.connect(SHOP, 80)
        assert attempt.refused
        lab.cable.expect(tcp.reset(to=attempt.source))
    with lab.step("a high port: silence"):
        assert guest.connect("203.0.113.30", 9007, timeout=0.5).error == "GAVE_UP"
    with lab.step("UDP: silence"):
        assert guest.udp_echo("203.0.113.30", 7, b"hello", timeout=0.5) is None
        assert guest.resolve("shop.example", server="203.0.113.53", timeout=1).timed_out
    with lab.step("names by the company's server"):
        assert guest.resolve("shop.example").addresses == [SHOP]
    with lab.step("the proxy"):
        assert guest.fetch("http://shop.example/", proxy="http://proxy.corp.example:3128").ok
    lab.journal.expect(events.FlowRefused, remote=f"{SHOP}:80", error="ECONNREFUSED")


@pytest.mark.lab(profile="corp-firewall-strict", needs=["icmp-echo"])
def test_a_strict_firewall_says_that_ping_is_forbidden(lab: Lab) -> None:
    """ "Administratively prohibited": the guest's ping hears it as the laptop's does."""
    ping = lab.guest.ping("203.0.113.10", count=1)

    assert ping.received == 0
    lab.cable.expect(icmp.unreachable(code=13))


@pytest.mark.lab(profile="offline", needs=["connect-errors", "host-name", "roaming"])
def test_offline_names_and_addresses_fail_at_once_and_guests_still_have_each_other(lab: Lab) -> None:
    """Nothing out there, everything in here; and then somebody finds the Wi-Fi."""
    assert lab.guest.connect(SHOP, 80, timeout=5).error == "ENETUNREACH"
    assert lab.guest.resolve("shop.example").rcode == "SERVFAIL"
    assert lab.guest.ping("gateway.docker.internal", count=1).received == 1
    assert lab.guest.connect("host.docker.internal", 8080).connected

    lab.roam("wifi")
    assert lab.guest.fetch("http://shop.example/").ok


@pytest.mark.lab(profile="home")
def test_a_home_router_keeps_a_session_and_forgets_it_with_its_power(lab: Lab) -> None:
    """A router that was restarted knows no mapping: the server, asked by a stranger, resets the session."""
    session = Session(lab.guest)
    assert session.echoes("before")

    # Its own port may be taken when the mapping is made anew: so that it is another, somebody has that one.
    lab.hosts["home-router"].run("nft flush ruleset && nft -f -", input=OTHER_PORTS, check=True)
    lab.hosts["home-router"].run(
        "ip link set home-wan down && ip link set home-wan up && ip route add default via 198.51.100.1",
        check=True,
    )
    assert not session.echoes("after")
    assert "reset by peer" in session.error
    assert lab.guest.connect("echo.example", 7).connected


OTHER_PORTS = """
table inet router {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        meta nfproto ipv4 oifname "home-wan" meta l4proto tcp masquerade to :20000-20999
        meta nfproto ipv4 oifname "home-wan" masquerade
    }
}
"""

PUSHER = r"""
cat >/tmp/pusher.pl <<'END'
use IO::Socket::INET;
my $socket = IO::Socket::INET->new(Proto => "udp", LocalAddr => "203.0.113.30", LocalPort => 9) or die $@;
my $guest = $socket->recv(my $hello, 100);
$socket->send("hello\n", 0, $guest);
while (1) {
    if (open my $say, "<", "/tmp/say") {
        $socket->send(scalar <$say>, 0, $guest);
        unlink "/tmp/say";
    }
    select undef, undef, undef, 0.05;
}
END
perl /tmp/pusher.pl </dev/null >/dev/null 2>&1 &
"""

WAITER = r"""
use IO::Socket::INET;
$| = 1;
my $socket = IO::Socket::INET->new(Proto => "udp", PeerAddr => "203.0.113.30", PeerPort => 9) or die $@;
$socket->send("hello");
print $_ while $socket->recv($_, 100);
"""
