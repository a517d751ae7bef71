"""Keepalives in both directions (RFC 9293 3.8.4), and windows that close over what is in flight."""

import pytest

from guestnet.core.time import SECOND
from guestnet.tcpip.tcp import Aborted, Config, State
from tests.unit.tcpip.drill import Drill

HOUR = 3600 * SECOND
ALIVE = Config(
    sack=False, timestamps=False, keepalive=2 * HOUR, keepalive_interval=75 * SECOND, keepalive_probes=3
)


def test_an_idle_connection_lives_for_ever_and_says_nothing() -> None:
    drill = Drill().established()
    assert drill.connection.poll_at() is None
    drill.wait(1000 * HOUR)
    drill.expect()
    assert drill.state() is State.ESTABLISHED


def test_a_silent_peer_is_asked_and_answers() -> None:
    drill = Drill(ALIVE).established()
    for _ in range(3):
        assert drill.until_timer() == 2 * HOUR
        drill.expect(". 0:0 ack 1")
        drill.inject(".", 1, 1)
        drill.expect()
    assert drill.events() == []


def test_a_peer_that_is_gone_is_given_up() -> None:
    drill = Drill(ALIVE).established()
    drill.until_timer()
    drill.expect(". 0:0 ack 1")
    for _ in range(2):
        assert drill.until_timer() == 75 * SECOND
        drill.expect(". 0:0 ack 1")
    assert drill.until_timer() == 75 * SECOND
    drill.expect("R. 1:1 ack 1")
    [aborted] = drill.events()
    assert isinstance(aborted, Aborted)
    assert "3 keepalives" in aborted.reason
    assert drill.connection.poll_at() is None


def test_a_peer_that_comes_back_without_the_connection_resets_it() -> None:
    drill = Drill(ALIVE).established()
    drill.until_timer()
    drill.out()
    drill.inject("R", 1)
    assert drill.state() is State.CLOSED


def test_anything_heard_puts_the_keepalive_off() -> None:
    drill = Drill(ALIVE).established()
    drill.wait(HOUR)
    drill.inject("P.", 1, 1, b"x")
    drill.until_timer()
    drill.out()
    drill.now += HOUR
    drill.connection.on_timer(drill.now)
    drill.expect()
    assert drill.until_timer() < HOUR
    drill.expect(". 0:0 ack 2")


def test_a_half_closed_connection_is_kept_too() -> None:
    drill = Drill(ALIVE).established()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 1")
    drill.inject(".", 1, 2)
    assert drill.until_timer() == 2 * HOUR
    drill.expect(". 1:1 ack 1")
    drill.inject(".", 1, 2)
    assert drill.state() is State.FIN_WAIT_2


def test_what_is_in_flight_is_guarded_by_its_own_timer() -> None:
    config = Config(sack=False, timestamps=False, keepalive=SECOND // 10, retries=2)
    drill = Drill(config).established()
    drill.connection.write(b"hello")
    drill.expect("P. 1:6 ack 1")
    while drill.state() is State.ESTABLISHED:
        drill.until_timer()
        assert all(segment.payload == b"hello" for segment in drill.out())
    [aborted] = drill.events()
    assert isinstance(aborted, Aborted)
    assert "data" in aborted.reason


@pytest.mark.parametrize("garbage", [b"", b"\0"])
def test_the_guests_keepalives_are_answered(garbage: bytes) -> None:
    drill = Drill().established()
    drill.inject("P.", 1, 1, b"hello")
    drill.until_timer()
    drill.out()
    for _ in range(3):
        drill.wait(HOUR)
        drill.inject(".", 5, 1, garbage)
        drill.expect(". 1:1 ack 6")
    assert drill.read_all() == b"hello"


def test_a_window_closed_over_what_is_in_flight_and_opened_again_is_used_soon() -> None:
    drill = Drill().established()
    drill.connection.write(bytes(3000))
    drill.out()
    for _ in range(8):
        drill.until_timer()
        drill.expect(". 1:1001 ack 1")
        drill.inject(".", 1, 1, win=0)
    assert (drill.connection.poll_at() or 0) - drill.now > 30 * SECOND
    drill.inject(".", 1, 1, win=5000)
    drill.out()
    assert drill.until_timer() < SECOND
    drill.out()
    drill.inject(".", 1, 3001, win=5000)
    assert drill.connection.poll_at() is None
