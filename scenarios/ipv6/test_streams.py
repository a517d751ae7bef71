"""TCP over IPv6, as connect() and recv() in the guest see it."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, icmpv6, tcp

pytestmark = pytest.mark.lab(needs="ipv6")


def test_ten_mebibytes_arrive_intact_both_ways(lab: Lab) -> None:
    """From and to a server by a name that has both families; and from the laptop's own loopback."""
    lab.guest.autoconfiguration()
    with lab.step("download 10 MiB"):
        down = lab.guest.download("http://files.example/size/10485760", family=6)
        assert (down.bytes, down.intact) == (10 * 2**20, True)
    with lab.step("upload 10 MiB"):
        up = lab.guest.upload("http://files.example/", size="10MiB", family=6)
        assert (up.bytes, up.intact) == (10 * 2**20, True)
    with lab.step("the laptop's ::1 as host.docker.internal"):
        assert lab.guest.download("http://host.docker.internal:8080/size/1000", family=6).intact

    server = ("2001:db8::20", 80)
    lab.cable.expect_sequence([tcp.syn(to=server), tcp.syn_ack(source=server), tcp.fin()])
    lab.journal.expect(events.FlowClosed, within=5.0, transport="tcp", remote="[2001:db8::20]:80")
    assert not lab.cable.saw(tcp.reset())


def test_a_connect_fails_as_the_laptops_would(lab: Lab) -> None:
    """A closed port is a reset, an unreachable network its errno, both at once."""
    lab.guest.autoconfiguration()
    with lab.step("a closed port"):
        refused = lab.guest.connect("2001:db8::10", 81)
        assert refused.refused
        lab.cable.expect(tcp.reset(to=refused.source))
        lab.journal.expect(events.FlowRefused, remote="[2001:db8::10]:81", error="ECONNREFUSED", answer="rst")
    with lab.step("no route, says a router on the way"):
        dead = lab.guest.connect("2001:db8::99", 80)
        assert dead.error == "ENETUNREACH"
        lab.cable.expect(icmpv6.unreachable("no route", about=("2001:db8::99", 80)))
        assert not lab.cable.saw(tcp.reset(to=dead.source))
    with lab.step("half-closed, it still carries the answer"):
        assert lab.guest.half_close("2001:db8::30", 9007, bytes(range(256)) * 64).intact
