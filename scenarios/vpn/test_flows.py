"""Connections through a tunnel that goes, comes back, changes keys or addresses, or is on a bad uplink."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, tcp, udp
from scenarios.time.session import Session

pytestmark = pytest.mark.lab(profile="corp-vpn-split")

REGISTRY, DOCKER = "10.20.0.5", "203.0.113.90"
CONCENTRATOR = ("198.51.100.18", 51820)


def test_a_connection_survives_a_vpn_that_goes_down_and_comes_up_again(lab: Lab) -> None:
    """Up, down and up: what is said meanwhile arrives afterwards, and the outside never notices."""
    inside = Session(lab.guest, host="registry.corp.example")
    assert inside.echoes("up")
    lab.vpn.disconnect()
    with lab.step("down"):
        assert not inside.echoes("down", within=1)
        assert lab.guest.download("http://docker.com/size/100000").intact
        assert not lab.guest.connect(REGISTRY, 80, timeout=0.5).connected
    lab.vpn.connect()
    with lab.step("up again") as again:
        assert inside.echoes("again")
        assert inside.error == ""
        lab.links.corp.expect(tcp.data(to=(REGISTRY, 7), contains="again"), since=again)


def test_a_rekey_pauses_connections_and_breaks_none(lab: Lab) -> None:
    """While the client has no keys its packets wait; then all goes on where it was."""
    session = Session(lab.guest, host="registry.corp.example")
    assert session.echoes("before")
    with lab.step("a pause") as pause:
        lab.vpn.rekey(pause=600)
        assert not session.echoes("during", within=1)
        assert not lab.journal.saw(events.VpnChanged, vpn="corp", change="rekeyed", since=pause)
    with lab.step("the end of it") as end:
        lab.vpn.rekey()
        lab.journal.expect(events.VpnChanged, vpn="corp", change="rekeyed", since=end, within=20.0)
    assert session.echoes("after")
    assert session.error == ""
    assert lab.guest.download("http://registry.corp.example/size/300000").intact


def test_keys_change_in_time_and_a_download_does_not_notice(lab: Lab) -> None:
    """A session that is old is followed by another one, both of which are good while they change."""
    lab.vpn.set(rekey=0.1)
    with lab.step("a download over many keys") as step:
        assert lab.guest.download("http://registry.corp.example/size/4000000").intact
        lab.journal.expect(events.VpnChanged, vpn="corp", change="rekeyed", since=step, within=10.0)
    assert not lab.journal.saw(events.VpnChanged, vpn="corp", change="lost")


def test_a_new_address_inside_ends_old_connections_and_new_ones_have_it(lab: Lab) -> None:
    """The concentrator gives the laptop another address: connections from the old one are stuck."""
    session = Session(lab.guest, host="registry.corp.example")
    assert session.echoes("before")

    lab.vpn.reconnect(address="10.20.255.77/24")

    assert not session.echoes("after", within=1)
    with lab.step("a new connection") as step:
        assert lab.guest.download("http://registry.corp.example/size/1000").intact
        lab.links.corp.expect(tcp.syn(to=(REGISTRY, 80), source=("10.20.255.77", None)), since=step)
    assert lab.vpn.addresses == ["10.20.255.77/24"]


def test_the_tunnel_follows_an_uplink_that_is_renumbered(lab: Lab) -> None:
    """The concentrator answers to where it was last spoken to from: connections inside go on, others end."""
    inside = Session(lab.guest, host="registry.corp.example")
    assert inside.echoes("before")
    with lab.step("another address at home") as moved:
        lab.uplinks["wifi"].renumber("192.168.1.77/24")
        assert inside.echoes("after")
        lab.links.wifi.expect(udp.datagram(to=CONCENTRATOR, source="192.168.1.77"), since=moved)
    assert inside.error == ""
    assert not lab.journal.saw(events.VpnChanged, vpn="corp", change="lost")


def test_a_dropped_tunnel_comes_back_by_itself(lab: Lab) -> None:
    """The uplink goes; the client finds the concentrator dead and tries on, until the uplink is there
    again."""
    lab.vpn.set(keepalive=0.3)
    with lab.step("no uplink") as gone:
        lab.uplinks["wifi"].down()
        lab.journal.expect(events.VpnChanged, vpn="corp", change="lost", since=gone, within=20.0)
        assert not lab.vpn.is_up
    lab.vpn.set(keepalive=5)
    with lab.step("and back") as back:
        lab.uplinks["wifi"].up()
        lab.journal.expect(events.VpnChanged, vpn="corp", change="up", since=back, within=20.0)
        assert lab.guest.download("http://registry.corp.example/size/1000").intact


def test_a_lossy_uplink_is_a_lossy_vpn(lab: Lab) -> None:
    """What the Wi-Fi loses are the tunnel's datagrams; TCP inside repairs it."""
    lab.links.wifi.impair("down", drop="every 25th udp from :51820")
    with lab.step("a download over it"):
        assert lab.guest.download("http://registry.corp.example/size/1000000").intact

    dropped = lab.links.wifi.dropped.packets()
    assert dropped
    assert all(packet.udp is not None and packet.udp.source_port == 51820 for packet in dropped)
    assert not lab.journal.saw(events.VpnChanged, vpn="corp", change="lost")
