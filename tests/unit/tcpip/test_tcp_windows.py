"""Windows in both directions and their probes, as a scripted peer sees them."""

import itertools

import pytest

from guestnet.core.time import SECOND
from guestnet.tcpip.tcp import Aborted, Config
from tests.unit.tcpip.drill import Drill


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


def test_what_is_acknowledged_makes_send_room() -> None:
    drill = Drill(Config(send_buffer=4000, sack=False)).established()
    drill.connection.write(bytes(4000))
    drill.out()
    assert drill.connection.send_room == 0
    drill.inject(".", 1, 1001)
    assert drill.connection.send_room == 1000


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
