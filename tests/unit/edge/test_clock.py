"""The lab clock."""

import time

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.core.time import HOUR, SECOND
from guestnet.edge.clock import LabClock


def test_it_starts_at_the_wall_clock_and_never_goes_back() -> None:
    clock = LabClock()
    assert abs(clock.now() - time.time_ns()) < 60 * SECOND
    readings = [clock.now() for _ in range(1000)]
    assert readings == sorted(readings)


def test_it_can_start_at_any_epoch() -> None:
    assert 0 <= LabClock(5 * SECOND).now() - 5 * SECOND < 60 * SECOND


def test_hours_pass_in_no_time_and_whoever_waits_is_told() -> None:
    clock = LabClock(5 * SECOND)
    told: list[int] = []
    forget = clock.on_jump(lambda: told.append(clock.now()))

    assert 8 * HOUR <= clock.advance(8 * HOUR) - 5 * SECOND < 8 * HOUR + 60 * SECOND
    assert len(told) == 1
    assert told[0] >= 8 * HOUR

    forget()
    clock.advance(SECOND)
    assert len(told) == 1


def test_it_does_not_go_back() -> None:
    clock = LabClock()
    before = clock.now()
    with pytest.raises(DescriptionError, match="can't go back"):
        clock.advance(-1)
    assert 0 <= clock.now() - before < 60 * SECOND
