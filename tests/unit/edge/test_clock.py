"""The lab clock."""

import time

from harness.core.time import SECOND
from harness.edge.clock import LabClock


def test_it_starts_at_the_wall_clock_and_never_goes_back() -> None:
    clock = LabClock()
    assert abs(clock.now() - time.time_ns()) < 60 * SECOND
    readings = [clock.now() for _ in range(1000)]
    assert readings == sorted(readings)


def test_it_can_start_at_any_epoch() -> None:
    assert 0 <= LabClock(5 * SECOND).now() - 5 * SECOND < 60 * SECOND
