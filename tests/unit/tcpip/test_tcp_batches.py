"""What comes late or many at a time: acknowledgments that were overtaken, or are read in one batch."""

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from tests.unit.tcpip.drill import Drill

SACK = Config(timestamps=False, window_scaling=False, congestion="newreno")
STAMPED = Config(window_scaling=False, congestion="newreno")
ROUND_TRIP = 20 * MILLISECOND


def flight(segments: int, config: Config = SACK) -> Drill:
    stamps = (1000, 0) if config.timestamps else None
    drill = Drill(config).listen(sack_permitted=True, timestamps=stamps)
    drill.connection.accept(drill.now)
    drill.out()
    drill.now += ROUND_TRIP
    drill.inject(".", 1, 1, timestamps=stamps)
    drill.connection.write(bytes(60_000))
    del drill.out()[segments:]
    drill.now += ROUND_TRIP
    return drill


def cwnd(drill: Drill) -> int:
    return drill.connection.sender.congestion.cwnd


def test_acknowledgments_read_together_open_the_window_as_if_they_came_one_by_one() -> None:
    drill = flight(10)
    assert cwnd(drill) == 10_000
    for ack in range(1001, 9001, 1000):
        drill.inject(".", 1, ack)
    assert cwnd(drill) == 18_000
    assert drill.octets_sent() == 16_000


def test_a_loss_amid_a_batch_halves_the_window_and_not_what_the_batch_left_of_it() -> None:
    drill = flight(10)
    drill.inject(".", 1, 5001)
    drill.inject(".", 1, 5001, sack=((6001, 9001),))
    assert cwnd(drill) == 5000


def test_an_application_that_does_not_fill_the_window_does_not_open_it() -> None:
    drill = Drill(SACK).established(sack_permitted=True, round_trip=ROUND_TRIP)
    for start in range(1, 20_001, 2000):
        drill.connection.write(bytes(2000))
        drill.out()
        drill.now += ROUND_TRIP
        drill.inject(".", 1, start + 2000)
    assert cwnd(drill) == 10_000


def test_a_duplicate_told_by_an_overtaken_acknowledgment_counts() -> None:
    drill = flight(10)
    drill.inject(".", 1, 1, sack=((1001, 5001),))
    assert drill.out()[0].seq == 0xFFFFFFF1
    assert cwnd(drill) == 5000
    drill.inject(".", 1, 7001)
    drill.out()
    drill.inject(".", 1, 5001, sack=((1, 1001),))
    assert cwnd(drill) == 10_000


def test_an_overtaken_acknowledgment_is_not_taken_for_an_old_duplicate() -> None:
    drill = flight(10, STAMPED)
    drill.inject(".", 1, 3977, timestamps=(1030, 1))
    drill.out()
    drill.inject(".", 1, 1989, timestamps=(1020, 1))
    drill.expect()
    drill.inject(".", 1, 1989, timestamps=(500, 1))
    drill.expect(". 17785:17785 ack 1")


def test_data_that_was_held_up_beyond_its_timestamp_is_reported_as_a_duplicate() -> None:
    drill = flight(10, STAMPED)
    drill.inject("P.", 1, 1, b"abcd", timestamps=(1020, 1))
    drill.inject("P.", 5, 1, b"efgh", timestamps=(1030, 1))
    drill.out()
    drill.inject("P.", 1, 1, b"abcd", timestamps=(1010, 1))
    assert [drill.line(segment).partition("ack ")[2] for segment in drill.out()] == ["9 sack 1:5"]
