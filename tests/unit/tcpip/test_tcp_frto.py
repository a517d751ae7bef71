"""F-RTO (RFC 5682): a timeout of a connection without timestamps was for nothing, or not; by script."""

import msgspec
import pytest

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from tests.unit.tcpip.drill import Drill

PLAIN = Config(timestamps=False, sack=False, window_scaling=False, congestion="newreno")
SACK = Config(timestamps=False, window_scaling=False, congestion="newreno")
ROUND_TRIP = 20 * MILLISECOND


def timed_out(config: Config, *, unsent: int = 10, segments: int = 6) -> Drill:
    """``segments`` of 1000 octets are out, nobody answers, and the first goes again by the timer."""
    drill = Drill(config).established(sack_permitted=config.sack, round_trip=ROUND_TRIP)
    drill.connection.write(bytes(segments * 1000))
    assert drill.octets_sent() == segments * 1000
    if config.sack:
        drill.until_timer()
        drill.expect(f"P. {(segments - 1) * 1000 + 1}:{segments * 1000 + 1} ack 1")
    drill.until_timer()
    drill.connection.write(bytes(unsent * 1000))
    drill.expect(". 1:1001 ack 1")
    drill.now += ROUND_TRIP
    return drill


def cwnd(drill: Drill) -> int:
    return drill.connection.sender.congestion.cwnd


def in_recovery(drill: Drill) -> bool:
    return drill.connection.sender.recovery_point is not None


@pytest.mark.parametrize("config", [PLAIN, SACK])
def test_what_is_acknowledged_without_having_been_sent_again_takes_the_timeout_back(config: Config) -> None:
    drill = timed_out(config)
    drill.inject(".", 1, 1001)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.inject(".", 1, 2001)
    assert not in_recovery(drill)
    assert cwnd(drill) >= 10_000
    # What was taken for lost is not sent again: only what is new.
    drill.expect(*[f". {at}:{at + 1000} ack 1" for at in range(8001, 13_001, 1000)])
    drill.inject(".", 1, 13_001)
    assert drill.octets_sent() == 3000
    drill.inject(".", 1, 16_001)
    drill.expect()
    assert drill.connection.poll_at() is None


@pytest.mark.parametrize("config", [PLAIN, SACK])
def test_what_arrives_beyond_a_hole_shows_a_loss(config: Config) -> None:
    """The retransmission filled the first hole; the second one holds up what is new."""
    drill = timed_out(config)
    drill.inject(".", 1, 1001)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.inject(".", 1, 1001, sack=((6001, 7001),) if config.sack else ())
    assert cwnd(drill) <= 3000
    drill.expect(*[". 1001:2001 ack 1", ". 2001:3001 ack 1"][: 2 if config.sack else 1])
    assert in_recovery(drill)


def test_without_sack_a_duplicate_first_shows_a_loss() -> None:
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 1)
    drill.expect()
    drill.inject(".", 1, 1001)
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")


def test_with_sack_duplicates_are_waited_through() -> None:
    """RFC 5682 3.1 step 2: what they report is noted, the first new acknowledgment begins the test."""
    drill = timed_out(SACK)
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.expect()
    drill.inject(".", 1, 2001)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.inject(".", 1, 2001, sack=((3001, 4001),))
    assert not in_recovery(drill)


def test_the_acknowledgment_of_all_says_nothing_of_the_timeout() -> None:
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 6001)
    assert not in_recovery(drill)
    assert cwnd(drill) < 10_000
    assert drill.octets_sent() < 10_000


def full(drill: Drill, *, is_closed: bool) -> Drill:
    """Nothing new can be sent: there is nothing, or the window is closed for it."""
    drill.inject(".", 1, 1001, win=5000 if is_closed else None)
    return drill


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("config", [PLAIN, SACK])
def test_where_nothing_new_can_be_sent_the_last_segment_is_the_probe(config: Config, is_closed: bool) -> None:
    """RFC 5682 appendix A."""
    drill = full(timed_out(config, unsent=6 if is_closed else 0), is_closed=is_closed)
    assert [line.partition(" ")[2] for line in map(drill.line, drill.out())] == ["5001:6001 ack 1"]
    drill.inject(".", 1, 3001, win=3000)
    assert not in_recovery(drill)
    assert cwnd(drill) >= 10_000
    drill.expect()


@pytest.mark.parametrize("is_closed", [False, True])
def test_the_last_segment_beyond_a_hole_shows_a_loss(is_closed: bool) -> None:
    drill = full(timed_out(PLAIN, unsent=6 if is_closed else 0), is_closed=is_closed)
    assert drill.octets_sent() == 1000
    drill.inject(".", 1, 1001, win=5000 if is_closed else None)
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")


def test_the_arrival_of_the_last_segment_itself_says_nothing() -> None:
    drill = timed_out(PLAIN, unsent=0, segments=2)
    drill.inject(".", 1, 1001)
    drill.expect("P. 1001:2001 ack 1")
    drill.inject(".", 1, 2001)
    assert cwnd(drill) < 10_000


def test_where_sack_has_told_of_a_hole_no_old_segment_is_a_probe() -> None:
    drill = timed_out(SACK, unsent=0)
    drill.inject(".", 1, 1, sack=((3001, 4001),))
    drill.inject(".", 1, 1001, sack=((3001, 4001),))
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")


def test_many_timeouts_make_as_many_duplicates_which_are_no_loss() -> None:
    """RFC 6582 3.2 step 2: an acknowledgment of no more than was sent before the timeout tells of none."""
    drill = timed_out(msgspec.structs.replace(PLAIN, black_hole_timeouts=9), unsent=20)
    for _ in range(3):
        drill.until_timer()
        drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001)
    assert drill.octets_sent() == 2000
    drill.inject(".", 1, 6001)
    before = cwnd(drill)
    drill.out()
    for _ in range(4):
        drill.inject(".", 1, 6001)
        assert all(segment.seq != drill.connection.sender.snd_una & 0xFFFFFFFF for segment in drill.out())
    assert cwnd(drill) == before
    drill.inject(".", 1, 7001)
    drill.out()
    for _ in range(3):
        drill.inject(".", 1, 7001)
    assert drill.line(drill.out()[0]) == ". 7001:8001 ack 1"


def test_a_part_of_what_was_sent_again_begins_no_test() -> None:
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 501)
    drill.expect(". 1001:2001 ack 1")
    drill.inject(".", 1, 2001)
    assert in_recovery(drill)
    assert cwnd(drill) < 10_000


def test_a_window_update_decides_nothing() -> None:
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 1, win=30_000)
    drill.expect()
    drill.inject(".", 1, 1001, win=30_000)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.inject(".", 1, 1001, win=31_000)
    drill.expect()
    drill.inject(".", 1, 2001, win=31_000)
    assert not in_recovery(drill)


def test_a_second_timeout_before_any_answer_is_taken_back_as_well() -> None:
    drill = timed_out(PLAIN)
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.inject(".", 1, 3001)
    assert not in_recovery(drill)
    assert cwnd(drill) >= 10_000


def test_a_timeout_within_slow_start_after_a_loss_is_not_judged() -> None:
    """More than one segment has been sent again by then: what is acknowledged may be that (step 1)."""
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 1)
    drill.inject(".", 1, 1001)
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")
    drill.until_timer()
    drill.expect(". 1001:2001 ack 1")
    drill.inject(".", 1, 2001)
    drill.expect(". 2001:3001 ack 1", ". 3001:4001 ack 1")


def test_a_timeout_while_it_is_open_goes_back_to_the_old() -> None:
    drill = timed_out(PLAIN)
    drill.inject(".", 1, 1001)
    drill.expect(". 6001:7001 ack 1", ". 7001:8001 ack 1")
    drill.until_timer()
    drill.expect(". 1001:2001 ack 1")
    drill.inject(".", 1, 2001)
    drill.expect(". 2001:3001 ack 1", ". 3001:4001 ack 1")


def test_with_sack_no_new_information_shows_a_loss() -> None:
    drill = timed_out(SACK)
    drill.inject(".", 1, 1001)
    assert drill.octets_sent() == 2000
    drill.inject(".", 1, 1001)
    assert cwnd(drill) <= 3000
    drill.expect(". 1001:2001 ack 1")


def test_where_timestamps_tell_of_a_loss_no_test_is_made() -> None:
    config = Config(window_scaling=False, congestion="newreno", sack=False)
    drill = Drill(config).established(round_trip=ROUND_TRIP, timestamps=(1, 0))
    drill.inject(".", 1, 1, timestamps=(2, drill.now // MILLISECOND & 0xFFFFFFFF))
    drill.connection.write(bytes(6000))
    drill.out()
    drill.until_timer()
    drill.connection.write(bytes(9000))
    (again,) = drill.out()
    assert again.timestamps is not None
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 1 + len(again.payload), timestamps=(3, again.timestamps[0]))
    size = len(again.payload)
    drill.expect(f". {1 + size}:{1 + 2 * size} ack 1", f". {1 + 2 * size}:{1 + 3 * size} ack 1")
