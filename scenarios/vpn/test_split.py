"""A split tunnel: what is the company's goes through it, and everything else as if it were not there."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, dns, tcp

pytestmark = pytest.mark.lab(profile="corp-vpn-split")

REGISTRY, DOCKER, TOOLS = "10.20.0.5", "203.0.113.90", "203.0.113.91"
LAPTOP = "10.20.255.2"


def test_the_registry_is_reached_over_the_tunnel_only_and_docker_com_is_not(lab: Lab) -> None:
    """Names of the company's zone and packets to its prefix go in; others stay on the Wi-Fi."""
    with lab.step("docker.com") as outside:
        assert lab.guest.download("http://docker.com/size/100000").intact
        lab.links.wifi.expect(tcp.syn(to=(DOCKER, 80)))
        assert not lab.links.corp.saw(tcp.syn(to=(DOCKER, 80)))
        assert lab.links.wifi.saw(dns.query("docker.com"))
        assert not lab.links.corp.saw(dns.query("docker.com"))
    with lab.step("the registry") as inside:
        assert lab.guest.resolve("registry.corp.example").addresses == [REGISTRY]
        assert lab.guest.download("http://registry.corp.example/size/100000").intact
        lab.links.corp.expect(dns.query("registry.corp.example", to="10.20.0.53"))
        lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80)))
        assert not lab.links.wifi.saw(dns.query("registry.corp.example"))
        assert not lab.links.wifi.saw(tcp.syn(to=(REGISTRY, 80)))
    assert lab.journal.expect(events.Served, server="docker", since=outside).client.startswith(
        "198.51.100.2:"
    )
    assert lab.journal.expect(events.Served, server="registry", since=inside).client.startswith(LAPTOP)


def test_the_resolver_changes_when_the_vpn_goes_and_when_it_comes(lab: Lab) -> None:
    """The company's names mean something else outside, or nothing; guests follow without a new lease."""
    guest = lab.guest
    assert guest.resolve("www.corp.example").addresses == ["10.20.0.80"]
    assert "127.0.0.53" in lab.laptop.run("cat /etc/resolv.conf").stdout

    lab.vpn.disconnect()
    assert guest.resolve("www.corp.example").addresses == ["203.0.113.80"]
    assert guest.resolve("registry.corp.example").rcode == "NXDOMAIN"
    assert "127.0.0.53" not in lab.laptop.run("cat /etc/resolv.conf").stdout

    lab.vpn.connect()
    assert guest.resolve("www.corp.example").addresses == ["10.20.0.80"]
    assert guest.resolve("registry.corp.example").addresses == [REGISTRY]


def test_a_name_is_routed_wherever_it_is(lab: Lab) -> None:
    """Split by name: the client learns the addresses of a name as it is resolved, and routes these."""
    lab.vpn.set(names=["tools.example"])
    with lab.step("the company's tool") as tool:
        assert lab.guest.download("http://tools.example/size/1000").intact
        lab.links.corp.expect(tcp.syn(to=(TOOLS, 80)))
        assert not lab.links.wifi.saw(tcp.syn(to=(TOOLS, 80)))
        # By the company's own way out.
        served = lab.journal.expect(events.Served, server="tools", since=tool)
        assert served.client.startswith("198.51.100.18:")
    with lab.step("anything else"):
        assert lab.guest.download("http://docker.com/size/1000").intact
        assert not lab.links.corp.saw(tcp.syn(to=(DOCKER, 80)))
    lab.vpn.set(names=[])
    with lab.step("no tool of the company's any more") as other:
        assert lab.guest.download("http://tools.example/size/1000").intact
        lab.links.wifi.expect(tcp.syn(to=(TOOLS, 80)), since=other)
