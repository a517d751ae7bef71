import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import Host, Link, Route, Uplink
from guestnet.world.described.overlap import PREFIX, SUBNET, Network, choose, networks, overlapping
from guestnet.world.described.world import World

OFFICE = Network("uplink wifi", "192.168.0.0/16")


def test_a_laptop_is_connected_to_what_its_links_uplinks_and_routes_lead_to() -> None:
    world = World(
        name="w",
        hosts={
            "laptop": Host(
                routes=(Route(to="10.0.0.0/8", via="10.1.0.1"), Route(to="10.3.0.0/16", kind="blackhole"))
            ),
            "far": Host(),
        },
        links={
            "wifi": Link(ends={"laptop": ("192.168.1.10/24",), "far": ()}),
            "lab": Link(ends={"laptop": ("10.1.0.2/24", "2001:db8:1::2/64", "192.0.2.1/32"), "far": ()}),
            "other": Link(ends={"far": ("172.16.0.1/12",), "laptop": ()}),
        },
        uplinks={
            "wifi": Uplink(
                gateways=("192.168.1.1",), routes=(Route(to="192.168.64.0/20", via="192.168.1.1"),), up=False
            )
        },
    )

    assert networks(world) == [
        ("link wifi", "192.168.1.0/24"),
        ("link lab", "10.1.0.0/24"),
        ("link lab", "2001:db8:1::/64"),
        ("uplink wifi", "192.168.64.0/20"),
        ("the laptop's routes", "10.0.0.0/8"),
    ]
    assert ("link wifi", "192.168.1.0/24") not in networks(world, at_start=True)
    assert ("uplink wifi", "192.168.64.0/20") not in networks(world, at_start=True)
    assert ("link lab", "10.1.0.0/24") in networks(world, at_start=True)


def test_networks_of_two_families_never_overlap() -> None:
    assert overlapping((SUBNET, PREFIX), [Network("x", "::/0"), Network("y", "10.0.0.0/8")]) == [
        ("x", "::/0")
    ]


def test_guests_have_the_usual_networks_where_nothing_overlaps() -> None:
    assert choose("auto", [Network("link wifi", "192.168.1.0/24")]) == (SUBNET, PREFIX, ())
    assert choose("10.9.0.0/24", []) == ("10.9.0.0/24", PREFIX, ())


def test_guests_get_a_free_network_where_the_usual_one_overlaps() -> None:
    chosen = choose(
        "auto", [OFFICE, Network("vpn", "172.16.0.0/12"), Network("vpn", "fd65:6775:6573:7400::/62")]
    )

    assert (chosen.ipv4, chosen.ipv6) == ("10.192.0.0/24", "fd65:6775:6573:7404::/64")
    assert [each.of for each in chosen.because] == ["uplink wifi", "vpn"]
    assert chosen.because[0] == OFFICE


def test_a_network_that_must_be_is_refused_where_it_overlaps() -> None:
    with pytest.raises(
        DescriptionError, match=r"192\.168\.65\.0/24 overlaps 192\.168\.0\.0/16 of uplink wifi"
    ):
        choose(SUBNET, [OFFICE])


@pytest.mark.parametrize("wanted", ["192.168.65.1/24", "everything", "fd00::/64"])
def test_what_is_no_network_is_refused(wanted: str) -> None:
    with pytest.raises(DescriptionError, match="no IPv4 prefix"):
        choose(wanted, [])


def test_without_anything_free_there_is_no_lab() -> None:
    everything = [Network("x", each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]

    with pytest.raises(DescriptionError, match="no prefix is free"):
        choose("auto", everything)
    with pytest.raises(DescriptionError, match="no prefix is free"):
        choose("auto", [Network("x", "fd00::/8")])
