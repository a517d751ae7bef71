"""The exact stream arrives both ways through whatever weather, and every timer ends."""

import random

import pytest

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Aborted, Closed, Config, Established, State
from guestnet.wire.tcp import Segment
from tests.simulation.tcpip.pipe import Pipe, Side, Weather

CLEAR = Weather()
WEATHERS = {
    "clear": CLEAR,
    "loss": Weather(loss=0.05),
    "heavy-loss": Weather(loss=0.2),
    "reorder": Weather(jitter=20 * MILLISECOND),
    "duplicate": Weather(duplicate=0.3, jitter=3 * MILLISECOND),
    "storm": Weather(loss=0.1, duplicate=0.1, jitter=30 * MILLISECOND),
}
CONFIGS = {
    "default": Config(),
    "bare": Config(timestamps=False, sack=False, window_scaling=False),
    "newreno": Config(congestion="newreno"),
    "no-sack": Config(sack=False),
    "no-timestamps": Config(timestamps=False),
    "tiny-window": Config(receive_buffer=3000, send_buffer=5000),
    "sub-segment-window": Config(receive_buffer=700, send_buffer=4000),
    "jumbo": Config(mtu=65520, receive_buffer=1 << 20, send_buffer=1 << 20),
}


def exchange(
    pipe: Pipe,
    client: Config,
    server: Config,
    *,
    up: int = 200_000,
    down: int = 150_000,
    seed: int = 1,
    iss: int = 1000,
) -> tuple[Side, Side]:
    source = random.Random(seed)
    sent_up, sent_down = source.randbytes(up), source.randbytes(down)
    pipe.open(client, server, sent_up, sent_down, iss=iss)
    pipe.run()
    guest, host = pipe.sides
    assert host.received == sent_up
    assert guest.received == sent_down
    for side in pipe.sides:
        assert side.saw_fin
        assert side.connection.state is State.CLOSED
        assert side.connection.poll_at() is None
        assert isinstance(side.events[0], Established)
        assert [isinstance(event, Closed) for event in side.events].count(True) == 1
    return guest, host


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("weather", WEATHERS)
def test_the_exact_stream_arrives_both_ways(weather: str, config: str, seed: int) -> None:
    pipe = Pipe(WEATHERS[weather], seed)
    size = 20_000 if "window" in config else 200_000
    exchange(pipe, CONFIGS[config], CONFIGS[config], up=size, down=size // 2, seed=seed)


@pytest.mark.parametrize("config", CONFIGS)
def test_two_configurations_understand_each_other(config: str) -> None:
    exchange(Pipe(WEATHERS["loss"], 5), Config(), CONFIGS[config], up=60_000, down=50_000)
    exchange(Pipe(WEATHERS["loss"], 6), CONFIGS[config], Config(), up=60_000, down=50_000)


@pytest.mark.parametrize("iss", [0xFFFFFFFF, 0xFFFFFF00, 0xFFFFFFFF - 100_000, 0, 0x7FFFFFFF])
def test_sequence_numbers_wrap(iss: int) -> None:
    exchange(Pipe(WEATHERS["storm"], 3), Config(), Config(), iss=iss)


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_reader_closes_the_window_and_is_never_overrun(seed: int) -> None:
    config = Config(receive_buffer=20_000)
    pipe = Pipe(Weather(loss=0.02), seed, read_every=2 * SECOND)
    _, host = exchange(pipe, config, config, up=100_000, down=1_000, seed=seed)
    assert host.largest_window_use <= config.receive_buffer
    assert host.largest_window_use > config.receive_buffer // 2


def test_an_empty_exchange_only_opens_and_closes() -> None:
    pipe = Pipe(CLEAR, 0)
    exchange(pipe, Config(), Config(), up=0, down=0)
    assert pipe.segments <= 7


def test_a_clear_pipe_sends_nothing_twice() -> None:
    seen: set[tuple[int, int]] = set()
    pipe = Pipe(CLEAR, 0)

    def tap(side: int, segment: Segment) -> bool:
        if segment.payload:
            assert (side, segment.seq) not in seen
            seen.add((side, segment.seq))
        return True

    pipe.tap = tap
    exchange(pipe, Config(), Config())


def test_a_dead_peer_is_given_up_with_a_reason() -> None:
    pipe = Pipe(Weather(), 0)
    pipe.tap = lambda side, segment: not (side == 0 and segment.payload)
    pipe.open(Config(retries=4), Config(), b"never arrives", b"")
    pipe.run()
    last = pipe.sides[0].events[-1]
    assert isinstance(last, Aborted)
    assert "5 times" in last.reason
    assert pipe.sides[0].connection.poll_at() is None


ROUND_TRIP = 20 * MILLISECOND


class Transfer:
    """400 kB one way, the numbered data segments lost once each: how long it took and what was sent again."""

    def __init__(self, config: Config, dropped: set[int], size: int = 400_000) -> None:
        self.again = 0
        self.again_at: int | None = None
        self.longest_silence = 0
        self._count = 0
        self._dropped = dropped
        self._seen: set[int] = set()
        self._pipe = pipe = Pipe(Weather(delay=ROUND_TRIP // 2), 0)
        pipe.tap = self._tap
        start = self._last = pipe.now
        pipe.open(config, config, bytes(size), b"")
        pipe.run_until(lambda: len(pipe.sides) == 2 and len(pipe.sides[1].received) == size)
        self.duration = pipe.now - start

    def _tap(self, side: int, segment: Segment) -> bool:
        if side == 1 or not segment.payload:
            return True
        self._count += 1
        if segment.seq in self._seen:
            self.again += 1
            self.again_at = self._count
        self._seen.add(segment.seq)
        self.longest_silence = max(self.longest_silence, self._pipe.now - self._last)
        self._last = self._pipe.now
        return self._count not in self._dropped


@pytest.mark.parametrize("config", ["default", "bare", "no-sack", "no-timestamps"])
@pytest.mark.parametrize("lost", [2, 5, 50, 100, 200])
def test_a_single_loss_costs_one_segment_and_no_timeout(config: str, lost: int) -> None:
    transfer = Transfer(CONFIGS[config], {lost})
    assert transfer.again == 1
    assert transfer.longest_silence <= 2 * ROUND_TRIP


@pytest.mark.parametrize("config", ["default", "no-timestamps"])
def test_sack_repairs_many_losses_of_a_window_in_one_round_trip(config: str) -> None:
    one = Transfer(CONFIGS[config], {100})
    many = Transfer(CONFIGS[config], set(range(100, 120, 2)))
    assert many.again == 10
    assert many.duration <= one.duration + 2 * ROUND_TRIP


def test_without_sack_each_loss_of_a_window_costs_a_round_trip() -> None:
    one = Transfer(CONFIGS["no-sack"], {100})
    four = Transfer(CONFIGS["no-sack"], {100, 102, 104, 106})
    assert four.again == 4
    assert four.duration <= one.duration + 4 * ROUND_TRIP


def test_losing_most_of_a_window_is_survived_by_timeouts() -> None:
    assert Transfer(CONFIGS["default"], set(range(60, 120))).duration < 3 * SECOND


@pytest.mark.parametrize("lost", [{276, 277}, {270, 275, 277}, set(range(268, 278))])
def test_a_lost_tail_costs_a_probe_and_no_timeout(lost: set[int]) -> None:
    transfer = Transfer(CONFIGS["default"], lost)
    assert transfer.again <= len(lost) + 1
    # A round trip, the delayed acknowledgment of the one before, and two round trips until the probe.
    assert transfer.longest_silence <= 3 * ROUND_TRIP + 50 * MILLISECOND


def test_without_sack_a_lost_tail_costs_a_timeout() -> None:
    assert Transfer(CONFIGS["no-sack"], {277}).longest_silence >= 200 * MILLISECOND


def test_a_retransmission_lost_again_costs_no_timeout() -> None:
    one = Transfer(CONFIGS["default"], {100})
    assert one.again_at is not None
    twice = Transfer(CONFIGS["default"], {100, one.again_at})
    assert twice.again == 2
    assert twice.longest_silence <= 2 * ROUND_TRIP


def test_reordering_within_a_quarter_of_a_round_trip_sends_nothing_twice() -> None:
    seen: set[int] = set()
    pipe = Pipe(Weather(delay=ROUND_TRIP // 2, jitter=ROUND_TRIP // 8), 4)
    again = 0

    def tap(side: int, segment: Segment) -> bool:
        nonlocal again
        if segment.payload:
            again += segment.seq in seen
            seen.add(segment.seq)
        return True

    pipe.tap = tap
    exchange(pipe, Config(), Config(), up=1_000_000, down=0)
    assert again <= 5  # before the first reordering is seen


@pytest.mark.parametrize("pause", [300 * MILLISECOND, 2 * SECOND, 20 * SECOND])
@pytest.mark.parametrize("name", ["default", "no-sack", "no-timestamps", "bare"])
def test_a_peer_that_pauses_costs_the_pause_and_hardly_more(name: str, pause: int) -> None:
    """A guest that is stopped, and finds all that came meanwhile in its queue."""
    pipe = Pipe(Weather(delay=5 * MILLISECOND, rate=50_000_000), 0)
    pipe.open(CONFIGS[name], CONFIGS[name], bytes(4_000_000), b"")
    pipe.run_until(lambda: len(pipe.sides) == 2 and len(pipe.sides[1].received) > 1_000_000)
    cwnd = pipe.sides[0].connection.sender.congestion.cwnd
    pipe.pause(pause)
    start = pipe.now
    pipe.run_until(lambda: len(pipe.sides[1].received) == 4_000_000)
    whole = 3_000_000 * 8 * SECOND // 50_000_000
    assert pipe.now - start - pause < whole * 5 // 4
    assert pipe.sent_twice <= 20  # a few at each timeout
    assert pipe.sides[0].connection.sender.congestion.cwnd >= cwnd
