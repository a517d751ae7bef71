"""RACK, the tail loss probe (RFC 8985) and DSACK (RFC 2883), as a scripted peer sees them."""

import pytest

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Config
from tests.unit.tcpip.drill import Drill

SACK = Config(timestamps=False, window_scaling=False, congestion="newreno")
ROUND_TRIP = 20 * MILLISECOND


def flight(segments: int = 8, config: Config = SACK) -> Drill:
    """``segments`` of 1000 octets are out since one round trip."""
    drill = Drill(config).established(sack_permitted=True, round_trip=ROUND_TRIP)
    drill.connection.write(bytes(segments * 1000))
    assert len(drill.out()) == segments
    drill.now += ROUND_TRIP
    return drill


# --- RACK ---


def test_three_segments_beyond_a_hole_tell_that_it_is_lost() -> None:
    drill = flight()
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.inject(".", 1, 1, sack=((1001, 3001),))
    drill.expect()
    drill.inject(".", 1, 1, sack=((1001, 4001),))
    drill.expect(". 1:1001 ack 1")
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 8001)
    drill.expect()
    assert drill.connection.poll_at() is None


def test_one_acknowledgment_of_a_batch_is_enough() -> None:
    drill = flight()
    drill.inject(".", 1, 1, sack=((1001, 8001),))
    drill.expect(". 1:1001 ack 1")


def test_just_the_holes_are_sent_again() -> None:
    drill = flight()
    drill.inject(".", 1, 1, sack=((5001, 6001), (3001, 4001), (1001, 2001)))
    drill.expect(". 1:1001 ack 1", ". 2001:3001 ack 1")
    drill.inject(".", 1, 1, sack=((5001, 8001), (3001, 4001), (1001, 2001)))
    drill.expect(". 4001:5001 ack 1")
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 8001)
    drill.expect()
    assert drill.connection.poll_at() is None


def test_a_hole_below_two_segments_is_lost_after_a_quarter_of_a_round_trip() -> None:
    drill = flight(2)
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.expect()
    assert drill.until_timer() == ROUND_TRIP // 4
    drill.expect(". 1:1001 ack 1")


def test_what_comes_within_the_window_was_only_reordered() -> None:
    drill = flight(2)
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.expect()
    drill.wait(ROUND_TRIP // 5)
    drill.inject(".", 1, 2001)
    drill.expect()
    assert drill.connection.poll_at() is None


def test_where_reordering_was_seen_three_segments_are_no_proof() -> None:
    drill = flight()
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.wait(MILLISECOND)
    drill.inject(".", 1, 2001)
    drill.inject(".", 1, 2001, sack=((3001, 8001),))
    drill.expect()
    assert drill.until_timer() == ROUND_TRIP // 4
    drill.expect(". 2001:3001 ack 1")


def test_a_lost_retransmission_is_noticed_without_a_timeout() -> None:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=ROUND_TRIP)
    drill.connection.write(bytes(10_000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.connection.write(bytes(5000))
    drill.inject(".", 1, 1, sack=((1001, 10001),))
    drill.expect(". 1:1001 ack 1", *[f". {at}:{at + 1000} ack 1" for at in (10001, 11001, 12001, 13001)])
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 1, sack=((1001, 11001),))
    drill.expect(". 1:1001 ack 1", "P. 14001:15001 ack 1")


def test_a_dsack_makes_the_window_grow_and_recoveries_without_it_shrink_it() -> None:
    drill = flight(2)
    drill.inject(".", 1, 1, sack=((1001, 2001),))
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 2001)
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 2001, sack=((1, 1001),))
    for count in range(17):
        at = 2001 + 2000 * count
        drill.connection.write(bytes(2000))
        drill.out()
        drill.now += ROUND_TRIP
        drill.inject(".", 1, at, sack=((at + 1000, at + 2000),))
        assert drill.until_timer() == ROUND_TRIP // 4 * (2 if count < 16 else 1)
        assert drill.octets_sent() == 1000
        drill.now += ROUND_TRIP
        drill.inject(".", 1, at + 2000)


def test_a_peer_that_drops_what_it_had_sacked_gets_all_again() -> None:
    drill = flight(4)
    drill.inject(".", 1, 1, sack=((1001, 4001),))
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001)
    drill.expect()
    drill.until_timer()
    drill.expect(". 1001:2001 ack 1")
    drill.inject(".", 1, 2001)
    drill.expect(". 2001:3001 ack 1", "P. 3001:4001 ack 1")


def test_after_a_timeout_what_was_sacked_is_not_sent_again() -> None:
    drill = flight(6)
    drill.inject(".", 1, 1, sack=((4001, 5001),))
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001, sack=((4001, 5001),))
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")
    drill.inject(".", 1, 3001, sack=((4001, 5001),))
    drill.expect(". 3001:4001 ack 1", "P. 5001:6001 ack 1")


def test_what_is_sent_again_comes_at_the_pace_of_what_arrives() -> None:
    drill = flight(10)
    # All but the last one are lost: that is one segment for each that arrives, and one more where it is safe.
    drill.inject(".", 1, 1, sack=((9001, 10001),))
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 1001, sack=((9001, 10001),))
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 3001, sack=((9001, 10001),))
    drill.expect(". 3001:4001 ack 1", ". 4001:5001 ack 1", ". 5001:6001 ack 1")


def test_a_half_lost_window_is_halved_in_proportion() -> None:
    drill = flight(10)
    drill.connection.write(bytes(10_000))
    drill.inject(".", 1, 1, sack=((1001, 4001),))
    drill.expect(". 1:1001 ack 1")
    # cwnd 5: of the next six that arrive, about every second one lets one go.
    went = []
    for right in range(5001, 11001, 1000):
        drill.inject(".", 1, 1, sack=((1001, right),))
        went.append(drill.octets_sent() // 1000)
    assert 2 <= sum(went) <= 4
    assert max(went) == 1


def test_a_recovery_that_was_for_nothing_is_taken_back() -> None:
    drill = flight(10)
    cwnd = drill.connection.sender.congestion.cwnd
    drill.inject(".", 1, 1, sack=((2001, 10001),))
    drill.expect(". 1:1001 ack 1", ". 1001:2001 ack 1")
    assert drill.connection.sender.congestion.cwnd == cwnd // 2
    drill.inject(".", 1, 10001)
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 10001, sack=((1, 1001),))
    assert drill.connection.sender.congestion.cwnd == cwnd // 2
    drill.inject(".", 1, 10001, sack=((1001, 2001),))
    assert drill.connection.sender.congestion.cwnd == cwnd


def test_a_duplicate_of_an_earlier_recovery_takes_no_later_one_back() -> None:
    drill = flight(10)
    drill.inject(".", 1, 1, sack=((2001, 10001),))
    drill.out()
    drill.inject(".", 1, 10001)
    drill.connection.write(bytes(5000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 10001, sack=((11001, 15001),))
    drill.out()
    cwnd = drill.connection.sender.congestion.cwnd
    drill.inject(".", 1, 10001, sack=((1, 2001),))
    assert drill.connection.sender.congestion.cwnd == cwnd


# --- the tail loss probe ---


def tail(segments: int, written_later: int = 0) -> Drill:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=ROUND_TRIP)
    drill.connection.write(bytes(segments * 1000))
    assert len(drill.out()) == segments
    return drill


def test_the_last_segment_is_sent_again_after_two_round_trips_of_silence() -> None:
    drill = tail(3)
    assert drill.until_timer() == 2 * ROUND_TRIP
    drill.expect("P. 2001:3001 ack 1")
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 1, sack=((2001, 3001),))
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001, sack=((2001, 3001),))
    drill.expect(". 1001:2001 ack 1")
    assert drill.connection.sender.retries == 0


def test_a_single_segment_has_time_for_a_delayed_acknowledgment() -> None:
    drill = tail(1)
    # 40 ms and 200 ms: but never later than the timeout.
    assert drill.until_timer() == 200 * MILLISECOND
    drill.expect("P. 1:1001 ack 1")
    assert drill.connection.sender.retries == 0
    assert drill.until_timer() == 200 * MILLISECOND
    assert drill.connection.sender.retries == 1


def test_new_data_is_the_better_probe() -> None:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=ROUND_TRIP)
    drill.connection.write(bytes(12_000))
    assert drill.octets_sent() == 10_000
    drill.until_timer()
    drill.expect(". 10001:11001 ack 1")


def test_without_room_in_the_window_the_last_segment_is_the_probe() -> None:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=ROUND_TRIP)
    drill.inject(".", 1, 1, win=3000)
    drill.connection.write(bytes(12_000))
    assert drill.octets_sent() == 3000
    drill.until_timer()
    drill.expect(". 2001:3001 ack 1")


def test_there_is_one_probe_and_then_the_timeout() -> None:
    drill = tail(3)
    drill.until_timer()
    drill.expect("P. 2001:3001 ack 1")
    assert drill.until_timer() == 200 * MILLISECOND
    drill.expect(". 1:1001 ack 1")
    assert drill.connection.sender.congestion.cwnd == 1000


def test_a_fin_alone_is_probed_for() -> None:
    drill = tail(1)
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 1001)
    drill.connection.shutdown()
    drill.expect("F. 1001:1001 ack 1")
    drill.until_timer()
    drill.expect("F. 1001:1001 ack 1")
    assert drill.connection.sender.retries == 0


@pytest.mark.parametrize(
    ("answer", "reduced"), [("dsack", False), ("beyond", True), ("duplicate", False), ("equal", False)]
)
def test_a_loss_that_the_probe_repaired_counts_for_congestion(answer: str, reduced: bool) -> None:
    drill = tail(3)
    cwnd = drill.connection.sender.congestion.cwnd
    drill.until_timer()
    drill.out()
    drill.wait(ROUND_TRIP)
    if answer == "dsack":
        drill.inject(".", 1, 3001)
        drill.inject(".", 1, 3001, sack=((2001, 3001),))
    elif answer == "duplicate":
        drill.inject(".", 1, 3001)
        drill.inject(".", 1, 3001)
    else:
        drill.inject(".", 1, 3001)
    drill.connection.write(bytes(1000))
    drill.out()
    drill.wait(ROUND_TRIP)
    if answer != "equal":
        drill.inject(".", 1, 4001)
    assert (drill.connection.sender.congestion.cwnd < cwnd) is reduced


def test_no_probe_before_a_round_trip_was_measured_since_the_last() -> None:
    drill = tail(1)
    drill.until_timer()
    drill.out()
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 1001)  # Karn: no sample
    drill.inject(".", 1, 1001)  # the probe was for nothing
    drill.connection.write(bytes(3000))
    assert drill.octets_sent() == 3000
    assert drill.until_timer() == 200 * MILLISECOND
    assert drill.connection.sender.retries == 1


# --- DSACK, as the receiver ---


def test_a_segment_that_comes_twice_is_reported() -> None:
    drill = Drill(SACK).established(sack_permitted=True)
    drill.inject(".", 1, 1, bytes(1000))
    drill.inject(".", 1, 1, bytes(1000))
    drill.expect(". 1:1 ack 1001 sack 1:1001")
    drill.inject(".", 501, 1, bytes(1000))
    drill.expect(". 1:1 ack 1501 sack 501:1001")
    drill.inject(".", 1501, 1, bytes(1000))
    drill.until_timer()
    drill.expect(". 1:1 ack 2501")


def test_an_early_segment_that_comes_twice_is_reported_within_its_block() -> None:
    drill = Drill(SACK).established(sack_permitted=True)
    drill.inject(".", 1001, 1, bytes(1000))
    drill.inject(".", 2001, 1, bytes(1000))
    drill.expect(". 1:1 ack 1 sack 1001:2001", ". 1:1 ack 1 sack 1001:3001")
    drill.inject(".", 1001, 1, bytes(1000))
    drill.expect(". 1:1 ack 1 sack 1001:2001 sack 1001:3001")
    drill.inject(".", 1, 1, bytes(1000))
    drill.expect(". 1:1 ack 3001")


def test_without_sack_nothing_is_reported() -> None:
    drill = Drill(SACK).established()
    for _ in range(3):
        drill.inject(".", 1, 1, bytes(1000))
    drill.expect(". 1:1 ack 1001")


def test_a_probe_of_zero_length_round_trips_is_harmless() -> None:
    drill = Drill(SACK).established(sack_permitted=True)
    drill.connection.write(bytes(3000))
    drill.out()
    assert drill.until_timer() < SECOND
    drill.out()
    drill.inject(".", 1, 3001)
    assert drill.connection.poll_at() is None


# --- a timeout for nothing ---

STAMPED = Config(window_scaling=False, congestion="newreno")


def paused(answer: int) -> Drill:
    """Nine segments are out, two timeouts have come, and now an ACK that echoes the timestamp ``answer``."""
    drill = Drill(STAMPED)
    drill.established(sack_permitted=True, round_trip=ROUND_TRIP, timestamps=(1, 0))
    drill.inject(".", 1, 1, timestamps=(2, drill.now // MILLISECOND & 0xFFFFFFFF))
    drill.connection.write(bytes(9000))
    drill.out()
    stamps = [segment.timestamps[0] for segment in drill.sent if segment.timestamps is not None]
    for _ in range(3):  # the probe and two timeouts
        drill.until_timer()
        drill.out()
        stamps += [segment.timestamps[0] for segment in drill.sent if segment.timestamps is not None]
    drill.wait(ROUND_TRIP)
    drill.inject(".", 1, 1001, timestamps=(3, stamps[answer]))
    return drill


def test_an_answer_to_what_was_sent_before_the_timeout_takes_it_back() -> None:
    drill = paused(0)
    assert drill.connection.sender.congestion.cwnd >= 9000
    drill.expect()
    drill.inject(".", 1, 9001, timestamps=(4, 0))
    drill.expect()
    assert drill.connection.poll_at() is None


def test_an_answer_to_what_was_sent_again_does_not() -> None:
    drill = paused(-1)
    assert drill.connection.sender.congestion.cwnd <= 2000
    assert drill.octets_sent() > 0


def test_a_probe_waits_ten_milliseconds_at_least() -> None:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=MILLISECOND)
    drill.connection.write(bytes(3000))
    drill.out()
    assert drill.until_timer() == 10 * MILLISECOND


def test_without_timestamps_a_duplicate_takes_the_timeout_back() -> None:
    drill = flight(6)
    cwnd = drill.connection.sender.congestion.cwnd
    for _ in range(2):  # the probe and the timeout
        drill.until_timer()
        drill.out()
    drill.expect()
    assert drill.connection.sender.congestion.cwnd == 1000
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 2001)  # for what was sent before
    drill.inject(".", 1, 6001, sack=((1, 1001),))  # for what was sent again
    assert drill.connection.sender.congestion.cwnd >= cwnd
    drill.expect()
    assert drill.connection.poll_at() is None


def test_a_second_timeout_is_not_taken_back_by_the_duplicate_of_the_first() -> None:
    drill = flight(6)
    for _ in range(3):  # the probe and two timeouts
        drill.until_timer()
        drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 1001, sack=((1, 1001),))
    assert drill.connection.sender.congestion.cwnd <= 2000
    drill.inject(".", 1, 1001, sack=((1, 1001),))
    assert drill.connection.sender.congestion.cwnd == 10_000
