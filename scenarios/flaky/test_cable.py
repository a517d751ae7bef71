"""The guest's own cable is bad: frames are lost, late, twice, out of order or wrong, and TCP holds."""

import pytest

from guestnet.core import events
from guestnet.scenario import Burst, Constant, Corrupt, Lab, Mtu, Reorder, arp, dhcp, tcp

pytestmark = pytest.mark.lab(needs="impairments")

FILES = "http://files.example"


def test_a_download_survives_a_cable_that_loses(lab: Lab) -> None:
    """Two percent lost each way, in the open: no octet is missing, and no connection is reset."""
    lab.cable.impair(loss="2%")

    assert lab.guest.download(f"{FILES}/size/1000000").intact

    assert lab.cable.dropped.saw(tcp.segment(source=("203.0.113.20", 80)))
    assert not lab.cable.saw(tcp.reset())


def test_a_connect_succeeds_though_two_syn_acks_are_lost(lab: Lab) -> None:
    """The stack says SYN-ACK again, and again, until one arrives; the guest only waits a little."""
    lab.cable.impair("down", drop="first 2 tcp syn-ack to port 1024-65535")

    attempt = lab.guest.connect("shop.example", 80)

    assert attempt.connected
    assert attempt.seconds >= 1
    assert len(lab.cable.dropped.packets(tcp.syn_ack(to=attempt.source))) == 2
    lab.cable.expect(tcp.syn_ack(to=attempt.source))


def test_frames_out_of_order_and_twice_harm_nobody(lab: Lab) -> None:
    """Up and down are swapped and doubled; what arrives is what was sent, and little is sent again."""
    lab.cable.impair(reorder=Reorder("5%", distance=2), duplicate="2%")

    assert lab.guest.download(f"{FILES}/size/500000").intact
    assert lab.guest.upload(f"{FILES}/", size=500_000).intact

    told = {event.rule.split()[0] for event in lab.journal.events(events.FrameImpaired, link="cable")}
    assert told == {"reorder", "duplicate"}


def test_a_wrong_checksum_is_as_good_as_a_loss(lab: Lab) -> None:
    """A bit that fell over on the cable is noticed by a checksum: the segment comes again, and is right."""
    lab.cable.impair("down", corrupt=Corrupt("3%"))

    assert lab.guest.download(f"{FILES}/size/500000").intact

    lab.journal.expect(events.FrameImpaired, link="cable", direction="down")


def test_what_no_checksum_sees_reaches_the_program(lab: Lab) -> None:
    """The control: where somebody on the way puts the checksum right again, the program gets wrong octets."""
    sent = bytes(200)
    with lab.cable.impaired("down", corrupt=Corrupt(1.0, repair=True, only="udp port 7")):
        came = lab.guest.udp_echo("203.0.113.30", 7, sent)

    assert came is not None
    assert len(came) == len(sent)
    assert came != sent
    assert lab.guest.udp_echo("203.0.113.30", 7, sent) == sent


def test_a_cable_that_flaps_while_a_lease_is_renewed(lab: Lab) -> None:
    """The renewal is lost, the cable comes back, the client asks again: the address stays."""
    before = lab.guest.lease()

    with lab.step("renew while nothing gets through") as renewal, lab.cable.impaired(down=True):
        lab.guest.run("kill -USR1 $(cat /run/udhcpc.pid)", check=True)
        lab.cable.dropped.expect(dhcp.request(), within=5.0)
    ack = lab.cable.expect(dhcp.ack(address=before.address), within=15.0, since=renewal)

    assert ack.at > renewal.at
    assert lab.guest.lease().address == before.address
    assert lab.guest.ping("192.168.65.1", count=1).received == 1


def test_neighbours_are_asked_for_until_they_answer(lab: Lab) -> None:
    """The first answer to the guest's ARP request is lost: the ping gets there late, not never."""
    lab.guest.run("ip neigh flush dev eth0", check=True)
    lab.cable.impair("down", drop="1st arp")

    assert lab.guest.ping("203.0.113.10", count=1, timeout=4.0).received == 1

    assert lab.cable.dropped.saw(arp.reply())
    assert lab.cable.saw(arp.reply(), since=lab.cable.dropped.expect(arp.reply()))


def test_a_black_hole_on_the_cable_is_found_by_probing(lab: Lab) -> None:
    """Frames to the guest of more than 1,400 octets vanish: the stack finds a size that gets through."""
    lab.cable.impair("down", mtu=Mtu(1400, black_hole=True))

    assert lab.guest.download(f"{FILES}/size/200000", timeout=30).intact

    assert lab.cable.dropped.saw(tcp.segment(source=("203.0.113.20", 80)))


def test_settings_stay_when_others_change(lab: Lab) -> None:
    """Each setting is set and taken back by itself; a block's are as before when it ends."""
    lab.cable.impair(delay="20ms")
    lab.cable.impair("down", loss=Burst("1%", length=3))
    with lab.cable.impaired(delay="60ms"):
        assert lab.cable.settings.down.loss == Burst("1%", length=3)
        assert min(lab.guest.ping("192.168.65.1", count=2, interval=0.02).rtts) >= 0.12
    assert lab.cable.settings.up.delay == Constant("20ms")
    lab.cable.clear("loss")
    assert lab.cable.settings.down.loss is None
    assert min(lab.guest.ping("192.168.65.1", count=2, interval=0.02).rtts) >= 0.04
    lab.cable.clear()
    assert lab.guest.ping("192.168.65.1", count=1).received == 1
