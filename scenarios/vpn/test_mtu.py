"""Packets that are too large for the tunnel: told, not told, avoided.

The guest's ethernet has 1,500 octets, the tunnel 1,300. Where the guest's own packets are routed into the
tunnel (the stack kernel-nat), somebody must tell the guest: by ICMP, or by the MSS of what it is answered.
Behind the builtin stack the laptop's own TCP sends into the tunnel, and it knows its interfaces.
"""

import pytest

from guestnet.scenario import Lab, icmp, tcp

pytestmark = pytest.mark.lab(profile="corp-vpn-full", stack="kernel-nat")

REGISTRY = "10.20.0.5"
PATIENCE = 20.0


def probing(lab: Lab, mode: int) -> None:
    """Packetization-layer path MTU discovery (RFC 4821) in the guest: never, or once a path seems black."""
    settings = f"net.ipv4.tcp_mtu_probing={mode} net.ipv4.tcp_retries1=1"
    lab.guest.run(f"sysctl -w {settings}", check=True)


def test_who_is_told_sends_smaller_packets(lab: Lab) -> None:
    """The laptop's kernel answers a packet of 1,500 octets by "fragmentation needed" with 1,300 (RFC
    1191)."""
    assert lab.guest.upload(f"http://{REGISTRY}/", size="300KiB").intact
    told = lab.cable.expect(icmp.unreachable("fragmentation needed"))
    assert told.icmp is not None
    assert told.icmp.mtu == 1300
    assert all(packet.wire_length <= 14 + 1300 for packet in lab.links.corp.packets(tcp.data()))


def test_who_is_not_told_hangs(lab: Lab) -> None:
    """The control: small packets pass, so it connects; the upload never gets through a black hole."""
    probing(lab, 0)
    lab.vpn.set(frag_needed=False)
    assert lab.guest.ping(REGISTRY, count=1).received == 1
    upload = lab.guest.upload(f"http://{REGISTRY}/", size="300KiB", timeout=3)
    assert not upload.intact
    assert upload.error
    lab.cable.expect(tcp.syn_ack(source=(REGISTRY, 80)))
    assert not lab.cable.saw(icmp.unreachable("fragmentation needed"))
    assert all(packet.wire_length <= 14 + 1300 for packet in lab.links.corp.packets(tcp.data()))


def test_who_probes_gets_through_a_black_hole(lab: Lab) -> None:
    """The guest's TCP suspects the path after some timeouts, and finds a size that passes (RFC 4821)."""
    probing(lab, 1)
    lab.vpn.set(frag_needed=False)
    assert lab.guest.upload(f"http://{REGISTRY}/", size="300KiB", timeout=PATIENCE).intact
    assert not lab.cable.saw(icmp.unreachable("fragmentation needed"))


def test_a_clamped_mss_leaves_nothing_too_large(lab: Lab) -> None:
    """The laptop lowers the option in SYNs both ways, so that a black hole harms no TCP connection."""
    probing(lab, 0)
    with lab.step("as the guest sent it") as plain:
        assert lab.guest.connect(REGISTRY, 80).connected
        lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80), mss=1460), since=plain)
    lab.vpn.set(frag_needed=False, clamp_mss=True)
    with lab.step("clamped") as clamped:
        assert lab.guest.upload(f"http://{REGISTRY}/", size="300KiB", timeout=PATIENCE).intact
        assert lab.guest.download(f"http://{REGISTRY}/", size="300KiB", timeout=PATIENCE).intact
        lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80), mss=1260), since=clamped)
        lab.cable.expect(tcp.syn_ack(source=(REGISTRY, 80), mss=1260), since=clamped)


@pytest.mark.lab(stack="builtin")
def test_a_black_hole_in_the_tunnel_is_not_the_guests_business(lab: Lab) -> None:
    """The builtin stack ends the guest's connection; the laptop's TCP speaks for it, in sizes that fit."""
    lab.vpn.set(frag_needed=False)
    assert lab.guest.upload(f"http://{REGISTRY}/", size="300KiB").intact
    assert lab.guest.download(f"http://{REGISTRY}/", size="300KiB").intact
    lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80), mss=1260))
    assert all(packet.wire_length <= 14 + 1300 for packet in lab.links.corp.packets())
