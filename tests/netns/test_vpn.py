"""A VPN as a program on the laptop sees it: no guest, real routes, rules and resolver."""

from typing import Any

import pytest

from guestnet.core import events
from guestnet.core.errors import DescriptionError, LabError
from guestnet.scenario import Lab, icmp, udp

pytestmark = [pytest.mark.netns, pytest.mark.lab(profile="corp-vpn-split", guests=0)]

REGISTRY = "10.20.0.5"
OVER_UDP = "../../scenarios/vpn/over-udp.toml"


def text(lab: Lab, command: str, host: str = "laptop") -> str:
    return lab.hosts[host].run(command, check=True).stdout


def test_the_laptop_is_as_wg_quick_would_leave_it(lab: Lab) -> None:
    """Split: routes in the main table. Full: a table and two rules. Down: nothing of either."""
    assert "10.20.0.0/16 dev corp" in text(lab, "ip route")
    assert "suppress" not in text(lab, "ip rule")

    lab.vpn.set(routes=["0.0.0.0/0", "::/0"], domains=["."], mtu=1280)
    for family in ("-4", "-6"):
        rules = text(lab, f"ip {family} rule")
        assert "lookup main suppress_prefixlength 0" in rules
        assert "not from all fwmark 0xca6c lookup 51820" in rules
        assert "dev corp" in text(lab, f"ip {family} route show default table 51820")
        assert "10.20.0.0/16" not in text(lab, "ip route")
    for host in ("laptop", "corp-gw"):
        assert "mtu 1280" in text(lab, "ip link show corp", host)
    assert lab.vpn.state.settings.mtu == 1280

    lab.vpn.disconnect()
    lab.vpn.disconnect()
    assert "fwmark" not in text(lab, "ip rule") + text(lab, "ip -6 rule")
    assert "corp" not in text(lab, "ip route show table all") + text(lab, "ip -6 route show table all")
    assert not lab.vpn.is_up
    assert lab.journal.saw(events.VpnChanged, vpn="corp", change="down")


def test_the_tunnels_datagrams_never_go_into_the_tunnel(lab: Lab) -> None:
    lab.vpn.set(routes=["0.0.0.0/0"])
    with lab.step("a ping through it") as step:
        assert lab.laptop.ping(REGISTRY, count=2).received == 2
        lab.links.wifi.expect(udp.datagram(to=("198.51.100.18", 51820)), since=step)
        assert not lab.links.corp.saw(udp.datagram(to=("198.51.100.18", 51820)), since=step)
    assert lab.vpn.state.source.startswith("198.51.100.2:")


@pytest.mark.lab(profile=OVER_UDP)
def test_a_path_that_is_smaller_than_the_tunnel_thinks_is_told_by_the_client(lab: Lab) -> None:
    """Our tunnel's datagrams have DF, WireGuard's have not; who sent the packet hears what fits (RFC 1191),
    unless it is black."""
    text(lab, "ip link set home-wan mtu 1400", "home-router")
    ping = f"ping -c 3 -i 0.2 -W 1 -M do -s 1372 {REGISTRY}"
    # The first datagram is lost, and the laptop's kernel learns of it; the second is known to be too large.
    first = lab.laptop.run(ping)
    assert "0 received" in first.stdout
    told = lab.links.corp.expect(icmp.unreachable("fragmentation needed", about=REGISTRY))
    assert told.icmp is not None
    assert told.icmp.mtu == 1400 - 60
    assert "mtu 1340" in text(lab, f"ip route get {REGISTRY}")
    assert lab.laptop.run(f"ping -c 1 -W 5 -M do -s {1340 - 28} {REGISTRY}").ok

    lab.vpn.set(frag_needed=False)
    with lab.step("black") as black:
        text(lab, "ip route flush cache")
        assert "0 received" in lab.laptop.run(ping).stdout
        assert not lab.links.corp.saw(icmp.unreachable(), since=black)


def test_ipv6_goes_inside_as_well(lab: Lab) -> None:
    """Addresses of both versions at once, and a route of each."""
    text(lab, "ip address add 2001:db8:20::1/64 dev corp nodad", "corp-gw")
    lab.vpn.reconnect("10.20.255.2/24", "2001:db8:20::2/64")
    assert lab.laptop.ping("2001:db8:20::1", count=2).received == 2
    assert lab.laptop.ping("2001:db8:20::1", count=1, size=3000).received == 1


def test_what_can_not_be_is_refused_and_changes_nothing(lab: Lab) -> None:
    before = lab.vpn.state
    with pytest.raises(DescriptionError, match="an MTU of 9000 bytes can't be"):
        lab.vpn.set(mtu=9000)
    unknown: Any = {"colour": "red"}
    with pytest.raises(DescriptionError, match="has no setting 'colour'"):
        lab.vpn.set(**unknown)
    impossible: Any = {"kill_switch": "maybe"}
    with pytest.raises(DescriptionError, match="kill_switch"):
        lab.vpn.set(**impossible)
    with pytest.raises(DescriptionError, match="is no address with a prefix length"):
        lab.vpn.reconnect(address="10.20.255.9")
    with pytest.raises(DescriptionError, match="there is no VPN 'home'"):
        lab.vpns["home"].connect()
    with pytest.raises(DescriptionError, match=r"a pause of 1e\+09 s"):
        lab.vpn.rekey(pause=1e9)
    assert lab.vpn.state == before
    assert lab.laptop.ping(REGISTRY, count=1).received == 1


@pytest.mark.lab(profile="plain", guests=0)
def test_a_laptop_without_a_vpn_says_so(lab: Lab) -> None:
    assert list(lab.vpns) == []
    with pytest.raises(DescriptionError, match="this world has 0 VPNs"):
        lab.vpn.connect()


def test_a_concentrator_that_does_not_answer_is_told_and_leaves_nothing_behind(lab: Lab) -> None:
    lab.vpn.disconnect()
    lab.roam(None)
    with pytest.raises(LabError, match=r"the VPN corp can't connect: 198\.51\.100\.18 port 51820"):
        lab.vpn.connect()
    assert lab.vpn.state.status == "down"
    lab.roam("wifi")
    lab.vpn.connect()
    assert lab.laptop.ping(REGISTRY, count=1).received == 1


@pytest.mark.lab(profile="waiting.toml", guests=0)
def test_a_vpn_that_is_to_be_up_waits_for_its_network_behind_its_kill_switch(lab: Lab) -> None:
    """The lab starts; nothing gets past the VPN while it connects, and it does so by itself."""
    lab.journal.expect(events.VpnChanged, vpn="corp", change="connecting")
    assert lab.vpn.state.status == "connecting"
    assert "fwmark" not in text(lab, "ip rule")
    leaving = "nft list chain inet vpn-corp leaving"
    assert "drop" in text(lab, leaving)

    lab.vpn.set(block_local=True)
    assert lab.vpn.state.status == "connecting"
    lab.roam("wifi")
    lab.journal.expect(events.VpnChanged, vpn="corp", change="up", within=20.0)
    assert lab.laptop.ping(REGISTRY, count=1).received == 1
    assert "192.168.1.0/24" in text(lab, leaving)


@pytest.mark.lab(profile="waiting.toml", guests=0)
def test_who_gives_up_on_a_vpn_that_still_connects_gets_out(lab: Lab) -> None:
    lab.vpn.disconnect()
    assert lab.vpn.state.status == "down"
    assert not lab.laptop.run("nft list chain inet vpn-corp leaving").ok
    lab.roam("wifi")
    assert lab.laptop.ping("198.51.100.18", count=1).received == 1
    assert not lab.vpn.is_up


def test_routes_change_and_those_of_the_laptop_itself_stay(lab: Lab) -> None:
    lab.vpn.set(routes=["2001:db8:20::/48", "198.18.0.0/15", "192.168.1.0/24"])
    assert "198.18.0.0/15 dev corp" in text(lab, "ip route")
    assert "192.168.1.0/24 dev wifi" in text(lab, "ip route")
    assert "10.20.0.0/16" not in text(lab, "ip route")
    assert "2001:db8:20::/48 dev corp" in text(lab, "ip -6 route")
    lab.vpn.set(routes=[])
    assert "dev corp proto static" not in text(lab, "ip route") + text(lab, "ip -6 route")
    lab.vpn.set(names=["docker.com"])
    for _ in range(2):
        assert lab.laptop.run("curl --silent --fail http://docker.com/").ok
        assert "203.0.113.90 dev corp" in text(lab, "ip route")
        assert "2001:db8::90 dev corp" in text(lab, "ip -6 route")
