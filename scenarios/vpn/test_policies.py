"""What VPN clients forbid, and to whom: the laptop itself, what it forwards, the local network."""

import pytest

from guestnet.core import events
from guestnet.journal.query import Packet
from guestnet.scenario import Lab, dns, icmp, tcp, udp
from guestnet.scenario.results import Attempt

REGISTRY, DOCKER, PRINTER = "10.20.0.5", "203.0.113.90", "192.168.1.50"
DOCKER6 = "2001:db8::90"
CONCENTRATOR = ("198.51.100.18", 51820)
LAPTOP = "10.20.255.2"


def lose(lab: Lab) -> None:
    """The concentrator dies, and the client finds that out."""
    lab.vpn.drop()
    lab.vpn.set(keepalive=0.2)
    lab.journal.expect(events.VpnChanged, vpn="corp", change="lost", within=20.0)


def in_vain(attempt: Attempt) -> bool:
    return not attempt.connected and not attempt.refused


@pytest.mark.lab(profile="corp-vpn-split", stack="kernel-nat")
def test_guests_behind_the_kernels_nat_have_no_registry_when_the_vpn_is_for_the_host_only(lab: Lab) -> None:
    """What a guest sends is forwarded, and such a VPN takes what the host itself sends."""
    assert lab.guest.download("http://registry.corp.example/size/1000").intact

    lab.vpn.set(host_only=True)

    with lab.step("the guest is shut out") as step:
        assert in_vain(lab.guest.connect(REGISTRY, 80, timeout=1.5))
        assert not lab.links.corp.saw(tcp.syn(to=(REGISTRY, 80)), since=step)
    with lab.step("the laptop is not"):
        assert lab.laptop.download(f"http://{REGISTRY}/size/1000").intact
        assert lab.guest.download("http://docker.com/size/1000").intact


@pytest.mark.lab(profile="corp-vpn-split", stack="builtin")
def test_guests_of_the_builtin_stack_are_the_host_itself(lab: Lab) -> None:
    """The same VPN: the stack's sockets are the laptop's, and so is the address of what goes in."""
    lab.vpn.set(host_only=True)

    assert lab.guest.resolve("registry.corp.example").addresses == [REGISTRY]
    page = lab.guest.download("http://registry.corp.example/size/1000")
    assert page.intact

    syn = lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80), source=(LAPTOP, None)))
    assert page.local is not None
    assert lab.cable.saw(tcp.syn(source=page.local))
    guests = str(page.local.address)
    assert not lab.links.corp.saw(tcp.segment(source=(guests, None)), since=syn)
    assert not lab.links.wifi.saw(tcp.segment(source=(guests, None)))


@pytest.mark.lab(profile="corp-vpn-full")
def test_everything_goes_through_a_full_tunnel(lab: Lab) -> None:
    """All that the Wi-Fi carries of it are the tunnel's own datagrams; servers see the company's address."""
    with lab.step("names and pages") as step:
        assert lab.guest.resolve("registry-1.docker.io").addresses == [DOCKER]
        assert lab.guest.download("http://docker.com/size/300000").intact
        assert lab.guest.ping("shop.example", count=1).received == 1

    lab.links.corp.expect(dns.query("registry-1.docker.io", to="10.20.0.53"))
    lab.links.corp.expect(tcp.syn(to=(DOCKER, 80)))
    served = lab.journal.expect(events.Served, server="docker", since=step)
    assert served.client.startswith("198.51.100.18:")
    assert lab.links.wifi.saw(udp.datagram(to=CONCENTRATOR), since=step)
    others = [packet for packet in lab.links.wifi.packets(since=step) if not belongs(packet)]
    assert others == []


def belongs(packet: Packet) -> bool:
    """Whether a packet is the tunnel's, or no more than the link's own business (ARP, neighbour
    discovery)."""
    if packet.udp is not None:
        return CONCENTRATOR[1] in (packet.udp.source_port, packet.udp.destination_port)
    return packet.tcp is None and packet.icmp is None


@pytest.mark.lab(profile="corp-vpn-full")
def test_a_lost_tunnel_lets_everything_out_unless_there_is_a_kill_switch(lab: Lab) -> None:
    """Clients that lose the concentrator fall open; the kill switch shuts, until the user disconnects."""
    with lab.step("without: traffic falls back to the Wi-Fi") as leak:
        lose(lab)
        assert lab.guest.connect(DOCKER, 80).connected
        lab.links.wifi.expect(tcp.syn(to=(DOCKER, 80)), since=leak)
    lab.vpn.set(kill_switch=True, keepalive=5)
    lab.vpn.connect()
    assert lab.guest.connect(DOCKER, 80).connected
    with lab.step("with: nothing leaves") as killed:
        lose(lab)
        assert not lab.guest.connect(DOCKER, 80, timeout=1).connected
        assert lab.guest.udp_echo("203.0.113.30", 7, b"hello", timeout=0.5) is None
        assert not lab.links.wifi.saw(tcp.syn(to=(DOCKER, 80)), since=killed)
        assert not lab.links.wifi.saw(udp.datagram(to=("203.0.113.30", 7)), since=killed)
    with lab.step("the user gives up") as given_up:
        lab.vpn.disconnect()
        assert lab.guest.connect(DOCKER, 80).connected
        lab.links.wifi.expect(tcp.syn(to=(DOCKER, 80)), since=given_up)


@pytest.mark.lab(profile="corp-vpn-full", needs="ipv6")
def test_ipv6_leaks_from_a_tunnel_that_knows_ipv4_only(lab: Lab) -> None:
    """The laptop's IPv6 goes past it, with its own address; a kill switch stops that."""
    lab.guest.autoconfiguration()
    with lab.step("past the tunnel") as leak:
        assert lab.guest.connect(DOCKER6, 80).connected
        lab.links.wifi.expect(tcp.syn(to=(DOCKER6, 80), source=("2001:db8:1::10", None)), since=leak)
    lab.vpn.set(kill_switch=True)
    with lab.step("not past the kill switch") as killed:
        assert not lab.guest.connect(DOCKER6, 80, timeout=1).connected
        assert not lab.links.wifi.saw(tcp.syn(to=(DOCKER6, 80)), since=killed)
        assert lab.guest.connect(DOCKER, 80).connected


@pytest.mark.lab(profile="corp-vpn-full")
def test_the_printer_is_gone_when_the_local_network_is_blocked(lab: Lab) -> None:
    """A full tunnel spares the local network, unless the policy says otherwise."""
    assert lab.guest.connect(PRINTER, 631).connected
    lab.vpn.set(block_local=True)
    with lab.step("blocked") as blocked:
        assert not lab.guest.connect(PRINTER, 631, timeout=1).connected
        assert not lab.laptop.connect(PRINTER, 631, timeout=0.5).connected
        assert not lab.links.wifi.saw(tcp.syn(to=(PRINTER, 631)), since=blocked)
        assert lab.guest.connect(DOCKER, 80).connected
    lab.vpn.set(block_local=False)
    assert lab.guest.connect(PRINTER, 631).connected


@pytest.mark.lab(profile="corp-vpn-full")
def test_the_local_network_that_is_blocked_is_the_one_of_the_moment(lab: Lab) -> None:
    """The laptop is renumbered: what is local now is blocked, and the tunnel goes on."""
    lab.vpn.set(block_local=True)
    lab.uplinks["wifi"].renumber("192.168.1.77/24")
    with lab.step("another address") as renumbered:
        assert not lab.laptop.connect(PRINTER, 631, timeout=0.5).connected
        assert lab.guest.download("http://docker.com/size/1000").intact
        lab.links.wifi.expect(udp.datagram(to=CONCENTRATOR, source="192.168.1.77"), since=renumbered)
    assert not lab.links.wifi.saw(icmp.unreachable(), since=renumbered)
