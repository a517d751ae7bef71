"""DHCP as the guest's own client sees it (RFC 2131)."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, arp, dhcp


@pytest.mark.lab(needs="address-plan")
def test_a_guest_gets_a_lease_with_its_options(lab: Lab) -> None:
    """The guest's lease names router, resolver, MTU, domain and server as the stack offers them."""
    lease = lab.guest.lease()

    assert lease.address == "192.168.65.3"
    assert lease.router == "192.168.65.1"
    assert lease.dns == ["192.168.65.1"]
    assert lease.mtu == 1500
    assert lease.server == "192.168.65.1"
    assert lease.seconds >= 3600
    with lab.step("the four messages of the exchange, in their order, on the wire"):
        lab.cable.expect_sequence(
            [dhcp.discover(), dhcp.offer(), dhcp.request(), dhcp.ack(address=lease.address)]
        )
    with lab.step("the interface really has what the lease says"):
        interface = lab.guest.host.interface("eth0")
        assert interface.exists
        assert lease.address in interface.addresses


@pytest.mark.lab(needs="guest-to-guest")
def test_a_second_guest_gets_another_address_and_reaches_the_first(lab: Lab) -> None:
    """Two guests on one switch: two leases, and frames between them pass."""
    second = lab.add_guest()

    ours, theirs = lab.guest.lease(), second.lease()
    assert ours.address != theirs.address
    with lab.step("ping from the second guest to the first"):
        ping = second.ping(ours.address, count=2)
        assert ping.received == 2
    lab.cables["guest1"].expect(arp.request(target=ours.address, sender=theirs.address))


def test_a_reset_guest_gets_its_address_back(lab: Lab) -> None:
    """A machine that is reset has forgotten its lease; the server has not."""
    before = lab.guest.lease()

    with lab.step("pull the plug and start again"):
        lab.guest.reset()
        after = lab.guest.lease(within=20)

    assert after.address == before.address
    acks = lab.journal.events(events.DhcpServed, kind="ACK")
    assert [ack.address for ack in acks] == [before.address, before.address]
    again = dhcp.ack(address=before.address)
    lab.cable.expect_sequence([again, dhcp.discover(), again])
