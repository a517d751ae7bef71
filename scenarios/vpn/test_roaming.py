"""A laptop that leaves home with its VPN up: from the Wi-Fi to a phone's network, and back."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, udp
from guestnet.world.profiles.load import parse_profile
from scenarios.time.session import Session

CONCENTRATOR = ("198.51.100.18", 51820)
WORLD = parse_profile(
    """
name = "corp-on-the-way"
include = ["internet", "home", "carrier", "corp"]

[links.lte]
ends.laptop = ["100.64.0.10/24"]
ends.carrier = ["100.64.0.1/24"]
mtu = 1430

[uplinks.lte]
kind = "cellular"
gateways = ["100.64.0.1"]
resolvers = ["100.64.53.53"]
up = false

[vpns.corp]
ends.laptop = ["10.20.255.2/24"]
ends.corp-gw = ["10.20.255.1/24"]
endpoint = "198.51.100.18"
mtu = 1280
routes = ["10.20.0.0/16"]
domains = ["corp.example"]
resolvers = ["10.20.0.53"]
""",
    __file__,
)
pytestmark = pytest.mark.lab(profile=WORLD)


def test_what_is_inside_the_tunnel_does_not_notice_that_the_laptop_moves(lab: Lab) -> None:
    """Behind another NAT, with other addresses and another MTU: the concentrator answers to there."""
    inside = Session(lab.guest, host="registry.corp.example")
    assert inside.echoes("at home")
    assert lab.vpn.state.source.startswith("198.51.100.2:")
    with lab.step("on the way") as away:
        lab.roam("lte")
        assert inside.echoes("on the way")
        lab.links.lte.expect(udp.datagram(to=CONCENTRATOR, source="100.64.0.10"), since=away)
        assert lab.guest.resolve("registry.corp.example").addresses == ["10.20.0.5"]
        assert lab.guest.download("http://registry.corp.example/size/300000").intact
        assert lab.guest.download("http://docker.com/size/1000").intact
    with lab.step("home again") as home:
        lab.roam("wifi")
        assert inside.echoes("home again")
        lab.links.wifi.expect(udp.datagram(to=CONCENTRATOR), since=home)
    assert inside.error == ""
    assert not lab.journal.saw(events.VpnChanged, vpn="corp", change="lost")


def test_a_while_without_a_network_ends_the_vpn_and_not_what_is_inside(lab: Lab) -> None:
    """No uplink for long enough that the client gives up; when there is one it connects by itself."""
    inside = Session(lab.guest, host="registry.corp.example")
    assert inside.echoes("at home")
    lab.vpn.set(keepalive=0.3)
    with lab.step("nowhere") as nowhere:
        lab.roam(None)
        lab.journal.expect(events.VpnChanged, vpn="corp", change="lost", since=nowhere, within=20.0)
        assert not inside.echoes("nowhere", within=0.5)
    lab.vpn.set(keepalive=5)
    with lab.step("somewhere") as somewhere:
        lab.roam("lte")
        lab.journal.expect(events.VpnChanged, vpn="corp", change="up", since=somewhere, within=20.0)
        assert inside.echoes("somewhere")
    assert inside.error == ""
