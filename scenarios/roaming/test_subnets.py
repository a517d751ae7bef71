"""A network out there that has the guests' own addresses."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab

NAS = "192.168.65.80"
USUAL = "192.168.65.0/24"


@pytest.mark.lab(profile="overlapping.toml", needs=["address-plan", "host-name"])
def test_guests_are_renumbered_and_reach_the_network_that_had_their_addresses(lab: Lab) -> None:
    """The journal says why; leases, router, names and host address are of the other subnet."""
    told = lab.journal.expect(events.SubnetOverlap, network=USUAL)
    lease = lab.guest.lease()

    assert (told.of, told.subnet) == ("link wifi", USUAL)
    assert told.renumbered != USUAL
    assert lease.address.rpartition(".")[0] == told.renumbered.removesuffix(".0/24")
    assert lab.guest.fetch("http://nas.example/").ok
    assert lab.guest.connect("192.168.65.1", 53).connected
    assert lab.guest.ping("gateway.docker.internal", count=1).received == 1
    assert lab.guest.connect("host.docker.internal", 8080).connected


@pytest.mark.lab(profile="overlapping.toml", needs="ipv6")
def test_the_ipv6_prefix_is_another_one_too(lab: Lab) -> None:
    """It is unique enough for one laptop, and for two of the same kind it is not."""
    told = lab.journal.expect(events.SubnetOverlap, network="fd65:6775:6573:7400::/64")
    address = lab.guest.autoconfiguration().address

    assert address.startswith("fd65:6775:6573:7401:")
    assert told.renumbered == "fd65:6775:6573:7401::/64"


@pytest.mark.lab(profile="moving-in.toml", subnet=USUAL, needs=["address-plan", "roaming", "host-sockets"])
def test_a_network_that_overlaps_later_is_told_and_not_reached(lab: Lab) -> None:
    """Who has leases can't be renumbered. The rest of the world stays within reach, and it passes."""
    with lab.step("at the branch") as branch:
        lab.roam("wifi")
        told = lab.journal.expect(events.SubnetOverlap, since=branch, network=USUAL)
        assert told.of == "uplink wifi"
        assert not told.renumbered
        assert lab.laptop.connect(NAS, 80).connected
        assert not lab.guest.connect(NAS, 80, timeout=1).connected
        assert lab.guest.fetch("http://shop.example/").ok
    with lab.step("elsewhere") as elsewhere:
        lab.roam("lte")
        assert lab.guest.fetch("http://shop.example/").ok
        assert not lab.journal.saw(events.SubnetOverlap, since=elsewhere)
