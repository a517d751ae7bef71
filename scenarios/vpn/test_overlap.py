"""A company whose network is 192.168.65.0/24, as the guests' usually is."""

from ipaddress import ip_address, ip_network

import msgspec
import pytest

from guestnet.core import events
from guestnet.scenario import Lab, tcp
from guestnet.world.described.model import Route
from guestnet.world.described.server import Server
from guestnet.world.described.world import World
from guestnet.world.profiles.load import load_profile

SUBNET, LEGACY = "192.168.65.0/24", "192.168.65.5"


def company(*routes: str) -> World:
    """corp-vpn-split, with one more server in that network, and ``routes`` into the tunnel besides."""
    world = load_profile("corp-vpn-split")
    replace = msgspec.structs.replace
    corp, gateway, vpn = world.hosts["corp"], world.hosts["corp-gw"], world.vpns["corp"]
    corp = replace(corp, addresses=(*corp.addresses, LEGACY))
    gateway = replace(gateway, routes=(*gateway.routes, Route(to=SUBNET, via="10.20.0.5")))
    legacy = Server(kind="http", host="corp", addresses=(LEGACY,), port=80)
    return replace(
        world,
        hosts=world.hosts | {"corp": corp, "corp-gw": gateway},
        servers=world.servers | {"legacy": legacy},
        vpns={"corp": replace(vpn, routes=(*vpn.routes, *routes))},
    )


@pytest.mark.lab(profile=company(SUBNET), needs="address-plan")
def test_guests_are_renumbered_and_reach_the_company(lab: Lab) -> None:
    """Another subnet is chosen before they start; theirs and the company's don't meet."""
    told = lab.journal.expect(events.SubnetOverlap, of="VPN corp", network=SUBNET)
    assert told.renumbered
    assert ip_address(lab.guest.lease().address) in ip_network(told.renumbered)
    assert lab.guest.download(f"http://{LEGACY}/size/10000").intact
    lab.links.corp.expect(tcp.syn(to=(LEGACY, 80)))


@pytest.mark.lab(profile=company(), needs="address-plan")
def test_an_overlap_that_comes_later_is_told_and_guests_do_not_reach_it(lab: Lab) -> None:
    """The VPN brings the route while guests run: for them the server is a neighbour that does not answer."""
    lab.vpn.set(routes=["10.20.0.0/16", SUBNET])
    told = lab.journal.expect(events.SubnetOverlap, of="VPN corp", network=SUBNET)
    assert told.renumbered == ""
    with lab.step("the guest") as step:
        assert not lab.guest.connect(LEGACY, 80, timeout=1).connected
        assert not lab.links.corp.saw(tcp.syn(to=(LEGACY, 80)), since=step)
        assert lab.guest.download("http://10.20.0.5/size/1000").intact
