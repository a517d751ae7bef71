"""The lid is shut in one place and opened in another."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab
from scenarios.time.session import Session

SHOP = "203.0.113.10"


@pytest.mark.lab(profile="roaming", needs=["lab-clock"])
def test_a_day_at_work_by_way_of_sleep(lab: Lab) -> None:
    """Names and new connections go by what is there, whoever the guest is; what was open at home waits."""
    session = Session(lab.guest)
    assert session.echoes("at home")
    lease = lab.guest.lease()

    with lab.asleep(hours=8):
        lab.roam("lte")
    with lab.step("on the train") as train:
        assert lab.guest.resolve("shop.example").addresses == [SHOP]
        assert lab.guest.download("http://files.example/size/100000").intact
        served = lab.journal.expect(events.Served, server="files", since=train)
        assert served.client.startswith("198.51.100.10:")
        assert lab.guest.resolve("intranet.corp.example").rcode == "NXDOMAIN"

    with lab.asleep(minutes=40):
        lab.roam("ethernet")
    with lab.step("in the office"):
        assert lab.guest.resolve("intranet.corp.example").addresses == ["10.20.0.80"]
        assert lab.guest.connect("intranet.corp.example", 80).connected

    with lab.asleep(hours=9):
        lab.roam("wifi")
    with lab.step("at home again"):
        assert session.echoes("at home again"), session.error
    assert lab.guest.lease() == lease
    assert [event.uplinks for event in lab.journal.events(events.WokeUp)] == [["lte"], ["ethernet"], ["wifi"]]


@pytest.mark.lab(profile="hotel-wifi", needs=["lab-clock"])
def test_the_second_morning_in_a_hotel(lab: Lab) -> None:
    """A login is good for a day; it ends in the night, and the guest meets the portal in the morning."""
    lab.portal.set(session=24 * 3600)
    lab.portal.login()
    assert lab.guest.fetch("http://shop.example/").status == 200
    lab.sleep(hours=8)
    assert lab.guest.fetch("http://shop.example/").status == 200

    lab.jump("10h")
    lab.sleep(hours=8)
    with lab.step("the second morning"):
        page = lab.guest.fetch("http://shop.example/")
        assert page.status == 302
        assert "portal.hotel.example" in page.location
        lab.portal.login()
        assert lab.guest.fetch("http://shop.example/").status == 200


@pytest.mark.lab(profile="corp-vpn-full", needs=["lab-clock"])
def test_the_vpn_is_there_in_the_morning(lab: Lab) -> None:
    """What its routes lead to is reached again though its uplink was gone, and a session in it goes on."""
    session = Session(lab.guest, "registry.corp.example", 7)
    assert session.echoes("good night")
    lab.sleep(hours=8)
    with lab.step("in the morning"):
        assert lab.guest.download("http://registry.corp.example/size/100000").intact
        assert session.echoes("good morning"), session.error
