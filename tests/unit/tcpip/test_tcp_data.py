"""Data, acknowledgments, windows and losses, as a scripted peer sees it."""

import itertools
from typing import Literal

import msgspec
import pytest

from harness.core.time import MILLISECOND, SECOND
from harness.tcpip.tcp import Aborted, Config, DataReadable, SendRoom
from harness.tcpip.tcp.outgoing import BATCH
from tests.unit.tcpip.drill import PLAIN, Drill

SACK = Config(timestamps=False, window_scaling=False)


def test_every_second_full_segment_is_acknowledged_at_once() -> None:
    drill = Drill().established()
    drill.inject(".", 1, 1, bytes(1000))
    drill.expect()
    drill.inject(".", 1001, 1, bytes(1000))
    drill.expect(". 1:1 ack 2001")
    drill.inject(".", 2001, 1, bytes(1000))
    drill.expect()
    assert drill.until_timer() == 40 * MILLISECOND
    drill.expect(". 1:1 ack 3001")


def test_the_first_segments_are_not_delayed() -> None:
    drill = Drill(quick_acks=2).established()
    drill.inject("P.", 1, 1, b"a")
    drill.expect(". 1:1 ack 2")
    drill.inject("P.", 2, 1, b"b")
    drill.expect(". 1:1 ack 3")
    drill.inject("P.", 3, 1, b"c")
    drill.expect()
    assert drill.until_timer() == 40 * MILLISECOND


def test_the_first_segments_may_wait_a_little_for_an_answer() -> None:
    drill = Drill(msgspec.structs.replace(PLAIN, quick_delay=MILLISECOND), quick_acks=1).established()
    drill.inject("P.", 1, 1, b"request")
    drill.expect()
    drill.connection.write(b"response")
    drill.expect("P. 1:9 ack 8")
    drill.inject("P.", 8, 9, b"request")
    drill.expect()
    assert drill.until_timer() == 40 * MILLISECOND
    drill.expect(". 9:9 ack 15")


def test_without_an_answer_the_first_acknowledgment_comes_soon() -> None:
    drill = Drill(msgspec.structs.replace(PLAIN, quick_delay=MILLISECOND), quick_acks=1).established()
    drill.inject("P.", 1, 1, b"half a request")
    drill.expect()
    assert drill.until_timer() == MILLISECOND
    drill.expect(". 1:1 ack 15")


def test_the_acknowledgment_of_a_fin_may_wait_for_ours() -> None:
    drill = Drill(msgspec.structs.replace(PLAIN, quick_delay=MILLISECOND)).established()
    drill.inject("F.", 1, 1)
    drill.expect()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 2")


def test_a_fin_that_answers_ours_is_acknowledged_at_once() -> None:
    drill = Drill(msgspec.structs.replace(PLAIN, quick_delay=MILLISECOND)).established()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 1")
    drill.inject("F.", 1, 2)
    drill.expect(". 2:2 ack 2")


def test_a_small_request_makes_no_window_update() -> None:
    config = Config(timestamps=False, sack=False, receive_buffer=1 << 20)
    drill = Drill(config).established(window_scale=7)
    drill.inject("P.", 1, 1, b"request")
    assert drill.read_all() == b"request"
    drill.expect()


def test_an_acknowledgment_rides_on_data() -> None:
    drill = Drill().established()
    drill.inject("P.", 1, 1, b"request")
    drill.connection.write(b"response")
    drill.expect("P. 1:9 ack 8")
    drill.inject(".", 8, 9)
    assert drill.connection.poll_at() is None


def test_a_batch_is_acknowledged_once() -> None:
    drill = Drill().established()
    for at in range(10):
        drill.inject(".", 1 + at * 1000, 1, bytes(1000))
    drill.expect(". 1:1 ack 10001")
    assert drill.events() == [DataReadable()]


def test_out_of_order_data_is_reported_at_once_and_kept() -> None:
    drill = Drill(SACK).established(sack_permitted=True)
    drill.inject(".", 11, 1, b"bbbbbbbbbb")
    drill.expect(". 1:1 ack 1 sack 11:21")
    drill.inject(".", 31, 1, b"dddddddddd")
    drill.expect(". 1:1 ack 1 sack 31:41 sack 11:21")
    drill.inject(".", 21, 1, b"cccccccccc")
    drill.expect(". 1:1 ack 1 sack 11:41")
    drill.inject(".", 1, 1, b"aaaaaaaaaa")
    drill.expect(". 1:1 ack 41")
    assert drill.read_all() == b"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"


def test_each_segment_out_of_order_gets_its_duplicate_acknowledgment() -> None:
    drill = Drill().established()
    for at in range(1, 5):
        drill.inject(".", 1 + at * 1000, 1, bytes(1000))
    drill.expect(*[". 1:1 ack 1"] * 4)


def test_data_seen_before_is_acknowledged_again() -> None:
    drill = Drill().established()
    drill.inject("P.", 1, 1, b"hello")
    drill.until_timer()
    drill.expect(". 1:1 ack 6")
    drill.inject("P.", 1, 1, b"hello")
    drill.expect(". 1:1 ack 6")
    drill.inject("P.", 1, 1, b"hello, world")
    assert drill.read_all() == b"hello, world"


def test_data_beyond_the_window_is_cut() -> None:
    drill = Drill(Config(receive_buffer=10, sack=False)).established()
    drill.inject("P.", 1, 1, b"0123456789abcdef")
    drill.expect(". 1:1 ack 11")
    assert drill.sent[0].window == 0
    assert drill.connection.readable == 10
    drill.inject("P.", 11, 1, b"abcdef")
    drill.expect(". 1:1 ack 11")
    assert drill.connection.readable == 10


def test_the_window_opens_only_for_what_was_consumed() -> None:
    drill = Drill(Config(receive_buffer=4000, sack=False)).established()
    for at in range(4):
        drill.inject(".", 1 + at * 1000, 1, bytes(1000))
    drill.out()
    assert drill.sent[-1].window == 0
    runs = drill.connection.read(4000)
    drill.expect()
    drill.connection.consumed(sum(map(len, runs)))
    drill.expect(". 1:1 ack 4001")
    assert drill.sent[-1].window == 4000


def test_reading_is_not_told_where_the_window_is_as_large_as_it_can_be() -> None:
    drill = Drill(Config(receive_buffer=1 << 20, timestamps=False, sack=False)).established()
    drill.inject("P.", 1, 1, b"unscaled")
    drill.wait(0)
    drill.read_all()
    drill.expect()


def test_a_silly_window_is_not_advertised() -> None:
    drill = Drill(Config(receive_buffer=4000, sack=False)).established()
    for at in range(4):
        drill.inject(".", 1 + at * 1000, 1, bytes(1000))
    drill.out()
    drill.connection.read(4000)
    drill.connection.consumed(10)
    drill.expect()
    drill.inject(".", 4001, 1)
    drill.inject(".", 4001, 1, b"x")
    drill.out()
    assert all(segment.window == 0 for segment in drill.sent)


def test_more_cannot_be_consumed_than_was_read() -> None:
    drill = Drill().established()
    drill.inject("P.", 1, 1, b"hello")
    drill.connection.read(2)
    with pytest.raises(ValueError, match="3 octets consumed where 2 were read"):
        drill.connection.consumed(3)


def test_the_peers_window_is_respected() -> None:
    drill = Drill().established()
    drill.inject(".", 1, 1, win=2500)
    drill.connection.write(bytes(5000))
    drill.expect(". 1:1001 ack 1", ". 1001:2001 ack 1")
    drill.inject(".", 1, 2001, win=2500)
    drill.expect(". 2001:3001 ack 1", ". 3001:4001 ack 1")


def test_a_scaled_window() -> None:
    drill = Drill(Config(sack=False, timestamps=False)).established(window_scale=2)
    drill.inject(".", 1, 1, win=1000)
    drill.connection.write(bytes(10000))
    assert sum(len(segment.payload) for segment in drill.out()) == 4000


def test_more_than_the_send_room_is_refused() -> None:
    drill = Drill(Config(send_buffer=100)).established()
    drill.connection.write(bytes(60))
    assert drill.connection.send_room == 40
    with pytest.raises(ValueError, match="41 octets written where 40"):
        drill.connection.write(bytes(41))


def test_send_room_is_told_when_half_is_free() -> None:
    drill = Drill(Config(send_buffer=4000, sack=False)).established()
    drill.connection.write(bytes(4000))
    drill.out()
    drill.inject(".", 1, 1001)
    assert drill.events() == []
    drill.inject(".", 1, 2001)
    assert drill.events() == [SendRoom()]
    drill.inject(".", 1, 4001)
    assert drill.events() == []


def test_small_writes_are_sent_at_once() -> None:
    drill = Drill().established()
    for at in range(1, 4):
        drill.connection.write(b"x")
        drill.expect(f"P. {at}:{at + 1} ack 1")


def test_a_closed_window_is_probed_until_it_opens() -> None:
    drill = Drill().established()
    drill.inject(".", 1, 1, win=0)
    drill.connection.write(b"hello")
    drill.expect()
    waits = []
    for _ in range(5):
        waits.append(drill.until_timer())
        drill.expect(". 1:2 ack 1")
        drill.inject(".", 1, 1, win=0)
        drill.expect()
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(waits))
    drill.inject(".", 1, 1, win=1000)
    drill.expect(". 1:2 ack 1", "P. 2:6 ack 1")
    drill.inject(".", 1, 6)
    assert drill.connection.poll_at() is None


def test_a_probe_that_is_taken_counts() -> None:
    drill = Drill().established()
    drill.inject(".", 1, 1, win=0)
    drill.connection.write(b"hello")
    drill.out()
    drill.until_timer()
    drill.expect(". 1:2 ack 1")
    drill.inject(".", 1, 2, win=0)
    drill.expect()
    drill.until_timer()
    drill.expect(". 2:3 ack 1")
    drill.inject(".", 1, 2, win=1000)
    drill.expect(". 2:3 ack 1", "P. 3:6 ack 1")


def test_a_window_closed_for_a_day_is_no_reason_to_give_up() -> None:
    drill = Drill(Config(retries=3, sack=False)).established()
    drill.inject(".", 1, 1, win=0)
    drill.connection.write(b"hello")
    drill.out()
    end = drill.now + 86400 * SECOND
    while drill.now < end:
        assert drill.until_timer() <= 60 * SECOND
        drill.expect(". 1:2 ack 1")
        drill.inject(".", 1, 1, win=0)
    assert drill.events() == []


def test_probes_without_any_answer_are_given_up() -> None:
    drill = Drill(Config(retries=3, sack=False)).established()
    drill.inject(".", 1, 1, win=0)
    drill.connection.write(b"hello")
    drill.out()
    for _ in range(4):
        drill.until_timer()
        drill.out()
    [aborted] = drill.events()
    assert isinstance(aborted, Aborted)
    assert "window" in aborted.reason


def test_a_window_too_small_for_a_segment_is_used_after_a_while() -> None:
    drill = Drill().established()
    drill.inject(".", 1, 1, win=300)
    drill.connection.write(bytes(1000))
    drill.expect()
    drill.until_timer()
    drill.expect(". 1:301 ack 1")


def test_the_timeout_doubles_and_ends() -> None:
    drill = Drill(Config(retries=4, sack=False)).established()
    drill.connection.write(b"hello")
    drill.expect("P. 1:6 ack 1")
    waits = []
    for _ in range(4):
        waits.append(drill.until_timer())
        drill.expect("P. 1:6 ack 1")
    assert [wait // waits[0] for wait in waits] == [1, 2, 4, 8]
    drill.until_timer()
    drill.expect()
    assert isinstance(drill.events()[0], Aborted)


def test_karn_takes_no_sample_of_what_was_sent_twice() -> None:
    drill = Drill().established()
    drill.connection.write(b"hello")
    drill.out()
    first = drill.until_timer()
    drill.out()
    drill.wait(MILLISECOND)
    # Were this an answer to the second sending, the round trip would be 1 ms.
    drill.inject(".", 1, 6)
    drill.connection.write(b"more")
    drill.out()
    assert drill.until_timer() == 2 * first


def test_a_sample_ends_the_backoff() -> None:
    drill = Drill().established()
    drill.connection.write(b"hello")
    drill.out()
    drill.until_timer()
    drill.out()
    drill.inject(".", 1, 6)
    drill.connection.write(b"more")
    drill.out()
    drill.wait(MILLISECOND)
    drill.inject(".", 1, 10)
    drill.connection.write(b"again")
    drill.out()
    assert drill.until_timer() == 200 * MILLISECOND


def flight(config: Config = PLAIN, segments: int = 8) -> Drill:
    drill = Drill(config).established(sack_permitted=config.sack)
    drill.connection.write(bytes(segments * 1000))
    assert len(drill.out()) == segments
    return drill


def test_three_duplicates_make_a_fast_retransmit() -> None:
    drill = flight()
    drill.inject(".", 1, 1)
    drill.inject(".", 1, 1)
    drill.expect()
    drill.inject(".", 1, 1)
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 8001)
    drill.expect()
    assert drill.connection.poll_at() is None


def test_a_partial_acknowledgment_sends_the_next_hole() -> None:
    drill = flight()
    for _ in range(3):
        drill.inject(".", 1, 1)
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 3001)
    drill.expect(". 3001:4001 ack 1")
    drill.inject(".", 1, 8001)
    drill.expect()


def test_limited_transmit_sends_new_data_for_the_first_duplicates() -> None:
    drill = Drill().established()
    drill.connection.write(bytes(20000))
    sent = len(drill.out())
    assert sent == 10
    drill.inject(".", 1, 1)
    drill.expect(". 10001:11001 ack 1")
    drill.inject(".", 1, 1)
    drill.expect(". 11001:12001 ack 1")


def test_a_window_update_is_no_duplicate() -> None:
    drill = flight()
    for window in (60000, 50000, 40000, 30000):
        drill.inject(".", 1, 1, win=window)
    drill.expect()


def test_sack_of_what_is_not_in_flight_is_ignored() -> None:
    drill = flight(SACK)
    for _ in range(5):
        drill.inject(".", 1, 1, sack=((8001, 9001), (20000, 30000), (500, 400), (-100, -50)))
    drill.expect()


def test_after_a_timeout_everything_is_sent_again_slowly() -> None:
    drill = flight(segments=4)
    drill.until_timer()
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 1001)
    drill.expect("P. 3001:4001 ack 1")  # the probe of F-RTO
    drill.inject(".", 1, 1001)
    drill.expect(". 1001:2001 ack 1", ". 2001:3001 ack 1")
    drill.inject(".", 1, 2001)
    drill.expect()
    drill.inject(".", 1, 4001)
    assert drill.connection.poll_at() is None


@pytest.mark.parametrize(("control", "after_loss"), [("newreno", 5), ("cubic", 7)])
def test_the_congestion_window_is_reduced_by_a_loss_and_one_after_a_timeout(
    control: Literal["cubic", "newreno"], after_loss: int
) -> None:
    drill = flight(msgspec.structs.replace(PLAIN, congestion=control), segments=10)
    for _ in range(3):
        drill.inject(".", 1, 1)
    drill.out()
    drill.inject(".", 1, 10001)
    drill.connection.write(bytes(20000))
    assert len(drill.out()) == after_loss
    drill.until_timer()
    assert len(drill.out()) == 1


def test_an_old_timestamp_drops_the_segment() -> None:
    drill = Drill(Config(sack=False)).established(timestamps=(100, 0))
    drill.inject(".", 1, 1, timestamps=(100, 1))
    drill.inject("P.", 1, 1, b"new", timestamps=(200, 1))
    drill.out()
    drill.inject("P.", 4, 1, b"old", timestamps=(150, 1))
    drill.expect(". 1:1 ack 4")
    assert drill.read_all() == b"new"
    drill.inject("P.", 4, 1, b"none")
    assert drill.connection.readable == 0


def test_our_timestamps_echo_the_peers() -> None:
    drill = Drill(Config(sack=False)).established(timestamps=(100, 0))
    drill.inject(".", 1, 1, timestamps=(110, 1))
    drill.inject("P.", 1, 1, b"x", timestamps=(120, 1))
    drill.until_timer()
    [ack] = drill.out()
    assert ack.timestamps is not None
    assert ack.timestamps[1] == 120


def test_urgent_data_stays_in_the_stream() -> None:
    drill = Drill().established()
    drill.inject("PU.", 1, 1, b"interrupt!", urgent=10)
    assert drill.connection.readable == 10
    assert drill.read_all() == b"interrupt!"


STRIP = Config(timestamps=False, sack=False, window_scaling=False, urgent="strip", receive_buffer=100)


def test_the_urgent_octet_can_be_taken_out() -> None:
    drill = Drill(STRIP).established()
    drill.inject("PU.", 1, 1, b"interrupt!", urgent=10)
    assert drill.connection.readable == 9
    assert drill.read_all() == b"interrupt"
    drill.inject("PU.", 11, 1, b"!", urgent=1)
    assert drill.connection.readable == 0
    assert drill.read_all() == b""
    drill.inject("P.", 12, 1, b"more")
    drill.out()
    assert drill.read_all() == b"more"
    assert drill.connection.receiver.held == 0


def test_an_urgent_pointer_may_be_ahead_of_its_octet_and_come_twice() -> None:
    drill = Drill(STRIP).established()
    drill.inject("U.", 1, 1, b"ab", urgent=4)
    assert drill.read_all() == b"ab"
    drill.inject("U.", 3, 1, b"c", urgent=2)
    drill.inject("PU.", 4, 1, b"!de!f", urgent=4)
    drill.inject("PU.", 4, 1, b"!de!f", urgent=4)
    assert drill.connection.readable == 4
    assert [bytes(run) for run in drill.connection.read(2)] == [b"c", b"d"]
    drill.connection.consumed(2)
    assert drill.read_all() == b"ef"
    assert drill.connection.receiver.held == 0


@pytest.mark.parametrize("urgent", [0, 200, 65535])
def test_an_urgent_pointer_to_nowhere_takes_nothing_out(urgent: int) -> None:
    drill = Drill(STRIP).established()
    drill.inject("PU.", 1, 1, b"hello", urgent=urgent)
    assert drill.read_all() == b"hello"


def test_more_urgent_octets_than_are_kept_in_mind_stay_in_the_stream() -> None:
    drill = Drill(STRIP).established()
    for at in range(1, 100):
        drill.inject("PU.", at, 1, b"!", urgent=1)
    assert drill.connection.readable == 99 - 64
    assert drill.read_all() == b"!" * 35


def test_a_long_batch_is_returned_in_parts() -> None:
    config = Config(send_buffer=4 * BATCH, sack=False, timestamps=False)
    drill = Drill(config).established(window_scale=7)
    drill.connection.sender.congestion.cwnd = 4 * BATCH
    drill.inject(".", 1, 1)
    drill.connection.write(bytes(3 * BATCH))
    first = drill.connection.transmit(drill.now)
    assert BATCH - 2000 < sum(len(octets) - 20 for octets in first) <= BATCH
    assert drill.connection.poll_at() == drill.now
    assert len(first) + len(drill.out()) == -(-3 * BATCH // 1000)
