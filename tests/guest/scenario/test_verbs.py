"""Every verb of a guest, on a real one, in one lab."""

import pytest

from guestnet.core import events
from guestnet.core.errors import GuestError
from guestnet.scenario import Guest, Lab, arp, dhcp, icmp, tcp, udp

pytestmark = pytest.mark.guest


def test_verbs_of_a_guest(lab: Lab) -> None:
    """What each verb answers when the network works, and what it says when it does not."""
    guest = lab.guest
    with lab.step("commands and files"):
        assert guest.run("echo out; echo err >&2; exit 3").status == 3
        assert guest.run(["printf", "%s", "a b"]).stdout == "a b"
        assert guest.run("cat", input=b"\0\xff").stdout_bytes == b"\0\xff"
        assert guest.run("no-such-tool").status == 127
        with pytest.raises(GuestError, match="status 1"):
            guest.run("false", check=True)
        guest.write_file("/tmp/file", b"\0\1\2")
        assert guest.read_file("/tmp/file") == b"\0\1\2"
        with pytest.raises(GuestError, match="/no/such/file"):
            guest.read_file("/no/such/file")
    with lab.step("lease and addresses"):
        lease = guest.lease()
        assert (lease.address, lease.router, lease.mask) == ("192.168.65.3", "192.168.65.1", "255.255.255.0")
        assert [one.address for one in guest.addresses("eth0") if one.family == 4] == [lease.address]
        assert lease.address in guest.host.interface("eth0").addresses
        lab.cable.expect(dhcp.ack(mac=guest.mac, address=lease.address, routers=[lease.router]))
    with lab.step("names"):
        assert guest.resolve("www.example").cname == "shop.example"
        assert guest.resolve("nowhere.example").rcode == "NXDOMAIN"
        assert guest.resolve("shop.example", tcp=True).addresses in ([], ["203.0.113.10"])
        assert guest.resolve("shop.example", server="192.168.65.77", timeout=2).timed_out
    with lab.step("pings"):
        assert guest.ping("192.168.65.1", count=2).received == 2
        assert len(guest.ping("shop.example", count=2).rtts) == 2
        assert guest.ping("nowhere.example").errors


def test_sockets_of_a_guest(lab: Lab) -> None:
    """connect(), send() and shutdown() fail and succeed in the guest as on the laptop."""
    guest = lab.guest
    guest.lease()
    connected = guest.connect("shop.example", 80)
    assert connected.connected
    lab.cable.expect_sequence([tcp.syn(source=connected.source), tcp.syn_ack(to=connected.source)])
    refused = guest.connect("shop.example", 81)
    assert refused.refused
    lab.cable.expect(tcp.reset(to=refused.source))
    lab.journal.expect(events.FlowRefused, remote="203.0.113.10:81", answer="rst")
    assert guest.connect("dead.example", 80).unreachable
    assert guest.connect("silent.example", 80, timeout=0.5).timed_out
    assert guest.connect("nowhere.example", 80).error == "UNRESOLVED"
    assert guest.half_close("echo.example", 9007, b"x" * 100_000).intact
    assert guest.udp_echo("echo.example", 7, b"\0hello\xff") == b"\0hello\xff"
    lab.cable.expect(udp.datagram(source=("203.0.113.30", 7), payload=b"\0hello\xff"))
    sent = guest.udp_send("echo.example", 9, b"?")
    lab.cable.expect(icmp.unreachable("port", to=sent.address, about=("203.0.113.30", 9)))
    down = guest.download("files.example", size="100KiB")
    assert (down.intact, down.bytes) == (True, 100 << 10)
    up = guest.upload("files.example", size="100KiB")
    assert (up.intact, up.bytes) == (True, 100 << 10)
    assert guest.download("http://files.example/status/404").status == 404
    assert guest.download("http://shop.example:81/").error


def test_a_guest_is_stopped_unplugged_and_reset(lab: Lab) -> None:
    """What the machine can be told to do, the network and the guest see."""
    guest = lab.guest
    lease = guest.lease()
    with lab.step("the cable is pulled out and put back"):
        guest.link_down()
        see_carrier(guest, "0")
        guest.link_up()
        see_carrier(guest, "1")
    with lab.step("a paused guest answers when it goes on"):
        guest.pause()
        guest.resume()
        assert guest.run("true").ok
    with lab.step("a second guest"):
        second = lab.add_guest()
        theirs = second.lease()
        assert second.ping(lease.address, timeout=10).received == 3
        lab.cables["guest1"].expect(arp.request(lease.address, sender=theirs.address))
    with lab.step("reset") as step:
        guest.write_file("/tmp/file", b"gone after the reset")
        guest.reset()
        assert guest.lease().address == lease.address
        assert not guest.run("test -e /tmp/file").ok
        lab.cable.expect(dhcp.ack(mac=guest.mac, address=lease.address), since=step)


def see_carrier(guest: Guest, state: str) -> None:
    """Its kernel works on such news when it gets to it."""
    guest.run(f"until [ $(cat /sys/class/net/eth0/carrier) = {state} ]; do usleep 20000; done", check=True)
