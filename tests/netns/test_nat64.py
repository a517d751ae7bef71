"""A network with IPv6 only, and names that have many IPv4 addresses: dnsmasq, DNS64 and clients together."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab
from guestnet.world.described.server import Record
from guestnet.world.profiles.load import load_profile

pytestmark = pytest.mark.netns

MANY = 60


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    world = load_profile("ipv6-only")
    many = [Record(name="many.example", type="A", value=f"203.0.113.{number}") for number in range(MANY)]
    server = world.servers["dns"]
    server = replace(server, records=(*server.records, *many))
    world = replace(world, servers=world.servers | {"dns": server})
    description = LabDescription(scenario="nat64", seed=1, guest="netns", profile=world)
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize("tcp", [False, True])
def test_a_name_with_many_addresses_has_all_of_them(lab: Lab, tcp: bool) -> None:
    """They are too many for one datagram; the client comes again over TCP, and so does the DNS64."""
    answer = lab.guest.resolve("many.example", "AAAA", tcp=tcp)

    assert answer.rcode == "NOERROR"
    assert sorted(answer.addresses) == sorted(f"64:ff9b::cb00:71{number:02x}" for number in range(MANY))
    assert sorted(lab.guest.resolve("many.example", "A", tcp=tcp).addresses) == sorted(
        f"203.0.113.{number}" for number in range(MANY)
    )
