"""The laptop's lid is shut in the evening and opened in the morning."""

import pytest

from guestnet.core import events
from guestnet.core.time import HOUR, SECOND
from guestnet.scenario import Lab, dhcp, dns, tcp
from scenarios.time.session import Session

pytestmark = pytest.mark.lab(needs=["lab-clock"])

NIGHT = 8 * HOUR
SHOP = "203.0.113.10"


def test_after_a_night_the_guest_is_on_the_network_by_itself(lab: Lab) -> None:
    """Its lease of two hours is over when the lid opens; nobody in the guest has noticed, and all works."""
    lease = lab.guest.lease()
    assert lease.seconds == 7200

    evening = lab.now()
    lab.sleep(hours=8)
    with lab.step("in the morning") as morning:
        assert morning.at - evening > NIGHT
        assert lab.guest.resolve("shop.example").records == [f"A {SHOP}"]
        assert lab.guest.download("http://files.example/size/100000").intact
        assert lab.guest.ping("gateway.docker.internal", count=1).received == 1
    slept = lab.journal.expect(events.FellAsleep)
    woke = lab.journal.expect(events.WokeUp)
    assert slept.guests == woke.guests == ["guest1"]
    assert slept.uplinks == woke.uplinks == ["wifi"]
    assert woke.seconds > NIGHT / SECOND
    lab.cable.expect(dns.query(name="shop.example"), since=morning)
    assert lab.guest.lease() == lease


def test_an_address_in_use_is_nobody_elses_after_its_lease_is_over(lab: Lab) -> None:
    """A guest that comes in the morning gets another address; the first one renews what it has."""
    lease = lab.guest.lease()
    lab.sleep(hours=8)

    with lab.step("a newcomer") as morning:
        newcomer = lab.add_guest()
        assert newcomer.lease().address != lease.address
        assert newcomer.ping(lease.address, count=1).received == 1
    with lab.step("the first guest asks again, as its network manager does on waking"):
        lab.guest.run("kill -USR1 $(cat /run/udhcpc.pid)", check=True)
        ack = lab.cable.expect(dhcp.ack(address=lease.address), within=15.0, since=morning)
        lab.journal.expect(events.DhcpServed, kind="ACK", address=lease.address, since=morning)
    assert not lab.cable.saw(dhcp.nak(), since=morning)
    assert lab.guest.ping("gateway.docker.internal", count=1).received == 1
    assert ack.at > morning.at


def test_a_session_outlives_the_night(lab: Lab) -> None:
    """Nothing was said in it, nothing kept it alive, and neither end was told that the other one slept."""
    session = Session(lab.guest)
    assert session.echoes("good night")
    with lab.step("the night") as night:
        lab.sleep(hours=8)
    assert session.echoes("good morning"), session.error
    assert session.echoes("as ever"), session.error
    assert not lab.cable.saw(tcp.reset(), since=night)
    assert not lab.journal.saw(events.FlowClosed, transport="tcp", since=night)


def test_a_session_whose_server_gave_up_ends_at_the_first_word(lab: Lab) -> None:
    """The server has closed the connection while the laptop slept: an RST tells the guest in the morning."""
    session = Session(lab.guest)
    assert session.echoes("good night")
    with lab.asleep(hours=8):
        lab.hosts["internet"].run("ss --kill state established sport = :7", check=True)
    with lab.step("in the morning") as morning:
        assert not session.echoes("good morning")
        assert "reset by peer" in session.error
    lab.cable.expect(tcp.reset(source=("203.0.113.30", 7)), since=morning)
    assert lab.guest.connect("echo.example", 7).connected


def test_a_download_goes_on_where_it_stopped(lab: Lab) -> None:
    """The lid is shut in its middle: it is late by the night, not a byte is lost."""
    curl = "curl --silent --dump-header /tmp/head --output /tmp/file http://files.example/size/6000000"
    with lab.cable.impaired("down", rate="8Mbit/s"):  # else it may be over before the lid is shut
        lab.guest.run(f"({curl}; echo $? >/tmp/over) </dev/null >/dev/null 2>&1 &", check=True)
        lab.guest.run("until [ -s /tmp/file ]; do sleep 0.05; done", check=True)
        with lab.step("the night") as night:
            assert not lab.guest.run("[ -e /tmp/over ]").ok
            lab.sleep(hours=8)
    lab.guest.run("until [ -e /tmp/over ]; do sleep 0.1; done", timeout=60, check=True)
    assert lab.guest.read_file("/tmp/over").strip() == b"0"
    digest = lab.guest.run("sha256sum </tmp/file", check=True).stdout.split()[0]
    assert f"x-sha256: {digest}" in lab.guest.read_file("/tmp/head").decode().lower()
    assert not lab.cable.saw(tcp.reset(), since=night)


def test_awake_without_a_network_the_guest_is_told_so_at_once(lab: Lab) -> None:
    """The lid is opened where there is no wifi: connects fail as they do on the laptop; later all is well."""
    lab.sleep(hours=8, uplinks_return=False)
    with lab.step("on the train"):
        attempt = lab.guest.connect(SHOP, 80)
        assert attempt.error == "ENETUNREACH"
        assert lab.guest.ping("gateway.docker.internal", count=1).received == 1
    with lab.step("at home"):
        lab.uplinks["wifi"].up()
        assert lab.guest.connect(SHOP, 80, timeout=20).connected


@pytest.mark.lab(guest="qemu", needs=["lab-clock"])
@pytest.mark.parametrize("told", [True, False])
def test_the_guests_clock_after_a_night(lab: Lab, told: bool) -> None:
    """A paused machine has slept without knowing; its wall clock is right again only if somebody tells it."""
    lab.sleep(hours=8, clocks_set=told)
    behind = lab.now() / SECOND - float(lab.guest.run("date +%s").stdout)
    assert abs(behind - (0 if told else 8 * 3600)) < 120
    assert float(lab.guest.read_file("/proc/uptime").split()[0]) < 4 * 3600
