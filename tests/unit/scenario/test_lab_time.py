"""What the verbs of time ask of a lab, and in which order."""

from typing import cast

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.time import AdvanceClock, FallAsleep, SetClock, WakeUp
from guestnet.scenario import Lab
from tests.unit.scenario.fake_lab import SECOND, FakeLab


@pytest.fixture
def lab(fake: FakeLab) -> Lab:
    return Lab(cast(LabProcess, fake))


def test_a_night_is_over_after_its_block(lab: Lab, fake: FakeLab) -> None:
    with lab.asleep(hours=8, minutes=30):
        lab.now()
    assert fake.requests[0] == FallAsleep()
    assert fake.requests[1] == AdvanceClock(by=30_600 * SECOND)
    assert fake.requests[3:] == [WakeUp()]


def test_a_night_with_choices(lab: Lab, fake: FakeLab) -> None:
    lab.sleep(seconds=1.5, guest_sleeps=False, uplinks_return=False, clocks_set=False)
    assert fake.requests == [
        FallAsleep(guests=False),
        AdvanceClock(by=1_500_000_000),
        WakeUp(uplinks=False, clocks=False),
    ]


def test_whatever_fails_meanwhile_the_laptop_wakes(lab: Lab, fake: FakeLab) -> None:
    with pytest.raises(KeyError), lab.asleep(hours=1):
        raise KeyError
    assert fake.requests[-1] == WakeUp()


def test_a_sleep_of_no_time_can_not_be_meant(lab: Lab, fake: FakeLab) -> None:
    with pytest.raises(DescriptionError, match="give hours="):
        lab.sleep()
    with pytest.raises(DescriptionError, match="negative"):
        lab.sleep(hours=-1)
    assert fake.requests == []


def test_clocks_jump_by_themselves(lab: Lab, fake: FakeLab) -> None:
    lab.jump("2h")
    lab.guest.set_clock()
    lab.guest.set_clock(behind="5min")
    lab.guest.set_clock(4_102_444_800 * SECOND, ahead=1)
    assert fake.requests == [
        AdvanceClock(by=7200 * SECOND),
        SetClock(guest="guest1"),
        SetClock(guest="guest1", ahead=-300 * SECOND),
        SetClock(guest="guest1", at=4_102_444_800 * SECOND, ahead=SECOND),
    ]
