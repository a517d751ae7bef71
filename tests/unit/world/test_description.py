from ipaddress import ip_interface

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import Host, Link, Route, Uplink
from guestnet.world.described.place import WorldError
from guestnet.world.described.server import Record, Server
from guestnet.world.described.tables import Tables
from guestnet.world.described.vpn import Vpn
from guestnet.world.described.world import Families, World
from guestnet.world.profiles.load import load_profile, profile_names

LAPTOP = {"laptop": Host()}
TWO = {"laptop": Host(), "far": Host(addresses=("10.9.9.9",))}
LINK = {"wifi": Link(ends={"laptop": ("10.0.0.2/24",), "far": ("10.0.0.1/24",)})}


def server(**fields: object) -> dict[str, Server]:
    return {"s": Server(**{"kind": "http", "host": "far", "addresses": ("10.9.9.9",), "port": 80} | fields)}  # type: ignore[arg-type]


def test_addresses_of_a_host_are_its_own_and_its_links() -> None:
    world = World(name="w", hosts=TWO, links=LINK)

    assert [str(each) for each in world.addresses_of("far")] == ["10.9.9.9/32", "10.0.0.1/24"]


def test_a_server_may_listen_on_loopback() -> None:
    World(name="w", hosts=TWO, links=LINK, servers=server(addresses=("127.0.0.1", "::1")))


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("name", {"name": "A world", "hosts": LAPTOP}),
        ("hosts", {"name": "w", "hosts": {}}),
        ("hosts.Far away", {"name": "w", "hosts": {**LAPTOP, "Far away": Host()}}),
        ("links.lo", {"name": "w", "hosts": TWO, "links": {"lo": LINK["wifi"]}}),
        ("links.wifi.ends", {"name": "w", "hosts": LAPTOP, "links": {"wifi": Link(ends={"laptop": ()})}}),
        (
            "links.wifi.ends.mars",
            {"name": "w", "hosts": TWO, "links": {"wifi": Link(ends={"laptop": (), "mars": ()})}},
        ),
        (
            "links.wifi.ends.far[0]",
            {"name": "w", "hosts": TWO, "links": {"wifi": Link(ends={"laptop": (), "far": ("10.0.0.1",)})}},
        ),
        ("hosts.laptop.addresses[0]", {"name": "w", "hosts": {"laptop": Host(addresses=("10.0.0.256",))}}),
        ("hosts.laptop.resolvers[0]", {"name": "w", "hosts": {"laptop": Host(resolvers=("dns",))}}),
        ("hosts.far.resolvers", {"name": "w", "hosts": {**LAPTOP, "far": Host(resolvers=("10.0.0.1",))}}),
        (
            "hosts.laptop.routes[0].to",
            {"name": "w", "hosts": {"laptop": Host(routes=(Route(to="10.0.0.1/8"),))}},
        ),
        (
            "hosts.laptop.routes[0].to",
            {"name": "w", "hosts": {"laptop": Host(routes=(Route(to="default"),))}},
        ),
        (
            "hosts.laptop.routes[0].via",
            {
                "name": "w",
                "hosts": {"laptop": Host(routes=(Route(to="default", via="1.1.1.1", kind="blackhole"),))},
            },
        ),
        ("servers.s.host", {"name": "w", "hosts": TWO, "servers": server(host="mars")}),
        ("servers.s.addresses[0]", {"name": "w", "hosts": TWO, "servers": server(addresses=("10.9.9.8",))}),
        ("servers.s.addresses[1]", {"name": "w", "hosts": TWO, "servers": server(addresses=("::1", "::2"))}),
        ("servers.s.addresses", {"name": "w", "hosts": TWO, "servers": server(addresses=())}),
        ("hosts.far.addresses[0]", {"name": "w", "hosts": {**LAPTOP, "far": Host(addresses=("fe80::1",))}}),
        ("hosts.laptop.resolvers[0]", {"name": "w", "hosts": {"laptop": Host(resolvers=("ff02::fb",))}}),
        (
            "links.wifi.mtu",
            {
                "name": "w",
                "hosts": TWO,
                "links": {"wifi": Link(ends={"laptop": ("2001:db8::1/64",), "far": ()}, mtu=1279)},
            },
        ),
        (
            "hosts.laptop.routes[0].via",
            {
                "name": "w",
                "hosts": TWO | {"laptop": Host(routes=(Route(to="2001:db8::/32", via="10.0.0.1"),))},
                "links": LINK,
            },
        ),
        (
            "hosts.laptop.routes[0].via",
            {
                "name": "w",
                "hosts": TWO | {"laptop": Host(routes=(Route(to="default", via="2001:db8::1"),))},
                "links": LINK,
            },
        ),
        ("servers.s.port", {"name": "w", "hosts": TWO, "servers": server(port=0)}),
        ("servers.t.port", {"name": "w", "hosts": TWO, "servers": server() | {"t": server()["s"]}}),
        (
            "servers.s.records",
            {"name": "w", "hosts": TWO, "servers": server(records=(Record(name="a", type="TXT", value=""),))},
        ),
        (
            "servers.s.records[0].name",
            {
                "name": "w",
                "hosts": TWO,
                "servers": server(kind="dns", records=(Record(name="a..b", type="TXT", value=""),)),
            },
        ),
    ],
)
def test_what_can_not_be_is_an_error_that_names_the_place(place: str, fields: dict[str, object]) -> None:
    with pytest.raises(WorldError) as caught:
        World(**fields)  # type: ignore[arg-type]

    assert caught.value.message.startswith(f"{place}: ")
    assert caught.value.remedy
    assert isinstance(caught.value, DescriptionError)


def test_a_laptop_of_one_family_keeps_nothing_of_the_other_but_its_loopback() -> None:
    plain = load_profile("plain")
    four, six = plain.with_laptop("ipv4"), plain.with_laptop("ipv6")

    assert [str(each) for each in four.addresses_of("laptop")] == ["192.168.1.10/24"]
    assert four.uplinks["wifi"].gateways == ("192.168.1.1",)
    assert four.uplinks["wifi"].resolvers == ("203.0.113.53",)
    assert [str(each) for each in six.addresses_of("laptop")] == ["2001:db8:1::10/64"]
    assert six.uplinks["wifi"].gateways == ("2001:db8:1::1",)
    assert six.uplinks["wifi"].resolvers == ("2001:db8::53",)
    for world in four, six:
        assert world.servers == plain.servers
        assert world.hosts["internet"] == plain.hosts["internet"]


def test_a_laptop_of_both_families_is_the_worlds_own() -> None:
    plain = load_profile("plain")

    assert plain.with_laptop("both") == plain


LAPTOP_S = {
    Tables: {"hosts", "links", "uplinks", "vpns"},
    Host: {"addresses", "routes", "resolvers"},
    Link: {"ends"},
    Uplink: {"gateways", "resolvers", "routes"},
    Vpn: {"up"},
}
"""What `World.with_laptop` cuts down."""
OTHERS = {
    Tables: {"name", "servers", "nat64", "portals"},
    Host: {"forward", "masquerade", "nat_timeouts", "rules"},
    Link: {"mtu", "impair"},
    Uplink: {"kind", "link", "metric", "up"},
    Vpn: set(Vpn.__struct_fields__) - {"up"},
}
"""What is no address, or not of the laptop's own, or in a tunnel, which carries either family."""


@pytest.mark.parametrize("struct", LAPTOP_S)
def test_whoever_adds_a_field_says_whether_it_is_of_one_family(struct: type[msgspec.Struct]) -> None:
    assert set(struct.__struct_fields__) == LAPTOP_S[struct] | OTHERS[struct]


@pytest.mark.parametrize(
    ("families", "kept"), [("ipv4", "10.9.0.1"), ("ipv6", "2001:db8:9::1")]
)
def test_so_has_one_without_uplinks(families: Families, kept: str) -> None:
    both = ("10.9.0.1", "2001:db8:9::1")
    routes = tuple(Route(to=to, kind="blackhole") for to in ("10.8.0.0/16", "2001:db8:8::/48"))
    laptop = Host(addresses=both, resolvers=both, routes=routes)
    cut = World(name="w", hosts={"laptop": laptop}).with_laptop(families).hosts["laptop"]
    assert cut.addresses == cut.resolvers == (kept,)
    assert cut.routes == (routes[:1] if families == "ipv4" else routes[1:])


@pytest.mark.parametrize("families", ["ipv4", "ipv6"])
@pytest.mark.parametrize("profile", profile_names())
def test_a_laptop_of_one_family_has_nothing_of_the_other(profile: str, families: Families) -> None:
    world = load_profile(profile).with_laptop(families)
    laptop = world.hosts["laptop"]
    addresses = [
        *laptop.addresses, *laptop.resolvers,
        *(each for link in world.links.values() for each in link.ends.get("laptop", ())),
        *(each for uplink in world.uplinks.values() for each in (*uplink.gateways, *uplink.resolvers)),
        *(vpn.endpoint for vpn in world.vpns.values() if vpn.up),
    ]  # fmt: skip
    routes = [*laptop.routes, *(route for uplink in world.uplinks.values() for route in uplink.routes)]
    addresses += [route.via or route.to for route in routes]
    assert {ip_interface(each).version for each in addresses} <= {4 if families == "ipv4" else 6}
