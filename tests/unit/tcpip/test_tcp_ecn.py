"""Explicit congestion notification (RFC 3168), as a scripted peer sees it."""

import pytest

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from guestnet.wire import tcp
from tests.unit.tcpip.drill import Drill

ECN = Config(timestamps=False, window_scaling=False, ecn=True, congestion="newreno")
ROUND_TRIP = 20 * MILLISECOND


def established() -> Drill:
    return Drill(ECN).established("SEW", sack_permitted=True, round_trip=ROUND_TRIP)


@pytest.mark.parametrize(
    ("config", "syn", "answer"),
    [(ECN, "SEW", "SE. 0:0 ack 1"), (ECN, "S", "S. 0:0 ack 1"), (ECN, "SE", "S. 0:0 ack 1"),
     (Config(), "SEW", "S. 0:0 ack 1")],
)  # fmt: skip
def test_it_is_granted_to_whom_asks_for_it(config: Config, syn: str, answer: str) -> None:
    drill = Drill(config).listen(syn)
    drill.connection.accept(drill.now)
    drill.expect(answer)
    assert drill.ect == [False]


@pytest.mark.parametrize(("answer", "granted"), [("S.E", True), ("S.", False), ("S.EW", False)])
def test_it_is_asked_for(answer: str, granted: bool) -> None:
    drill = Drill(ECN).connect()
    drill.expect("SEW 0:0")
    drill.inject(answer, 0, 1)
    drill.expect(". 1:1 ack 1")
    assert drill.connection.ecn is granted


def test_a_syn_that_is_lost_is_sent_again_without() -> None:
    drill = Drill(ECN).connect()
    drill.expect("SEW 0:0")
    drill.until_timer()
    drill.expect("S 0:0")
    drill.inject("S.E", 0, 1)
    drill.out()
    assert not drill.connection.ecn


def test_new_data_is_capable_and_nothing_else() -> None:
    drill = established()
    drill.connection.write(bytes(5000))
    drill.out()
    assert drill.ect == [True] * 5
    drill.inject("P.", 1, 1, b"x")
    drill.until_timer()
    drill.out()
    assert drill.ect == [False]  # a bare ACK, or the probe
    drill.wait(0)
    drill.connection.write(bytes(1000))
    drill.inject(".", 2, 1, sack=((1001, 5001),))
    drill.expect(". 1:1001 ack 2", "PW. 5001:6001 ack 2")
    assert drill.ect[0] is False


def test_what_is_sent_again_and_what_is_new_are_never_returned_together() -> None:
    drill = established()
    drill.connection.write(bytes(9000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.connection.write(bytes(3000))
    drill.inject(".", 1, 1, sack=((1001, 9001),))
    batches = []
    while segments := drill.connection.transmit(drill.now):
        lines = [drill.line(tcp.parse(octets)) for octets in segments]
        batches.append((drill.connection.ect, lines))
    assert batches == [
        (False, [". 1:1001 ack 1"]),
        (True, ["W. 9001:10001 ack 1", ". 10001:11001 ack 1", "P. 11001:12001 ack 1"]),
    ]


def test_without_it_nothing_is_capable() -> None:
    drill = Drill(ECN).established()
    drill.connection.write(bytes(3000))
    drill.out()
    assert drill.ect == [False] * 3


def test_a_mark_is_echoed_until_the_peer_has_reduced_its_window() -> None:
    drill = established()
    drill.inject(".", 1, 1, bytes(1000), ce=True)
    drill.expect("E. 1:1 ack 1001")
    drill.inject(".", 1001, 1, bytes(1000))
    drill.inject(".", 2001, 1, bytes(1000))
    drill.expect("E. 1:1 ack 3001")
    drill.connection.write(b"data")
    drill.expect("PE. 1:5 ack 3001")
    drill.inject(".W", 3001, 5, bytes(1000))
    drill.inject(".", 4001, 5, bytes(1000))
    drill.expect(". 5:5 ack 5001")
    drill.inject(".W", 5001, 5, bytes(1000), ce=True)
    drill.expect("E. 5:5 ack 6001")


def test_a_mark_on_a_bare_acknowledgment_or_outside_of_the_window_means_nothing() -> None:
    drill = established()
    drill.inject(".", 1, 1, ce=True)
    drill.inject(".", -999, 1, bytes(500), ce=True)
    drill.inject("P.", 1, 1, b"x")
    drill.inject("P.", 2, 1, b"x")
    assert all("E" not in drill.line(segment) for segment in drill.out())


def test_an_echo_reduces_the_window_once_a_round() -> None:
    drill = established()
    cwnd = drill.connection.sender.congestion.cwnd
    drill.connection.write(bytes(30_000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".E", 1, 2001)
    assert drill.connection.sender.congestion.cwnd == cwnd // 2
    drill.inject(".E", 1, 4001)
    drill.inject(".E", 1, 8001)
    assert drill.connection.sender.congestion.cwnd == cwnd // 2
    drill.out()
    assert drill.line(drill.sent[0])[0] == "W"
    assert all(drill.line(segment)[0] != "W" for segment in drill.sent[1:])
    drill.inject(".", 1, 10001)
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".E", 1, 12001)
    assert drill.connection.sender.congestion.cwnd < cwnd // 2


def test_an_echo_takes_nothing_back_and_sends_nothing_again() -> None:
    drill = established()
    drill.connection.write(bytes(3000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".E", 1, 3001)
    drill.expect()
    assert drill.connection.poll_at() is None


def test_an_echo_without_negotiation_is_ignored() -> None:
    drill = Drill(ECN).established()
    cwnd = drill.connection.sender.congestion.cwnd
    drill.connection.write(bytes(3000))
    drill.out()
    drill.inject(".E", 1, 3001)
    assert drill.connection.sender.congestion.cwnd >= cwnd
    drill.inject(".", 1, 3001, bytes(1000), ce=True)
    drill.inject(".", 1001, 3001, bytes(1000))
    drill.expect(". 3001:3001 ack 2001")


def test_a_reduction_after_a_loss_is_told_too() -> None:
    drill = established()
    drill.connection.write(bytes(10_000))
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 1, sack=((1001, 10001),))
    drill.expect(". 1:1001 ack 1")
    drill.inject(".", 1, 10001)
    drill.connection.write(bytes(2000))
    drill.expect("W. 10001:11001 ack 1", "P. 11001:12001 ack 1")
