"""Clocks that jump, with nobody asleep."""

import pytest

from guestnet.core import events
from guestnet.core.time import HOUR, SECOND
from guestnet.scenario import Guest, Lab, ndp, tcp
from scenarios.time.session import Session

pytestmark = pytest.mark.lab(needs=["lab-clock"])

ECHO = ("203.0.113.30", 7)
ASK_THE_TIME = """
use Socket;
socket(my $socket, PF_INET, SOCK_DGRAM, 0);
connect($socket, pack_sockaddr_in(123, inet_aton("time.example")));
send($socket, chr(0x23) . chr(0) x 47, 0);
recv($socket, my $answer, 48, 0);
print unpack("x40 N", $answer) - 2208988800;
"""
"""Of an SNTP client (RFC 4330): version 4, mode 3; the time that the server sent its answer, since 1970."""


def seconds_of(guest: Guest) -> float:
    """Its wall clock."""
    return float(guest.run("date +%s", check=True).stdout)


def test_a_session_that_nobody_uses_for_two_hours_goes_on(lab: Lab) -> None:
    """A router keeps an idle connection for two hours and four minutes (RFC 5382, REQ-5); we do for ever."""
    session = Session(lab.guest)
    assert session.echoes("before lunch")
    with lab.step("lunch") as lunch:
        lab.jump("2h")
        assert session.echoes("after lunch"), session.error
        lab.jump("100h")
        assert session.echoes("after the holidays"), session.error
    assert not lab.cable.saw(tcp.reset(), since=lunch)
    assert not lab.journal.saw(events.FlowClosed, transport="tcp", since=lunch)


def test_a_udp_mapping_ends_after_five_idle_minutes(lab: Lab) -> None:
    """RFC 4787, REQ-5: not before, and the next question gets a mapping of its own."""
    assert lab.guest.udp_echo(*ECHO, b"one") == b"one"
    first = lab.journal.expect(events.FlowOpened, transport="udp", remote="203.0.113.30:7")
    with lab.step("nobody says anything") as silence:
        lab.jump("4.5min")
        lab.journal.expect_none(events.FlowClosed, flow=first.flow, for_=0.1)
        lab.jump("1min")
        closed = lab.journal.expect(events.FlowClosed, flow=first.flow)
        assert (closed.reason, closed.up, closed.down) == ("idle", 3, 3)

    assert lab.guest.udp_echo(*ECHO, b"two") == b"two"
    again = lab.journal.expect(events.FlowOpened, transport="udp", since=silence)
    assert again.flow != first.flow


def test_routers_go_on_advertising(lab: Lab) -> None:
    """What the guest knows of its router is true for half an hour (RFC 4861): it hears of it before that."""
    lab.cable.expect(ndp.router_advertisement(), within=20.0)
    with lab.step("ten minutes") as later:
        lab.jump("10min")
        lab.cable.expect(ndp.router_advertisement(), since=later)


@pytest.mark.lab(guest="qemu", needs=["lab-clock"])
def test_a_guest_whose_wall_clock_jumps_keeps_its_network(lab: Lab) -> None:
    """Lease, names and connections count by the monotonic clock, which does not jump."""
    session = Session(lab.guest)
    assert session.echoes("on time")
    lease = lab.guest.lease()

    with lab.step("a day ahead") as ahead:
        lab.guest.set_clock(ahead="24h")
        assert abs(seconds_of(lab.guest) - lab.now() / SECOND - 24 * 3600) < 60
        assert session.echoes("tomorrow"), session.error
    with lab.step("an hour behind"):
        lab.guest.set_clock(behind="1h")
        assert abs(seconds_of(lab.guest) - lab.now() / SECOND + 3600) < 60
        assert session.echoes("yesterday"), session.error
        assert lab.guest.resolve("shop.example").records
    with lab.step("right again"):
        lab.guest.set_clock()
        assert abs(seconds_of(lab.guest) - lab.now() / SECOND) < 60
    assert lab.guest.lease() == lease
    assert not lab.cable.saw(tcp.reset(), since=ahead)
    jumps = [event.seconds for event in lab.journal.events(events.ClockJumped, clock="guest1")]
    assert jumps == [24 * HOUR / SECOND, -HOUR / SECOND, 0]


@pytest.mark.lab(guest="qemu", needs=["lab-clock"])
def test_the_labs_clock_is_not_the_guests(lab: Lab) -> None:
    """A jump of the lab clock is silence for the stack alone; but who starts after it has the lab's time."""
    lab.jump("3h")
    assert abs(lab.now() / SECOND - seconds_of(lab.guest) - 3 * 3600) < 60
    assert abs(lab.now() / SECOND - seconds_of(lab.add_guest())) < 60


@pytest.mark.lab(guest="qemu", profile="online.toml", needs=["lab-clock"])
def test_a_clock_that_is_wrong_by_years_breaks_tls_and_nothing_else(lab: Lab) -> None:
    """Certificates are good for a time: eleven years off, the guest believes none of them."""
    page = "https://shop.example/"
    lab.guest.trust(lab.ca)
    assert lab.guest.fetch(page).status == 200

    for years in (11, -11):
        lab.guest.set_clock(lab.now() + years * 365 * 24 * HOUR)
        failed = lab.guest.fetch(page)
        assert failed.status == 0
        assert "certificate" in failed.error
        assert lab.guest.download("http://files.example/size/1000").intact
    lab.guest.set_clock()
    assert lab.guest.fetch(page).status == 200


@pytest.mark.lab(guest="qemu", profile="online.toml", needs=["lab-clock"])
def test_a_guest_that_nobody_tells_the_time_asks_for_it(lab: Lab) -> None:
    """The clock of a machine that was paused is late by the night, until an NTP client asks (RFC 5905)."""
    lab.sleep(hours=8, clocks_set=False)
    assert abs(lab.now() / SECOND - seconds_of(lab.guest) - 8 * 3600) < 60
    lab.guest.run(["sh", "-c", f"date -s @$(timeout 10 perl -e '{ASK_THE_TIME}')"], check=True)
    assert abs(lab.now() / SECOND - seconds_of(lab.guest)) < 60
