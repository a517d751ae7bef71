"""When data is acknowledged, as a scripted peer sees it."""

import msgspec

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
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
    assert drill.connection.readable == 10_000
    assert drill.events() == []


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
