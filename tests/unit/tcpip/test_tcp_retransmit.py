"""Timeouts and, without SACK, duplicate ACKs (RFC 6298, RFC 5681), as a scripted peer sees them."""

from typing import Literal

import msgspec
import pytest

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Aborted, Config
from tests.unit.tcpip.drill import PLAIN, Drill

SACK = Config(timestamps=False, window_scaling=False)


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
