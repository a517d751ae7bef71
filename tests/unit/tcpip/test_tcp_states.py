"""RFC 9293 3.10.7, state by state: what a segment does that does not belong to the plan.

Every state is reached by a real exchange. In all of them our data ends at 4 (three octets, of which the peer
has seen all) and the peer's next octet is 4; FINs count as one more.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from guestnet.tcpip.tcp import Closed, Reset, State
from tests.unit.tcpip.drill import Drill

WINDOW = 65535


def opened() -> Drill:
    """ESTABLISHED, after three octets each way."""
    drill = Drill().established()
    drill.connection.write(b"abc")
    drill.out()
    drill.inject("P.", 1, 4, b"xyz")
    drill.now += 40_000_000
    drill.connection.on_timer(drill.now)
    drill.out()
    drill.read_all()
    drill.events()
    return drill


def syn_sent() -> Drill:
    drill = Drill().connect()
    drill.expect("S 0:0")
    return drill


def syn_received() -> Drill:
    drill = Drill().listen()
    drill.connection.accept(drill.now)
    drill.expect("S. 0:0 ack 1")
    return drill


def fin_wait_1() -> Drill:
    drill = opened()
    drill.connection.shutdown()
    drill.expect("F. 4:4 ack 4")
    return drill


def fin_wait_2() -> Drill:
    drill = fin_wait_1()
    drill.inject(".", 4, 5)
    return drill


def close_wait() -> Drill:
    drill = opened()
    drill.inject("F.", 4, 4)
    drill.out()
    drill.events()
    return drill


def closing() -> Drill:
    drill = fin_wait_1()
    drill.inject("F.", 4, 4)
    drill.out()
    drill.events()
    return drill


def last_ack() -> Drill:
    drill = close_wait()
    drill.connection.shutdown()
    drill.expect("F. 4:4 ack 5")
    return drill


def time_wait() -> Drill:
    drill = fin_wait_2()
    drill.inject("F.", 4, 5)
    drill.out()
    drill.events()
    return drill


class Where(NamedTuple):
    """A state, our next sequence number and the peer's."""

    reach: Callable[[], Drill]
    state: State
    ours: int
    theirs: int


SYNCHRONIZED = [
    Where(opened, State.ESTABLISHED, 4, 4),
    Where(fin_wait_1, State.FIN_WAIT_1, 5, 4),
    Where(fin_wait_2, State.FIN_WAIT_2, 5, 4),
    Where(close_wait, State.CLOSE_WAIT, 4, 5),
    Where(closing, State.CLOSING, 5, 5),
    Where(last_ack, State.LAST_ACK, 5, 5),
    Where(time_wait, State.TIME_WAIT, 5, 5),
]
each = pytest.mark.parametrize("where", SYNCHRONIZED, ids=lambda where: where.state.name)


def answer(where: Where) -> str:
    """The bare acknowledgment that says where both sides are."""
    return f". {where.ours}:{where.ours} ack {where.theirs}"


def stays(where: Where, drill: Drill) -> None:
    """Nothing has happened to the connection."""
    assert drill.state() is where.state
    assert drill.events() == []


@each
def test_every_state_is_what_it_is_called(where: Where) -> None:
    stays(where, where.reach())


@each
def test_a_reset_at_the_next_number_ends_all_but_time_wait(where: Where) -> None:
    drill = where.reach()
    drill.inject("R", where.theirs)
    drill.expect()
    if where.state is State.TIME_WAIT:  # RFC 1337
        stays(where, drill)
    else:
        assert drill.state() is State.CLOSED
        assert drill.events() == [Reset()]
        assert drill.connection.poll_at() is None


@each
@pytest.mark.parametrize("offset", [1, WINDOW - 8])
def test_a_reset_elsewhere_in_the_window_is_challenged(where: Where, offset: int) -> None:
    drill = where.reach()
    drill.inject("R", where.theirs + offset)
    drill.expect(answer(where))
    stays(where, drill)


@each
@pytest.mark.parametrize("offset", [-1, -1000, WINDOW + 10, 1 << 30])
def test_a_reset_outside_of_the_window_is_nothing(where: Where, offset: int) -> None:
    drill = where.reach()
    drill.inject("R.", where.theirs + offset, where.ours)
    drill.expect()
    stays(where, drill)


@each
@pytest.mark.parametrize("offset", [0, 1, 1000, -1])
def test_a_syn_is_challenged(where: Where, offset: int) -> None:
    drill = where.reach()
    drill.inject("S", where.theirs + offset)
    drill.expect(answer(where))
    stays(where, drill)


@each
def test_an_acknowledgment_of_what_was_not_sent_is_challenged(where: Where) -> None:
    drill = where.reach()
    drill.inject(".", where.theirs, where.ours + 1)
    drill.expect(answer(where))
    stays(where, drill)


@each
def test_a_segment_without_acknowledgment_is_dropped(where: Where) -> None:
    drill = where.reach()
    drill.inject("P", where.theirs, None, b"data")
    drill.expect()
    stays(where, drill)
    assert drill.connection.readable == 0


@each
def test_data_beyond_the_window_is_answered_and_not_taken(where: Where) -> None:
    drill = where.reach()
    drill.inject("P.", where.theirs + WINDOW, 4, b"data")
    drill.expect(answer(where))
    stays(where, drill)
    assert drill.connection.readable == 0


@each
def test_a_fin_beyond_a_gap_changes_nothing_yet(where: Where) -> None:
    drill = where.reach()
    drill.inject("F.", where.theirs + 100, 4)
    drill.out()
    stays(where, drill)


@pytest.mark.parametrize("where", SYNCHRONIZED[3:6], ids=lambda where: where.state.name)
def test_after_its_fin_a_peer_says_nothing_that_counts(where: Where) -> None:
    drill = where.reach()
    drill.inject("P.", where.theirs, 4, b"more")
    drill.out()
    stays(where, drill)
    assert drill.connection.readable == 0


@pytest.mark.parametrize("where", SYNCHRONIZED[3:], ids=lambda where: where.state.name)
def test_a_fin_that_comes_again_is_acknowledged_again(where: Where) -> None:
    drill = where.reach()
    drill.inject("F.", where.theirs - 1, 4)
    drill.expect(answer(where))
    stays(where, drill)


def test_a_fin_that_comes_again_begins_time_wait_anew() -> None:
    drill = time_wait()
    drill.wait(59_000_000_000)
    drill.inject("F.", 4, 5)
    drill.expect(". 5:5 ack 5")
    drill.wait(59_000_000_000)
    assert drill.state() is State.TIME_WAIT
    assert drill.until_timer() == 1_000_000_000
    assert drill.state() is State.CLOSED
    assert drill.events() == [Closed()]


# --- SYN-SENT (3.10.7.3) ---


@pytest.mark.parametrize("ack", [0, 2, -1, 1 << 30])
def test_syn_sent_resets_an_acknowledgment_of_anything_but_its_syn(ack: int) -> None:
    drill = syn_sent()
    drill.inject(".", 1, ack)
    drill.expect(f"R {ack}:{ack}")
    assert drill.state() is State.SYN_SENT


@pytest.mark.parametrize(("flags", "ack"), [("R", None), ("R.", 0), ("R.", 2)])
def test_syn_sent_believes_only_a_reset_that_acknowledges_its_syn(flags: str, ack: int | None) -> None:
    drill = syn_sent()
    drill.inject(flags, 1, ack)
    drill.expect()
    assert drill.state() is State.SYN_SENT
    drill.inject("R.", 0, 1)
    drill.expect()
    assert drill.events() == [Reset()]


def test_syn_sent_ignores_a_bare_acknowledgment_of_its_syn() -> None:
    drill = syn_sent()
    drill.inject(".", 1, 1)
    drill.expect()
    assert drill.state() is State.SYN_SENT


# --- SYN-RECEIVED (3.10.7.4) ---


@pytest.mark.parametrize("ack", [0, 2, -5])
def test_syn_received_resets_an_acknowledgment_of_anything_but_its_syn(ack: int) -> None:
    drill = syn_received()
    drill.inject(".", 1, ack)
    drill.expect(f"R {ack}:{ack}")
    assert drill.state() is State.SYN_RECEIVED


def test_syn_received_is_ended_by_a_reset_at_the_next_number_alone() -> None:
    drill = syn_received()
    drill.inject("R", 2)
    drill.expect(". 1:1 ack 1")
    drill.inject("R", 0)
    drill.expect()
    assert drill.state() is State.SYN_RECEIVED
    drill.inject("R", 1)
    assert drill.events() == [Reset()]


def test_syn_received_takes_data_and_fin_with_the_acknowledgment() -> None:
    drill = syn_received()
    drill.inject("FP.", 1, 1, b"all")
    assert drill.read_all() == b"all"
    assert drill.state() is State.CLOSE_WAIT
    drill.expect(". 1:1 ack 5")


def test_syn_received_is_not_ended_by_an_acknowledgment_of_a_syn_that_is_still_to_be_sent() -> None:
    drill = Drill().listen()
    drill.connection.accept(drill.now)
    drill.inject("S.", 0, 0)
    assert drill.state() is State.SYN_RECEIVED
    drill.expect("S. 0:0 ack 1")


# --- CLOSED (3.10.7.1) ---


def test_closed_resets_all_but_resets() -> None:
    drill = opened()
    drill.connection.abort()
    drill.expect("R. 4:4 ack 4")
    drill.inject("P.", 4, 7, b"late")
    drill.expect("R 7:7")
    drill.inject("S", 100)
    drill.expect("R. 16:16 ack 101")
    drill.inject("R", 4)
    drill.expect()
