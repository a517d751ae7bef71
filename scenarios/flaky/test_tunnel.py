"""A VPN whose tunnel is bad though the uplink below it is sound: at the company's end, say, or on its way."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, Mtu, icmp, tcp, udp

pytestmark = pytest.mark.lab(profile="corp-vpn-full")

REGISTRY = "10.20.0.5"
FILES = f"http://{REGISTRY}"


def test_a_download_survives_a_tunnel_that_loses(lab: Lab) -> None:
    """Every tenth packet is lost inside the tunnel; no octet is, and the uplink loses nothing."""
    lab.links.corp.impair(loss="10%")

    assert lab.guest.download(f"{FILES}/size/500000", timeout=60).intact

    lab.journal.expect(events.FrameDropped, link="corp", rule="loss 10%")
    assert not lab.journal.events(events.FrameDropped, link="wifi")
    assert lab.links.corp.dropped.saw(tcp.segment(source=(REGISTRY, 80)))
    # As packets of the company's network: it was inside the tunnel that they were lost.
    assert all(packet.comment == "loss 10%" for packet in lab.links.corp.dropped.packets())
    assert not lab.cable.saw(tcp.reset())


def test_a_tunnel_that_is_up_and_brings_nothing_back(lab: Lab) -> None:
    """A one-way black hole: SYNs go in, the answers vanish, and the VPN's client sees nothing wrong."""
    with lab.links.corp.impaired("down", down=True):
        attempt = lab.guest.connect(REGISTRY, 80, timeout=1.5)
        assert not attempt.connected
        lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80)))
        assert lab.links.corp.dropped.expect(tcp.syn_ack(source=(REGISTRY, 80))).comment == "down"
        assert lab.vpn.is_up
        assert lab.links.wifi.saw(udp.datagram(source=("198.51.100.18", 51820))), "the uplink carries it"

    assert lab.guest.connect(REGISTRY, 80).connected


def test_a_smaller_mtu_inside_the_tunnel_is_found_out(lab: Lab) -> None:
    """Somewhere in the tunnel 1,000 octets are the limit: who sends more is told, and sends less."""
    lab.links.corp.impair("up", mtu=1000)

    assert lab.guest.upload(f"{FILES}/", size="200KiB").intact

    told = lab.links.corp.expect(icmp.unreachable("fragmentation needed"))
    assert told.icmp is not None
    assert told.icmp.mtu == 1000
    assert told.comment == "answer of the link"
    assert all(
        packet.wire_length <= 14 + 1000 for packet in lab.links.corp.packets(tcp.data(to=(REGISTRY, 80)))
    )


def test_without_that_word_the_tunnel_is_a_black_hole(lab: Lab) -> None:
    """The control: small requests pass, an upload never ends, and the uplink has lost nothing."""
    lab.links.corp.impair("up", mtu=Mtu(1000, black_hole=True))

    assert lab.guest.download(f"{FILES}/size/1000").intact
    upload = lab.guest.upload(f"{FILES}/", size="200KiB", timeout=2)
    assert not upload.intact
    assert lab.links.corp.dropped.saw(tcp.data(to=(REGISTRY, 80)))
    assert not lab.journal.events(events.FrameDropped, link="wifi")
    assert not lab.links.corp.saw(icmp.unreachable())
