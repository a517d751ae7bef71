"""Hours in which nobody's timers ran, and all of them are due at once: a laptop that slept."""

import pytest

from guestnet.core.time import HOUR, MILLISECOND, SECOND
from guestnet.tcpip.tcp import Aborted, Reset
from tests.simulation.tcpip.pipe import Pipe, Weather
from tests.simulation.tcpip.test_streams import CONFIGS

SIZE = 600_000
LINE = Weather(delay=10 * MILLISECOND, loss=0.02, rate=20_000_000, queue=100_000)


@pytest.mark.parametrize("config", ["default", "bare", "no-sack", "no-timestamps", "jumbo"])
@pytest.mark.parametrize("late", [0, 50 * MILLISECOND], ids=["segments first", "timers first"])
def test_a_stream_goes_on_at_once(config: str, late: int) -> None:
    """What was under way arrives before the timers go off, or after: no long timeout is left."""
    pipe = Pipe(LINE, 3)
    pipe.open(CONFIGS[config], CONFIGS[config], b"", bytes(SIZE))
    guest = pipe.sides[0]
    pipe.run_until(lambda: len(guest.received) > SIZE // 3)

    pipe.now += 8 * HOUR
    pipe.pause(late)
    morning = pipe.now
    pipe.run_until(lambda: len(guest.received) == SIZE)
    assert pipe.now - morning < 10 * SECOND
    assert not [event for side in pipe.sides for event in side.events if isinstance(event, Reset | Aborted)]


@pytest.mark.parametrize("config", ["default", "bare"])
def test_one_night_says_nothing_of_the_path(config: str) -> None:
    """The round trip of a segment that was under way is no sample: after it the RTO is what it was."""
    pipe = Pipe(Weather(delay=10 * MILLISECOND), 1)
    pipe.open(CONFIGS[config], CONFIGS[config], b"", b"good morning")
    pipe.run_until(lambda: len(pipe.sides) == 2)
    sender = pipe.sides[1].connection.sender
    pipe.run_until(lambda: sender.rtt.srtt is not None and sender.snd_una < sender.end)
    pipe.now += 8 * HOUR
    pipe.run_until(lambda: sender.snd_una == sender.end)
    assert sender.rtt.rto < SECOND
