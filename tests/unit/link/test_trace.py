"""mahimahi's traces: the format, and what they let through when."""

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND
from guestnet.link.link import Link
from guestnet.link.rules import trace as traces
from guestnet.link.rules.delay import parse_delays
from guestnet.link.rules.trace import parse_trace
from guestnet.link.settings import Impairments, Recorded, impairments
from tests.support.road import START, Road, numbered


def test_a_trace_is_a_time_a_line() -> None:
    assert parse_trace("0\n1\n1\n5\n", "x.up") == (0, 1, 1, 5)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1\nx\n", "x.up:2: 'x' is no time"),
        ("1\n\n2\n", "x.up:2: '' is no time"),
        ("1\n-2\n", "x.up:2: '-2' is no time"),
        ("1\n2.5\n", "x.up:2: '2.5' is no time"),
        ("5\n3\n", "x.up:2: 3 ms comes after 5 ms"),
        ("0\n0\n", "x.up: the trace lasts no time"),
        ("", "x.up: the trace lasts no time"),
        ("1" * 5000, "x.up:1: "),
    ],
)
def test_a_wrong_trace_is_told_with_its_line(text: str, what: str) -> None:
    with pytest.raises(DescriptionError) as error:
        parse_trace(text, "x.up")
    assert error.value.message.startswith(what)


def test_a_setting_may_be_the_text_of_a_trace() -> None:
    assert departures("3\n7\n10\n", [(0, 1500)] * 4) == [3, 7, 10, 13]
    with pytest.raises(DescriptionError, match="trace:2: 'x' is no time"):
        impairments(trace="1\nx\n")


def test_the_text_of_a_trace_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have ten million lines, and no frame moves while they are read."""
    read = []

    def counted(text: str, file: str) -> tuple[int, ...]:
        read.append(text)
        return parse_trace(text, file)

    monkeypatch.setattr(traces, "parse_trace", counted)
    sent = msgspec.msgpack.encode(impairments(trace="3\n7\n10\n"))
    link = Link("lte")
    link.impair(msgspec.msgpack.decode(sent, type=Impairments), START)
    link.impair(impairments(loss="3%"), START + 1)
    link.clear(START + 2, "loss")
    assert link.settings("down") == impairments(trace=(3, 7, 10))
    assert len(read) == 1


def test_delays_may_be_the_text_of_a_file() -> None:
    assert parse_delays("12.5ms\n 1s\n", "x.delays") == ("12.5ms", "1s")
    assert Recorded("5ms\n7ms").delays == ("5ms", "7ms")
    with pytest.raises(DescriptionError, match="delays:2: 'soon' is no duration"):
        Recorded("1s\nsoon")


def departures(trace: str | tuple[int, ...], arrivals: list[tuple[int, int]]) -> list[int]:
    """In ms, of IP packets of so many octets that arrive at these ms."""
    link = Link("lte")
    link.impair(impairments(trace=trace), START)
    frames = [
        (START + at * MILLISECOND, [numbered(number, size + 14)])
        for number, (at, size) in enumerate(arrivals)
    ]
    return [(at - START) // MILLISECOND for at, _ in Road(link).drive(frames).arrived]


def test_an_opportunity_is_a_packet_of_1500_octets() -> None:
    assert departures((3, 7, 10), [(0, 1500)] * 5) == [3, 7, 10, 13, 17]


def test_small_packets_share_one_and_large_ones_take_several() -> None:
    assert departures((3, 7, 10), [(0, 500)] * 4) == [3, 3, 3, 7]
    assert departures((3, 7, 10), [(0, 3100), (0, 1300)]) == [10, 10]
    assert departures((3, 7, 10), [(0, 3100), (0, 1500)]) == [10, 13]


def test_what_nobody_uses_is_lost() -> None:
    assert departures((3, 7, 10), [(8, 1500), (8, 1500)]) == [10, 13]


def test_the_same_time_twice_is_twice_as_much_and_the_last_line_ends_the_round() -> None:
    assert departures((0, 4, 4), [(0, 1500)] * 5) == [4, 4, 4, 8, 8]


def test_after_a_long_pause_the_trace_is_where_it_should_be() -> None:
    assert departures((3, 7, 10), [(1_000_004, 1500), (1_000_004, 1500)]) == [1_000_007, 1_000_010]
    assert departures((3, 7, 10), [(1_000_009, 1500), (1_000_010, 1500)]) == [1_000_010, 1_000_013]
