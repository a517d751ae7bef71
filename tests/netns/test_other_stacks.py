"""Netns guests on stacks of others: slirp4netns and pasta, each with a device of its own."""

import os

import pytest

from guestnet.core.errors import GuestError, LabError
from guestnet.guest import tap
from guestnet.guest.image import find
from guestnet.scenario import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    """Skip, with the reason, where no guest can be."""
    if find("tiny") is None:
        pytest.skip("the guest image 'tiny' is not built: guestnet image build tiny")
    if not os.access(tap.TUN, os.R_OK | os.W_OK):
        pytest.skip(f"this user can't open {tap.TUN}: sudo chmod 0666 {tap.TUN}")


@pytest.mark.lab(guest="netns", stack="slirp", mtu=9000)
def test_slirp4netns_serves_a_guest_also_after_a_reset(lab: Lab) -> None:
    assert serves(lab) == "192.168.65.15"


@pytest.mark.lab(guest="netns", stack="passt", mtu=9000)
def test_pasta_serves_a_guest_also_after_a_reset(lab: Lab) -> None:
    assert serves(lab) == "192.168.65.3"


@pytest.mark.lab(guest="netns", stack="slirp")
def test_a_stack_that_breaks_ends_the_lab_and_is_named(lab: Lab) -> None:
    (pid,) = lab.laptop.run("pidof slirp4netns", check=True).stdout.split()
    with pytest.raises(
        LabError, match=r"slirp4netns for guest1 ended with SIGSEGV: the stack under test is no"
    ):
        lab.laptop.run(f"kill -SEGV {pid}; sleep 60")


def serves(lab: Lab) -> str:
    """The guest's address; all that these stacks must be able to do was done."""
    address = lab.guest.lease().address
    for _ in range(2):
        assert lab.guest.lease().address == address
        assert lab.guest.run("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address").stdout.split() == [
            "9000",
            "52:54:00:65:00:01",
        ]
        page = lab.guest.run(["curl", "--silent", "http://192.168.65.2:8080/size/100000"], check=True)
        assert len(page.stdout_bytes) == 100_000
        lab.guest.reset()
    with pytest.raises(GuestError, match="choose the stack builtin"):
        lab.guest.link_down()
    second = lab.add_guest()
    assert second.run(["curl", "--silent", "http://192.168.65.2:8080/size/10"], check=True).stdout
    second.stop()
    return address
