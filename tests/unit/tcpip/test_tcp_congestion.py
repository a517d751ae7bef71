"""Congestion control by the numbers of its RFCs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp.congestion import CongestionControl, NewReno
from guestnet.tcpip.tcp.cubic import Cubic, _cube_root
from guestnet.tcpip.tcp.hystart import HyStart

MSS = 1000
RTT = 100 * MILLISECOND


def test_new_reno_starts_slowly_and_then_adds_a_segment_a_round() -> None:
    control = NewReno(MSS)
    assert control.cwnd == 10_000
    control.on_ack(10_000, 0, None)
    assert control.cwnd == 20_000
    control.on_loss(20_000, 0)
    assert control.cwnd == control.ssthresh == 10_000
    for _ in range(10):
        control.on_ack(1000, 0, None)
    assert control.cwnd == 11_000
    control.on_timeout(11_000, 0)
    assert (control.cwnd, control.ssthresh) == (1000, 5500)


def rounds(control: CongestionControl, start: int, duration: int, rtt: int = RTT) -> int:
    """Acknowledge whole windows for ``duration``; returns the time then."""
    now = start
    while now < start + duration:
        now += rtt
        for _ in range(control.cwnd // MSS):
            control.on_ack(MSS, now, rtt)
    return now


def after_loss(window: int) -> Cubic:
    control = Cubic(MSS)
    control.cwnd = window * MSS
    control.on_loss(control.cwnd, 0)
    return control


def test_cubic_keeps_seven_tenths_and_is_back_after_k() -> None:
    control = after_loss(1000)
    assert control.cwnd == control.ssthresh == 700_000
    # K = cbrt(300 segments / 0.4) = 9.086 s
    now = rounds(control, 0, 4500 * MILLISECOND)
    assert 950_000 < control.cwnd < 975_000  # 1000 - 0.4 * (9.086 - 4.5)^3 = 961
    now = rounds(control, now, 4600 * MILLISECOND)
    assert 995_000 < control.cwnd <= 1_001_000
    rounds(control, now, 4500 * MILLISECOND)
    assert 1_030_000 < control.cwnd < 1_050_000  # 1000 + 0.4 * 4.6^3 = 1039


def test_cubic_takes_the_same_time_whatever_the_round_trip() -> None:
    windows = []
    for rtt in (50 * MILLISECOND, 200 * MILLISECOND):
        control = after_loss(1000)
        rounds(control, 0, 6 * SECOND, rtt)
        windows.append(control.cwnd)
    assert abs(windows[0] - windows[1]) < 20_000


def test_cubic_is_as_quick_as_additive_increase_on_short_round_trips() -> None:
    cubic, reno = after_loss(20), NewReno(MSS)
    reno.cwnd = 20 * MSS
    reno.on_loss(reno.cwnd, 0)
    rounds(cubic, 0, SECOND, 5 * MILLISECOND)
    rounds(reno, 0, SECOND, 5 * MILLISECOND)
    assert cubic.cwnd > reno.cwnd // 2
    assert cubic.cwnd > 100 * MSS


def test_cubic_gives_way_to_newcomers() -> None:
    control = after_loss(1000)
    control.on_loss(control.cwnd, SECOND)
    rounds(control, SECOND, 20 * SECOND)
    # W_max = 700 * 0.85 = 595: the plateau lies below the window of the loss; K = cbrt(105 / 0.4) = 6.4 s
    other = after_loss(1000)
    other.on_loss(other.cwnd, SECOND)
    rounds(other, SECOND, 6400 * MILLISECOND)
    assert 580_000 < other.cwnd < 600_000
    assert control.cwnd > other.cwnd


def test_cubic_after_a_timeout_starts_slowly_from_one_segment() -> None:
    control = after_loss(1000)
    control.on_timeout(700_000, 0)
    assert (control.cwnd, control.ssthresh) == (1000, 490_000)
    now = rounds(control, 0, 9 * RTT)
    assert 490_000 <= control.cwnd < 491_000
    rounds(control, now, SECOND)
    assert 490_000 < control.cwnd < 520_000


def test_cubic_does_not_count_the_time_in_which_nothing_was_to_send() -> None:
    control = after_loss(1000)
    now = rounds(control, 0, SECOND)
    busy = control.cwnd
    rounds(control, now + 3600 * SECOND, RTT)
    assert control.cwnd - busy < 30_000


@pytest.mark.parametrize("control", [Cubic(MSS), NewReno(MSS)])
def test_a_loss_that_was_none_is_undone(control: CongestionControl) -> None:
    control.on_ack(10_000, 0, RTT)
    control.on_loss(20_000, 0)
    assert control.cwnd < 20_000
    control.on_spurious_loss()
    assert control.cwnd == 20_000
    assert control.ssthresh > 1_000_000
    control.on_spurious_loss()
    assert control.cwnd == 20_000


@given(st.sampled_from([Cubic, NewReno]), st.data())
def test_a_window_is_never_less_than_a_segment_nor_grows_by_more_than_was_acknowledged(
    kind: type[Cubic] | type[NewReno], data: st.DataObject
) -> None:
    control: CongestionControl = kind(MSS)
    now = 0
    for _ in range(data.draw(st.integers(0, 60))):
        now += data.draw(st.integers(0, 10 * SECOND))
        before = control.cwnd
        what = data.draw(st.sampled_from(["ack", "ack", "ack", "loss", "timeout", "idle", "spurious", "rtt"]))
        if what == "ack":
            acked = data.draw(st.integers(1, control.cwnd + 2 * MSS))
            control.on_ack(acked, now, data.draw(st.integers(0, SECOND)))
            assert before <= control.cwnd <= before + acked + MSS
        elif what == "loss":
            control.on_loss(data.draw(st.integers(1, control.cwnd + 2 * MSS)), now)
        elif what == "timeout":
            control.on_timeout(data.draw(st.integers(1, control.cwnd + 2 * MSS)), now)
            assert control.cwnd == MSS
        elif what == "idle":
            control.on_idle()
            assert control.cwnd <= max(before, 10 * MSS)
        elif what == "spurious":
            control.on_spurious_loss()
            assert control.cwnd >= before
        else:
            control.on_round_trip(data.draw(st.integers(0, SECOND)), now, now + 1)
        assert control.cwnd >= MSS
        assert control.ssthresh >= 2 * MSS


@given(st.integers(0, 1 << 90))
def test_the_cube_root_is_exact(number: int) -> None:
    root = _cube_root(number)
    assert root**3 <= number < (root + 1) ** 3


def a_round(start: HyStart, number: int, rtt: int, samples: int = 10) -> bool:
    ended = [start.ends(rtt, number * 100 + 1, number * 100 + 100) for _ in range(samples)]
    return ended[-1]


def test_slow_start_ends_five_rounds_after_the_round_trips_grew() -> None:
    start = HyStart()
    assert not any(a_round(start, number, 50 * MILLISECOND) for number in range(4))
    assert start.growth(1000) == 1000
    assert not a_round(start, 4, 60 * MILLISECOND)
    assert start.growth(1000) == 250
    ended = [a_round(start, number, 60 * MILLISECOND) for number in range(5, 10)]
    assert ended == [False, False, False, False, True]


def test_slow_start_goes_on_when_the_round_trips_fall_again() -> None:
    start = HyStart()
    a_round(start, 0, 50 * MILLISECOND)
    a_round(start, 1, 60 * MILLISECOND)
    assert start.growth(1000) == 250
    a_round(start, 2, 51 * MILLISECOND)
    assert start.growth(1000) == 1000


def test_a_few_slow_samples_do_not_end_slow_start() -> None:
    start = HyStart()
    a_round(start, 0, 50 * MILLISECOND)
    a_round(start, 1, 90 * MILLISECOND, samples=7)
    assert start.growth(1000) == 1000
