"""Path MTU discovery (RFC 1191, RFC 4821), as a scripted peer sees it."""

import pytest

from guestnet.core.time import MINUTE
from guestnet.tcpip.tcp import Config
from tests.unit.tcpip.drill import ISS, PLAIN, Drill

SACK = Config(timestamps=False, window_scaling=False)


def flight(config: Config = PLAIN, segments: int = 4) -> Drill:
    drill = Drill(config).established(sack_permitted=config.sack)
    drill.connection.write(bytes(segments * 1000))
    assert len(drill.out()) == segments
    return drill


def too_big(drill: Drill, mtu: int, seq: int) -> bool:
    return drill.connection.on_packet_too_big(mtu, (ISS + seq) & 0xFFFFFFFF, drill.now)


@pytest.mark.parametrize("config", [PLAIN, SACK])
def test_what_was_too_big_goes_again_in_smaller_segments(config: Config) -> None:
    drill = flight(config)
    cwnd = drill.connection.sender.congestion.cwnd
    assert too_big(drill, 640, 1)
    drill.expect(*[f"{'.P'[at + 600 > 4000]}{'.' * (at + 600 > 4000)} {at}:{min(at + 600, 4001)} ack 1"
                   for at in range(1, 4001, 600)])  # fmt: skip
    assert drill.connection.sender.congestion.cwnd == cwnd
    drill.inject(".", 1, 4001)
    drill.connection.write(bytes(1000))
    drill.expect(". 4001:4601 ack 1", "P. 4601:5001 ack 1")
    drill.inject(".", 1, 5001)
    assert drill.connection.poll_at() is None


def test_partial_acknowledgments_then_send_nothing_a_third_time() -> None:
    drill = flight()
    too_big(drill, 540, 1)
    assert drill.octets_sent() == 4000
    for ack in (501, 1001, 2501):
        drill.inject(".", 1, ack)
        drill.expect()
    drill.inject(".", 1, 4001)
    assert drill.connection.poll_at() is None


def test_small_segments_in_flight_are_left_alone() -> None:
    drill = flight(segments=2)
    drill.connection.write(b"small")
    drill.expect("P. 2001:2006 ack 1")
    too_big(drill, 1000, 1)
    drill.expect(". 1:961 ack 1", ". 961:1921 ack 1", ". 1921:2001 ack 1")


@pytest.mark.parametrize("seq", [0, 4001, -100, 100_000, 1 << 31])
def test_a_message_about_nothing_in_flight_is_not_believed(seq: int) -> None:
    drill = flight()
    assert not too_big(drill, 600, seq)
    drill.expect()
    assert drill.connection.sender.mss == 1000


@pytest.mark.parametrize("mtu", [1040, 1500, 67, 1, 1 << 16])
def test_a_message_that_makes_no_sense_changes_nothing(mtu: int) -> None:
    drill = flight()
    too_big(drill, mtu, 1)
    drill.expect()
    assert drill.connection.sender.mss == 1000


def test_an_idle_connection_has_nothing_that_could_be_too_big() -> None:
    assert not too_big(Drill().established(), 600, 1)
    assert not too_big(Drill().listen(), 600, 0)
    opening = Drill().connect()
    opening.out()
    assert not too_big(opening, 600, 0)


def test_a_connection_that_is_over_has_nothing_either() -> None:
    drill = flight()
    drill.connection.abort()
    drill.out()
    assert not too_big(drill, 600, 1)
    assert drill.connection.poll_at() is None


def test_an_old_router_does_not_tell_its_mtu() -> None:
    drill = flight()
    sizes = []
    for _ in range(4):
        too_big(drill, 0, 1)
        sizes.append(drill.connection.sender.mss)
        drill.out()
    assert sizes == [1006 - 40, 508 - 40, 296 - 40, 68 - 40]
    too_big(drill, 0, 1)
    assert drill.connection.sender.mss == 68 - 40


def test_timestamps_leave_less_for_the_data() -> None:
    drill = Drill(Config(sack=False)).established(timestamps=(1, 0))
    drill.inject(".", 1, 1, timestamps=(2, 1))
    drill.connection.write(bytes(2000))
    drill.out()
    too_big(drill, 576, 1)
    assert max(len(segment.payload) for segment in drill.out()) == 576 - 52


@pytest.mark.parametrize("config", [PLAIN, SACK])
def test_a_black_hole_makes_segments_small(config: Config) -> None:
    drill = Drill(config).established(mss=1460, sack_permitted=config.sack)
    drill.connection.write(bytes(4380))
    drill.out()
    sizes: list[int] = []
    while len(sizes) < 6:
        before = drill.connection.sender.retries
        drill.until_timer()
        drill.out()
        if drill.connection.sender.retries > before:
            sizes.append(len(drill.sent[0].payload))
    assert sizes == [1460, 1460, 1024, 512, 256, 256]


def test_a_peer_that_does_not_answer_small_segments_is_no_black_hole() -> None:
    drill = Drill().established(mss=1460)
    drill.connection.write(b"hello")
    drill.out()
    for _ in range(5):
        drill.until_timer()
        drill.expect("P. 1:6 ack 1")
    assert drill.connection.sender.mss == 1460


def test_the_search_for_black_holes_can_be_off() -> None:
    drill = Drill(Config(sack=False, timestamps=False, black_hole_timeouts=0)).established(mss=1460)
    drill.connection.write(bytes(4380))
    drill.out()
    for _ in range(5):
        drill.until_timer()
        assert [len(segment.payload) for segment in drill.out()] == [1460]


def small() -> Drill:
    """After an outage that looked like a black hole."""
    drill = Drill(SACK).established(mss=1460, sack_permitted=True)
    drill.connection.write(bytes(1460))
    drill.out()
    while drill.connection.sender.mss == 1460:
        drill.until_timer()
        drill.out()
    drill.inject(".", 1, 1461)
    drill.out()
    drill.events()
    return drill


def test_after_an_outage_one_large_segment_finds_out_and_all_are_large_again() -> None:
    drill = small()
    drill.connection.sender.congestion.cwnd = 20_000
    drill.connection.write(bytes(4380))
    drill.expect(". 1461:2921 ack 1", ". 2921:3945 ack 1", ". 3945:4969 ack 1", "P. 4969:5841 ack 1")
    drill.inject(".", 1, 5841)
    drill.connection.write(bytes(2920))
    drill.expect(". 5841:7301 ack 1", "P. 7301:8761 ack 1")


def test_a_probe_that_is_lost_is_sent_again_small_and_not_repeated_for_ten_minutes() -> None:
    drill = small()
    drill.connection.sender.congestion.cwnd = 20_000
    drill.connection.write(bytes(6000))
    drill.out()
    assert len(drill.sent[0].payload) == 1460
    drill.inject(".", 1, 1461, sack=((2921, 7461),))
    drill.expect(". 1461:2485 ack 1", ". 2485:2921 ack 1")
    drill.inject(".", 1, 7461)
    drill.connection.write(bytes(6000))
    assert max(len(segment.payload) for segment in drill.out()) == 1024
    while drill.sent:
        drill.inject(".", 1, drill.connection.sender.snd_nxt - ISS)
        drill.out()
    drill.wait(10 * MINUTE)
    drill.connection.write(bytes(3000))
    assert max(len(segment.payload) for segment in drill.out()) == 1460


def test_ten_minutes_after_a_message_the_path_is_tried_again() -> None:
    drill = flight()
    too_big(drill, 600, 1)
    drill.out()
    drill.inject(".", 1, 4001)
    drill.connection.write(bytes(2000))
    assert max(len(segment.payload) for segment in drill.out()) == 560
    drill.inject(".", 1, 6001)
    drill.wait(10 * MINUTE)
    drill.connection.write(bytes(2000))
    assert [len(segment.payload) for segment in drill.out()] == [1000, 560, 440]
