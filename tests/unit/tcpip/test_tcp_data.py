"""Timestamps (RFC 7323), urgent data (RFC 6093) and long batches, as a scripted peer sees them."""

import pytest

from guestnet.tcpip.tcp import Config
from guestnet.tcpip.tcp.outgoing import BATCH
from tests.unit.tcpip.drill import Drill


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
