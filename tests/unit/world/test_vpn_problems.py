"""VPNs that can't be, in Python and in TOML."""

from typing import Any

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import Host, Link
from guestnet.world.described.place import WorldError
from guestnet.world.described.vpn import Vpn
from guestnet.world.described.world import World
from guestnet.world.profiles.load import parse_profile

HOSTS = {"laptop": Host(), "corp-gw": Host(addresses=("198.51.100.20",)), "other": Host()}
LINKS = {"wifi": Link(ends={"laptop": ("192.168.1.10/24",), "corp-gw": ("192.168.1.1/24",)})}
GOOD: dict[str, Any] = {
    "ends": {"laptop": ("10.20.255.2/24",), "corp-gw": ("10.20.255.1/24",)},
    "endpoint": "198.51.100.20",
}


def world(**fields: Any) -> World:
    return World(name="test", hosts=HOSTS, links=LINKS, vpns={"corp": Vpn(**GOOD | fields)})


def test_a_vpn_knows_its_gateway_and_of_which_versions_it_takes_everything() -> None:
    vpn = world(routes=("0.0.0.0/0", "2001:db8:20::/48")).vpns["corp"]
    assert vpn.gateway == "corp-gw"
    assert vpn.full == {4}


def test_a_laptop_of_one_family_connects_only_to_concentrators_of_that_family() -> None:
    assert world().with_laptop("ipv4").vpns["corp"].up
    assert not world().with_laptop("ipv6").vpns["corp"].up


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"mtu": 1279}, "vpns.corp.mtu: an MTU of 1279"),
        ({"mtu": 1421}, "vpns.corp.mtu: an MTU of 1421"),
        ({"port": 0}, "vpns.corp.port: there is no port 0"),
        ({"endpoint": "corp"}, "vpns.corp.endpoint: 'corp' is no address"),
        ({"endpoint": "198.51.100.21"}, "vpns.corp.endpoint: corp-gw does not own"),
        ({"ends": {"laptop": ("10.20.255.2/24",)}}, "vpns.corp.ends: a VPN has two ends"),
        (
            {"ends": {"laptop": ("10.20.255.2/24",), "nobody": ("10.20.255.1/24",)}},
            "there is no host 'nobody'",
        ),
        ({"ends": {"other": ("10.20.255.2/24",), "corp-gw": ("10.20.255.1/24",)}}, "one is the laptop"),
        ({"ends": {"laptop": ("10.20.255.2",), "corp-gw": ("10.20.255.1/24",)}}, "vpns.corp.ends.laptop[0]"),
        ({"ends": {"laptop": (), "corp-gw": ("10.20.255.1/24",)}}, "an end without an address"),
        ({"ends": {"laptop": ("fe80::2/64",), "corp-gw": ("10.20.255.1/24",)}}, "is not of wide scope"),
        ({"routes": ("10.20.0.1/16",)}, "vpns.corp.routes[0]: '10.20.0.1/16' is no prefix"),
        ({"routes": ("198.51.100.0/24",)}, "vpns.corp.routes[0]: the tunnel would go through itself"),
        ({"resolvers": ("dns",), "domains": (".",)}, "vpns.corp.resolvers[0]: 'dns' is no address"),
        ({"domains": ("corp.example",)}, "vpns.corp.domains: nobody resolves them"),
        ({"resolvers": ("10.20.0.53",)}, "vpns.corp.resolvers: they resolve nothing"),
        ({"domains": ("-.",), "resolvers": ("10.20.0.53",)}, "vpns.corp.domains[0]"),
        ({"names": (".",)}, "vpns.corp.names[0]: '.' is no domain name"),
        ({"rekey": 0.0}, "vpns.corp.rekey: 0 s"),
        ({"keepalive": float("nan")}, "vpns.corp.keepalive: nan s"),
    ],
)
def test_what_can_not_be_is_told_with_its_place(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(WorldError) as told:
        world(**fields)
    assert where in str(told.value)


def test_names_and_ports_are_taken_once() -> None:
    with pytest.raises(WorldError, match="there is a link 'wifi' already"):
        World(name="test", hosts=HOSTS, links=LINKS, vpns={"wifi": Vpn(**GOOD)})
    with pytest.raises(WorldError, match="corp listens there already"):
        World(name="test", hosts=HOSTS, links=LINKS, vpns={"corp": Vpn(**GOOD), "lab": Vpn(**GOOD)})
    with pytest.raises(WorldError, match="is no name"):
        World(name="test", hosts=HOSTS, links=LINKS, vpns={"Corp": Vpn(**GOOD)})


TOML = """\
name = "test"
[hosts]
laptop = {}
gw = { addresses = ["198.51.100.20"] }
[vpns.corp]
ends.laptop = ["10.20.255.2/24"]
ends.gw = ["10.20.255.1/24"]
endpoint = "198.51.100.20"
domains = ["corp.example", "."]
resolvers = ["10.20.0.53"]
"""


def test_toml_says_the_same() -> None:
    vpn = parse_profile(TOML, "a.toml").vpns["corp"]
    assert vpn.gateway == "gw"
    assert vpn.domains == ("corp.example", ".")
    with pytest.raises(DescriptionError, match=r"a.toml:11: vpns.corp.mtu: an MTU of 9000"):
        parse_profile(f"{TOML}mtu = 9000\n", "a.toml")
    with pytest.raises(DescriptionError, match=r"a.toml:11: vpns.corp.colour: unknown key"):
        parse_profile(f"{TOML}colour = 1\n", "a.toml")
