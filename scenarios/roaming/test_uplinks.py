"""A laptop that is carried from network to network, and what its guests notice of it."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, tcp
from scenarios.roaming.seen import SHOP, seen_as
from scenarios.time.session import Session

pytestmark = pytest.mark.lab(profile="roaming")

AT_HOME, AT_THE_CARRIER, IN_THE_OFFICE = "198.51.100.2", "198.51.100.10", "198.51.100.6"


@pytest.mark.lab(needs=["roaming", "host-sockets"])
def test_a_download_waits_for_its_network_while_others_take_the_new_one(lab: Lab) -> None:
    """Nobody resets it: it belongs to an address that is gone, and goes on when the address is back."""
    lab.links.wifi.impair("down", rate="16Mbit/s")
    curl = "curl --silent --dump-header /tmp/head --output /tmp/file http://files.example/size/6000000"
    lab.guest.run(f"({curl}; echo $? >/tmp/over) </dev/null >/dev/null 2>&1 &", check=True)
    lab.guest.run("until [ -s /tmp/file ]; do sleep 0.05; done", check=True)

    with lab.step("out of the house") as train:
        lab.roam("lte")
        assert seen_as(lab) == AT_THE_CARRIER
        assert lab.guest.download("http://files.example/size/100000").intact
        assert not lab.guest.run("[ -e /tmp/over ]").ok
    with lab.step("home again"):
        lab.roam("wifi")
        assert seen_as(lab) == AT_HOME
        lab.guest.run("until [ -e /tmp/over ]; do sleep 0.1; done", timeout=60, check=True)
    digest = lab.guest.run("sha256sum </tmp/file", check=True).stdout.split()[0]
    assert lab.guest.read_file("/tmp/over").strip() == b"0"
    assert f"x-sha256: {digest}" in lab.guest.read_file("/tmp/head").decode().lower()
    assert not lab.cable.saw(tcp.reset(source=("203.0.113.20", 80)), since=train)


@pytest.mark.lab(needs="roaming")
def test_names_are_asked_of_the_resolver_of_the_network(lab: Lab) -> None:
    """The guest's resolver stays the gateway; whom that asks changes with the network, from the next query
    on."""
    resolvers = {"wifi": "home-dns", "lte": "carrier-dns", "ethernet": "office-dns"}
    for uplink, resolver in resolvers.items():
        with lab.step(uplink) as there:
            lab.roam(uplink)
            assert lab.guest.resolve("shop.example").addresses == [SHOP]
            lab.journal.expect(events.Served, server=resolver, request="A shop.example", since=there)
            for other in resolvers.values():
                assert other == resolver or not lab.journal.saw(events.Served, server=other, since=there)


@pytest.mark.lab(needs="roaming")
def test_a_name_means_something_else_in_the_office(lab: Lab) -> None:
    """Split horizon: what only the company's name server knows is there while the cable is plugged in."""
    name = "intranet.corp.example"
    assert lab.guest.resolve(name).rcode == "NXDOMAIN"
    with lab.step("at the desk"):
        lab.uplinks["ethernet"].up()
        assert lab.guest.resolve(name).addresses == ["10.20.0.80"]
        assert lab.guest.fetch(f"http://{name}/").ok
    with lab.step("unplugged"):
        lab.uplinks["ethernet"].down()
        assert lab.guest.resolve(name).rcode == "NXDOMAIN"


@pytest.mark.lab(needs=["connect-errors", "host-name"])
def test_without_a_network_everything_fails_at_once_and_the_laptop_is_still_there(lab: Lab) -> None:
    """As on the laptop itself: "network is unreachable", not a timeout; and it passes."""
    with lab.step("a tunnel") as tunnel:
        lab.roam(None)
        attempt = lab.guest.connect(SHOP, 80, timeout=5)
        assert attempt.error == "ENETUNREACH"
        assert lab.laptop.connect(SHOP, 80).error == "ENETUNREACH"
        assert lab.guest.resolve("shop.example").rcode == "SERVFAIL"
        assert lab.guest.connect("host.docker.internal", 8080).connected
    with lab.step("its end"):
        lab.roam("lte")
        assert lab.guest.connect("shop.example", 80).connected
    lab.journal.expect(events.UplinkChanged, uplink="wifi", change="down", since=tunnel)
    lab.journal.expect(events.FlowRefused, error="ENETUNREACH", since=tunnel)


@pytest.mark.lab(needs="host-sockets")
def test_a_cable_beside_the_wifi_takes_what_is_new_and_leaves_what_is_old(lab: Lab) -> None:
    """The cable's metric is better. A session over Wi-Fi stays there, until the Wi-Fi is gone."""
    session = Session(lab.guest)
    assert session.echoes("over the air")

    lab.uplinks["ethernet"].up()
    assert seen_as(lab) == IN_THE_OFFICE
    with lab.step("the old session") as old:
        assert session.echoes("still over the air"), session.error
        lab.links.wifi.expect(tcp.data(to=("203.0.113.30", 7)), since=old)
        assert not lab.links.ethernet.saw(tcp.data(to=("203.0.113.30", 7)), since=old)
    lab.uplinks["ethernet"].down()
    assert seen_as(lab) == AT_HOME


def test_the_better_of_two_networks_is_used_whatever_came_first(lab: Lab) -> None:
    """Wi-Fi before the modem, the cable before both: by metric."""
    lab.uplinks["lte"].up()
    assert seen_as(lab) == AT_HOME
    lab.uplinks["ethernet"].up()
    assert seen_as(lab) == IN_THE_OFFICE
    lab.uplinks["ethernet"].down()
    lab.uplinks["wifi"].down()
    assert seen_as(lab) == AT_THE_CARRIER


@pytest.mark.lab(needs="host-sockets")
def test_a_new_address_is_used_by_what_is_new(lab: Lab) -> None:
    """The router gives the laptop another address: sessions with the old one hang, new ones do not."""
    session = Session(lab.guest)
    assert session.echoes("as 192.168.1.10")

    lab.uplinks["wifi"].renumber("192.168.1.77/24")
    with lab.step("with the new address") as renumbered:
        assert lab.guest.connect(SHOP, 80).connected
        lab.links.wifi.expect(tcp.syn(source="192.168.1.77", to=(SHOP, 80)), since=renumbered)
        assert not session.echoes("anybody there?", within=1)
        assert not session.error
        assert not lab.links.wifi.saw(tcp.segment(source="192.168.1.10"), since=renumbered)
    lab.journal.expect(events.UplinkChanged, uplink="wifi", change="renumbered")


def test_datagrams_of_one_socket_follow_the_laptop(lab: Lab) -> None:
    """UDP has no connection to lose: a guest's socket that lasts gets answers over each network in turn."""
    lab.guest.write_file("/tmp/echo.pl", ECHO)
    told = "until [ -s /tmp/told-{0} ]; do sleep 0.05; done"
    lab.guest.run("perl /tmp/echo.pl </dev/null >/dev/null 2>&1 &", check=True)
    seen = []
    for uplink in ("wifi", "lte", "wifi"):
        with lab.step(uplink) as there:
            lab.roam(uplink)
            lab.guest.run(
                f"rm -f /tmp/told-{uplink}; touch /tmp/say-{uplink}; " + told.format(uplink), check=True
            )
            link = lab.links[uplink]
            seen.append(bool(link.packets(lambda packet: b"say " in packet.data, since=there)))

    assert seen == [True, True, True]


ECHO = r"""
use IO::Socket::IP;
my $socket = IO::Socket::IP->new(Proto => "udp", PeerHost => "203.0.113.30", PeerPort => 7) or die $@;
while (1) {
    for my $file (glob "/tmp/say-*") {
        $file =~ s/.*say-//;
        $socket->send("say $file");
        my $readable = "";
        vec($readable, fileno $socket, 1) = 1;
        next unless select $readable, undef, undef, 0.3;
        $socket->recv(my $answer, 100) // next;
        next if $answer ne "say $file";
        unlink "/tmp/say-$file";
        open my $told, ">", "/tmp/told-$file";
        print $told "yes\n";
    }
    select undef, undef, undef, 0.05;
}
"""
