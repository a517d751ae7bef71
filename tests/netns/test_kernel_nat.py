"""The laptop's kernel as the stack: a bridge, NAT, DHCP and a resolver, for guests that are namespaces.

No TAP device, so nobody has to open /dev/net/tun.
"""

from pathlib import Path

import pytest

from guestnet.core.errors import GuestError, LabError
from guestnet.guest.image import find
from guestnet.scenario import Lab, arp, tcp

pytestmark = [pytest.mark.netns, pytest.mark.lab(guest="netns", stack="kernel-nat")]


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    """Skip, with the reason, where no guest can be."""
    if find("tiny") is None:
        pytest.skip("the guest image 'tiny' is not built: guestnet image build tiny")


@pytest.mark.lab(mtu=9000)
def test_guests_are_served_also_after_a_reset_and_see_each_other(lab: Lab) -> None:
    lease = lab.guest.lease()
    assert (lease.address, lease.router, lease.dns) == ("192.168.65.3", "192.168.65.1", ["192.168.65.1"])
    assert lease.mtu == 9000
    lab.guest.reset()
    assert lab.guest.lease().address == "192.168.65.3"
    assert lab.guest.download("http://192.168.65.2:8080/size/100000").intact
    assert lab.guest.resolve("gateway.docker.internal").addresses == ["192.168.65.1"]

    second = lab.add_guest()
    assert second.lease().address == "192.168.65.4"
    assert second.ping("192.168.65.3", count=1, size=8000).received == 1
    second.stop()
    assert lab.guest.ping("192.168.65.4", count=1, timeout=0.3).received == 0
    with pytest.raises(GuestError, match="choose the stack builtin"):
        lab.guest.link_down()


def test_a_dhcp_server_that_dies_ends_the_lab_and_is_named(lab: Lab) -> None:
    found = lab.laptop.run("grep -la '[i]nterface=guests' /proc/[0-9]*/cmdline", check=True).stdout
    (pid,) = (Path(each).parent.name for each in found.split())
    with pytest.raises(LabError, match="dnsmasq for guests ended with SIGSEGV: the stack under test is no"):
        lab.laptop.run(f"kill -SEGV {pid}; sleep 60")


def test_the_cable_is_captured_and_the_world_sees_the_laptop(lab: Lab) -> None:
    page = lab.guest.run("curl --silent http://shop.example/headers", check=True)
    assert "192.168.1.10" in page.stdout

    syn = lab.cable.expect(tcp.syn(source=("192.168.65.3", None), to=("203.0.113.10", 80)))
    lab.cable.expect(tcp.syn_ack(source=("203.0.113.10", 80)), since=syn)
    lab.links.wifi.expect(tcp.syn(source=("192.168.1.10", None), to=("203.0.113.10", 80)))
    assert lab.cable.saw(arp.request())
    assert {packet.direction for packet in lab.cable.packets()} == {"up", "down"}
