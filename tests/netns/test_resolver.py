"""The builtin stack's resolver with a dead first server, as the laptop's kernel tells of it."""

import pytest
from msgspec.structs import replace

from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab, dns
from guestnet.world.profiles.load import load_profile

pytestmark = pytest.mark.netns

DEAD, ALIVE = "203.0.113.99", "203.0.113.53"


def test_a_first_server_that_is_unreachable_costs_no_time_and_keeps_its_place(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """ICMP says at once that nobody is there. One that was silent would not be asked first again."""
    world = load_profile("plain")
    uplink = replace(world.uplinks["wifi"], resolvers=(DEAD, ALIVE))
    world = replace(world, uplinks={"wifi": uplink})
    description = LabDescription(scenario="resolver", seed=1, guest="netns", profile=world)
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        for name in ("shop.example", "files.example"):
            assert lab.guest.resolve(name).rcode == "NOERROR"
            lab.links["wifi"].expect(dns.query(name, to=ALIVE))
            lab.links["wifi"].expect(dns.query(name, to=DEAD))
