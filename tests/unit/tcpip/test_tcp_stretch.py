"""Stretched acknowledgments, for peers to whom each one is dear: ``Config.stretch_ack``."""

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from tests.unit.tcpip.drill import Drill

KIB = 1024
STRETCHED = Config(
    timestamps=False, sack=False, receive_buffer=1024 * KIB, stretch_ack=8 * KIB, stretch_after=4 * KIB
)


def in_bulk() -> tuple[Drill, int]:
    """A peer that has sent so much that its ACKs are stretched, and the next sequence number."""
    drill = Drill(STRETCHED).established(window_scale=7)
    for number in range(5):
        drill.inject(".", 1 + number * KIB, 1, bytes(KIB))
        drill.out()
        drill.read_all()
    drill.until_timer()
    drill.out()
    return drill, 1 + 5 * KIB


def test_many_segments_are_acknowledged_at_once() -> None:
    drill, seq = in_bulk()
    for number in range(7):
        drill.inject(".", seq + number * KIB, 1, bytes(KIB))
        drill.expect()
    drill.inject(".", seq + 7 * KIB, 1, bytes(KIB))
    drill.expect(f". 1:1 ack {seq + 8 * KIB}")


def test_fewer_wait_three_milliseconds_and_no_longer() -> None:
    drill, seq = in_bulk()
    drill.inject(".", seq, 1, bytes(KIB))
    drill.inject(".", seq + KIB, 1, bytes(KIB))
    drill.expect()
    assert drill.connection.poll_at() == drill.now + 3 * MILLISECOND
    drill.until_timer()
    drill.expect(f". 1:1 ack {seq + 2 * KIB}")


def test_a_gap_is_told_at_once() -> None:
    drill, seq = in_bulk()
    drill.inject(".", seq, 1, bytes(KIB))
    drill.inject(".", seq + 2 * KIB, 1, bytes(KIB))
    drill.expect(f". 1:1 ack {seq + KIB}")


def test_a_peer_in_slow_start_gets_every_acknowledgment() -> None:
    drill = Drill(STRETCHED).established(window_scale=7)
    drill.inject(".", 1, 1, bytes(KIB))
    drill.inject(".", 1 + KIB, 1, bytes(KIB))
    drill.expect(f". 1:1 ack {1 + 2 * KIB}")
