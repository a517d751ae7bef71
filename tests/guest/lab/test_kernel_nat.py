"""A virtual machine behind the laptop's kernel: its frames go by a socket, a packet socket and a bridge."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, dhcp, icmp

pytestmark = [pytest.mark.guest, pytest.mark.lab(guest="qemu", stack="kernel-nat")]


def test_a_machine_is_served_by_the_laptops_kernel(lab: Lab) -> None:
    """Lease, names, streams of both directions, an error from far away, and its end."""
    assert lab.guest.lease().address == "192.168.65.3"
    lab.cable.expect(dhcp.ack(address="192.168.65.3"))
    assert lab.guest.resolve("shop.example").addresses == ["203.0.113.10"]
    assert lab.guest.download("http://files.example/size/2000000").intact
    assert lab.guest.upload("http://files.example/", size="2MiB").intact
    assert lab.guest.connect("dead.example", 80).error == "EHOSTUNREACH"
    lab.cable.expect(icmp.unreachable("host", about="203.0.113.99"))
    served = lab.journal.expect(events.Served, server="files")
    assert served.client.startswith("192.168.1.10:")
    lab.guest.stop()
    lab.journal.expect(events.GuestEnded, guest="guest1", reason="stopped")
    assert not lab.laptop.run("ip link show _guest1").ok
