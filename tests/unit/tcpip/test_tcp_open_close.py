"""Opening, refusing, closing and resetting, as a scripted peer sees it."""

import pytest

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Aborted, Closed, Config, Established, Reset, State, reset_for
from guestnet.wire import tcp
from guestnet.wire.tcp import Flags
from tests.unit.tcpip.drill import GUEST, PLAIN, SERVER, Drill


def test_nothing_is_answered_before_the_host_socket_is_connected() -> None:
    drill = Drill().listen()
    drill.expect()
    assert drill.connection.poll_at() is None
    drill.wait(10 * SECOND)
    drill.inject("S", 0, mss=1000)
    drill.expect()
    drill.connection.accept(drill.now)
    drill.expect("S. 0:0 ack 1")
    assert drill.events() == []
    drill.inject(".", 1, 1)
    drill.expect()
    assert drill.events() == [Established()]


def test_the_syn_ack_offers_only_what_the_syn_did() -> None:
    config = Config(mtu=1400)
    drill = Drill(config).listen(mss=1300)
    drill.connection.accept(drill.now)
    [syn_ack] = drill.out()
    assert (syn_ack.mss, syn_ack.window_scale, syn_ack.sack_permitted, syn_ack.timestamps) == (
        1360,
        None,
        False,
        None,
    )
    drill = Drill(config).listen(mss=1300, window_scale=7, sack_permitted=True, timestamps=(5, 0))
    drill.connection.accept(drill.now)
    [syn_ack] = drill.out()
    assert (syn_ack.mss, syn_ack.window_scale, syn_ack.sack_permitted) == (1360, 3, True)
    assert syn_ack.timestamps is not None
    assert syn_ack.timestamps[1] == 5
    assert syn_ack.window == 65535


def test_our_segments_fit_the_smaller_mss_with_their_options() -> None:
    drill = Drill(Config()).established(mss=1000, timestamps=(1, 0), window_scale=0)
    drill.inject(".", 1, 1, timestamps=(1, 0))
    drill.connection.write(bytes(2000))
    assert [len(segment.payload) for segment in drill.out()] == [988, 988, 24]


def test_a_refused_connect_is_a_reset_of_the_syn() -> None:
    drill = Drill().listen()
    drill.connection.refuse(drill.now)
    [reset] = drill.out()
    assert (reset.flags, reset.seq) == (Flags.RST | Flags.ACK, 0)
    assert drill.line(reset).endswith("ack 1")
    assert drill.events() == [Closed()]
    assert drill.state() is State.CLOSED


def test_a_guest_that_gives_up_while_we_connect() -> None:
    drill = Drill().listen()
    drill.inject("R", 1)
    assert drill.events() == [Reset()]
    drill.connection.accept(drill.now)
    drill.expect()


def test_a_guest_that_begins_anew_while_we_connect() -> None:
    drill = Drill().listen()
    drill.inject("S", 5000, mss=1000)
    drill.connection.accept(drill.now)
    drill.expect("S. 0:0 ack 5001")


def test_the_syn_ack_is_sent_again_by_timer_and_for_a_syn() -> None:
    drill = Drill().listen()
    drill.connection.accept(drill.now)
    drill.expect("S. 0:0 ack 1")
    drill.inject("S", 0, mss=1000)
    drill.expect("S. 0:0 ack 1")
    waits = []
    for _ in range(3):
        waits.append(drill.until_timer() // SECOND)
        drill.expect("S. 0:0 ack 1")
    assert waits == [1, 2, 4]


def test_a_syn_ack_without_an_answer_is_given_up() -> None:
    drill = Drill(Config(syn_retries=2)).listen()
    drill.connection.accept(drill.now)
    for _ in range(3):
        assert len(drill.out()) == 1
        drill.until_timer()
    drill.expect()
    [aborted] = drill.events()
    assert isinstance(aborted, Aborted)
    assert "SYN was sent 3 times" in aborted.reason
    assert drill.connection.poll_at() is None


def test_an_active_open() -> None:
    drill = Drill().connect()
    drill.expect("S 0:0")
    drill.inject("S.", 0, 1, mss=1000)
    drill.expect(". 1:1 ack 1")
    assert drill.events() == [Established()]


def test_an_active_open_that_is_refused() -> None:
    drill = Drill().connect()
    drill.out()
    drill.inject("R", 0)
    assert drill.events() == []
    drill.inject("R.", 0, 7)
    assert drill.events() == []
    drill.out()
    drill.inject("R.", 0, 1)
    assert drill.events() == [Reset()]


def test_a_syn_ack_of_an_old_connection_is_reset() -> None:
    drill = Drill().connect()
    drill.out()
    drill.inject("S.", 0, 777)
    drill.expect("R 777:777")
    assert drill.state() is State.SYN_SENT


def test_a_simultaneous_open() -> None:
    drill = Drill().connect()
    drill.expect("S 0:0")
    drill.inject("S", 0, mss=1000)
    drill.expect("S. 0:0 ack 1")
    drill.inject("S.", 0, 1, mss=1000)
    drill.expect(". 1:1 ack 1")
    assert drill.events() == [Established()]


def test_we_close_first() -> None:
    drill = Drill(Config(time_wait=60 * SECOND)).established()
    drill.connection.write(b"bye")
    drill.connection.shutdown()
    assert drill.connection.send_room == 0
    drill.expect("FP. 1:4 ack 1")
    drill.inject(".", 1, 5)
    assert drill.state() is State.FIN_WAIT_2
    drill.wait(1000 * SECOND)
    drill.inject("P.", 1, 5, b"still here")
    assert drill.read_all() == b"still here"
    drill.inject("F.", 11, 5)
    drill.expect(". 5:5 ack 12")
    assert drill.connection.peer_closed
    assert drill.state() is State.TIME_WAIT
    drill.wait(59 * SECOND)
    drill.inject("F.", 11, 5)
    drill.expect(". 5:5 ack 12")
    drill.wait(60 * SECOND)
    assert drill.events() == [Closed()]
    assert drill.connection.poll_at() is None


def test_the_peer_closes_first_and_we_go_on_sending() -> None:
    drill = Drill().established()
    drill.inject("F.", 1, 1)
    drill.expect(". 1:1 ack 2")
    assert drill.connection.peer_closed
    drill.wait(1000 * SECOND)
    drill.connection.write(b"late")
    drill.expect("P. 1:5 ack 2")
    drill.inject(".", 2, 5)
    drill.connection.shutdown()
    drill.expect("F. 5:5 ack 2")
    drill.inject(".", 2, 6)
    assert drill.events() == [Closed()]
    assert drill.connection.poll_at() is None


def test_a_simultaneous_close() -> None:
    drill = Drill().established()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 1")
    drill.inject("F.", 1, 1)
    drill.expect(". 2:2 ack 2")
    assert drill.state() is State.CLOSING
    drill.inject(".", 2, 2)
    assert drill.state() is State.TIME_WAIT


def test_a_fin_that_acknowledges_ours() -> None:
    drill = Drill().established()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 1")
    drill.inject("F.", 1, 2)
    drill.expect(". 2:2 ack 2")
    assert drill.state() is State.TIME_WAIT


def test_a_lost_fin_is_sent_again() -> None:
    drill = Drill().established()
    drill.connection.shutdown()
    drill.expect("F. 1:1 ack 1")
    drill.until_timer()
    drill.expect("F. 1:1 ack 1")
    drill.inject(".", 1, 2)
    assert drill.connection.poll_at() is None


def test_a_fin_before_its_data_waits_for_it() -> None:
    drill = Drill().established()
    drill.inject("F.", 6, 1, b"world")
    drill.expect(". 1:1 ack 1")
    assert drill.events() == []
    drill.inject(".", 1, 1, b"hello")
    drill.expect(". 1:1 ack 12")
    assert drill.read_all() == b"helloworld"
    assert drill.connection.peer_closed


def test_shutdown_before_the_handshake_is_done() -> None:
    drill = Drill().listen()
    drill.connection.write(b"hi")
    drill.connection.shutdown()
    drill.expect()
    drill.connection.accept(drill.now)
    drill.expect("S. 0:0 ack 1")
    drill.inject(".", 1, 1)
    drill.expect("FP. 1:3 ack 1")
    assert drill.state() is State.FIN_WAIT_1


@pytest.mark.parametrize(
    ("seq", "outcome"),
    [(1, "reset"), (2, "challenge"), (65535, "challenge"), (0, "ignored"), (70000, "ignored")],
)
def test_a_reset_counts_only_at_the_next_number(seq: int, outcome: str) -> None:
    drill = Drill().established()
    drill.inject("R", seq)
    drill.expect(*([". 1:1 ack 1"] if outcome == "challenge" else []))
    assert drill.events() == ([Reset()] if outcome == "reset" else [])


def test_a_syn_in_the_window_is_challenged() -> None:
    drill = Drill().established()
    drill.inject("S", 100)
    drill.expect(". 1:1 ack 1")
    assert drill.state() is State.ESTABLISHED


@pytest.mark.parametrize("ack", [2, 1 - 70000])
def test_an_acknowledgment_of_what_was_never_sent_is_challenged(ack: int) -> None:
    drill = Drill().established()
    drill.inject("P.", 1, ack, b"forged")
    drill.expect(". 1:1 ack 1")
    assert drill.connection.readable == 0


def test_challenges_are_limited() -> None:
    drill = Drill().established()
    for _ in range(50):
        drill.inject("R", 2)
    assert len(drill.out()) == 10
    drill.wait(1 * SECOND)
    drill.inject("R", 2)
    assert len(drill.out()) == 1


def test_abort_resets_the_peer() -> None:
    drill = Drill().established()
    drill.connection.write(b"x")
    drill.out()
    drill.connection.abort()
    drill.expect("R. 2:2 ack 1")
    assert drill.events() == [Closed()]
    assert drill.connection.poll_at() is None


def test_time_wait_yields_to_a_new_connection_only() -> None:
    drill = Drill().established()
    drill.connection.shutdown()
    drill.out()
    drill.inject("F.", 1, 2)
    connection = drill.connection
    assert connection.yields_to(drill.segment("S", 5000))
    assert not connection.yields_to(drill.segment("S", 1))
    assert not connection.yields_to(drill.segment(".", 5000, 1))
    drill.inject("R", 2)
    assert connection.state is State.TIME_WAIT


def test_a_segment_of_no_connection_is_reset() -> None:
    drill = Drill()
    for segment, line in [
        (drill.segment("S", 0), "R. "),
        (drill.segment("P.", 5, 100, b"data"), "R 100:100"),
    ]:
        octets = reset_for(segment, GUEST.address, SERVER.address)
        assert octets is not None
        assert drill.line(tcp.parse(octets, SERVER.address, GUEST.address)).startswith(line)
    assert reset_for(drill.segment("R", 5), GUEST.address, SERVER.address) is None


def test_a_keepalive_is_answered() -> None:
    drill = Drill().established()
    drill.wait(7200 * SECOND)
    drill.inject(".", 0, 1)
    drill.expect(". 1:1 ack 1")
    drill.inject(".", 0, 1, b"x")
    drill.expect(". 1:1 ack 1")
    assert drill.connection.readable == 0


def test_timers_of_an_idle_connection_do_not_run() -> None:
    drill = Drill(PLAIN).established()
    drill.inject("P.", 1, 1, b"x")
    assert drill.until_timer() == 40 * MILLISECOND
    drill.expect(". 1:1 ack 2")
    assert drill.connection.poll_at() is None
