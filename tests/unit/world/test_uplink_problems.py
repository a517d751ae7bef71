import msgspec
import pytest

from guestnet.world.described.model import Host, Link, Route, Uplink
from guestnet.world.described.place import WorldError
from guestnet.world.described.world import World

HOSTS = {"laptop": Host(), "ap": Host(forward=True), "cell": Host(forward=True)}
LINKS = {
    "wifi": Link(ends={"laptop": ("10.0.0.2/24", "2001:db8:1::2/64"), "ap": ("10.0.0.1/24",)}),
    "lte": Link(ends={"laptop": ("100.64.0.2/24",), "cell": ("100.64.0.1/24",)}),
    "wan": Link(ends={"ap": ("192.0.2.1/24",), "cell": ("192.0.2.2/24",)}),
}
WIFI = Uplink(gateways=("10.0.0.1", "2001:db8:1::1"), resolvers=("10.0.0.1",))


def world(uplinks: dict[str, Uplink], **hosts: Host) -> World:
    return World(name="w", hosts=HOSTS | hosts, links=LINKS, uplinks=uplinks)


def test_an_uplink_has_the_link_of_its_name_unless_given() -> None:
    made = world({"wifi": WIFI, "phone": Uplink(kind="cellular", link="lte", gateways=("100.64.0.1",))})

    assert msgspec.convert(msgspec.to_builtins(made), World) == made


@pytest.mark.parametrize(
    ("place", "uplinks"),
    [
        ("uplinks.wlan", {"wlan": Uplink()}),
        ("uplinks.wifi.link", {"wifi": Uplink(link="wan")}),
        ("uplinks.more.link", {"wifi": Uplink(), "more": Uplink(link="wifi")}),
        ("uplinks.wifi.metric", {"wifi": Uplink(metric=-1)}),
        ("uplinks.wifi.gateways[0]", {"wifi": Uplink(gateways=("10.0.1.1",))}),
        ("uplinks.wifi.gateways[1]", {"wifi": Uplink(gateways=("10.0.0.1", "10.0.0.3"))}),
        ("uplinks.wifi.resolvers[0]", {"wifi": Uplink(resolvers=("dns.example",))}),
        ("uplinks.wifi.routes[0].via", {"wifi": Uplink(routes=(Route(to="10.0.0.0/8", via="100.64.0.1"),))}),
        ("uplinks.Wifi", {"Wifi": Uplink(link="wifi")}),
    ],
)
def test_an_impossible_uplink_is_told_with_its_place(place: str, uplinks: dict[str, Uplink]) -> None:
    with pytest.raises(WorldError) as caught:
        world(uplinks)

    assert caught.value.message.startswith(f"{place}: ")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("place", "host", "described"),
    [
        ("hosts.laptop.resolvers", "laptop", Host(resolvers=("10.0.0.1",))),
        ("hosts.laptop.routes[0]", "laptop", Host(routes=(Route(to="default", via="10.0.0.1"),))),
        ("hosts.ap.masquerade[0]", "ap", Host(forward=True, masquerade=("lte",))),
        ("hosts.ap.masquerade", "ap", Host(masquerade=("wan",))),
        ("hosts.ap.nat_timeouts.udp", "ap", Host(forward=True, nat_timeouts={"udp": 0})),
        ("hosts.ap.rules", "ap", Host(rules=("accept",))),
        ("hosts.ap.rules[1]", "ap", Host(forward=True, rules=("accept", "drop; accept"))),
        ("hosts.ap.rules[0]", "ap", Host(forward=True, rules=("tcp dport { 80 accept",))),
    ],
)
def test_an_impossible_router_is_told_with_its_place(place: str, host: str, described: Host) -> None:
    with pytest.raises(WorldError) as caught:
        world({"wifi": WIFI}, **{host: described})

    assert caught.value.message.startswith(f"{place}: ")


def test_a_laptop_of_one_family_keeps_of_its_uplinks_what_is_of_it() -> None:
    described = world({"wifi": WIFI})

    assert described.with_laptop("ipv4").uplinks["wifi"].gateways == ("10.0.0.1",)
    assert described.with_laptop("ipv6").uplinks["wifi"].gateways == ("2001:db8:1::1",)
    assert described.with_laptop("ipv6").uplinks["wifi"].resolvers == ()
