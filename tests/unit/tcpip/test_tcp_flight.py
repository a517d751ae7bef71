"""What is in flight against an octet-by-octet model: each octet is in the network, lost, or SACKed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guestnet.tcpip.tcp.flight import LOST, SACKED, SENT, Flight

positions = st.integers(0, 200)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40), st.integers(1, 12)),
        st.tuples(st.just("acknowledge"), st.integers(0, 30)),
        st.tuples(st.just("sack"), positions, st.integers(1, 30)),
        st.tuples(st.just("lose"), st.integers(0, 20)),
        st.tuples(st.just("lose_before"), positions),
        st.tuples(st.just("resend"), st.integers(1, 30)),
        st.tuples(st.just("last_segment")),
    ),
    max_size=40,
)


@given(steps)
def test_every_octet_is_in_one_case(script: list[tuple[Any, ...]]) -> None:
    flight = Flight()
    octets: dict[int, tuple[int, int]] = {}  # position: (mark, when it was sent)
    una = nxt = 0
    for now, (name, *arguments) in enumerate(script, 1):
        if name == "add":
            flight.add(nxt, nxt + arguments[0], now, arguments[1])
            octets |= dict.fromkeys(range(nxt, nxt + arguments[0]), (SENT, now))
            nxt += arguments[0]
        elif name == "acknowledge":
            una = min(una + arguments[0], nxt)
            known = flight.acknowledge(una)
            new = {at: octets.pop(at) for at in list(octets) if at < una}
            _check_delivered(known, {at: case for at, case in new.items() if case[0] != SACKED})
        elif name == "sack":
            left = max(arguments[0], una)
            right = min(left + arguments[1], nxt)
            if left < right:
                known = flight.sack(left, right)
                new = {at: octets[at] for at in range(left, right) if octets[at][0] != SACKED}
                _check_delivered(known, new)
                octets |= dict.fromkeys(range(left, right), (SACKED, 0))
        elif name == "lose" and flight.runs:
            run = flight.runs[arguments[0] % len(flight.runs)]
            octets |= dict.fromkeys(range(run.start, run.end), (LOST, 0))
            flight.lose([run])
        elif name == "lose_before":
            octets |= {at: (LOST, 0) for at, case in octets.items() if at < arguments[0] and case[0] == SENT}
            flight.lose_before(arguments[0])
        elif name == "resend":
            lost = flight.first_lost()
            assert (lost is None) == all(case[0] != LOST for case in octets.values())
            if lost is not None:
                assert lost.start == min(at for at, case in octets.items() if case[0] == LOST)
                end = min(lost.start + arguments[0], lost.end)
                octets |= dict.fromkeys(range(lost.start, end), (SENT, now))
                flight.resend(lost, end - lost.start, now, 10)
        elif name == "last_segment" and flight.runs:
            last = flight.last_segment()
            assert last.end == nxt
            assert last.end - last.start <= last.size or last.mark != SENT
        _check(flight, octets, una, nxt)


def _check(flight: Flight, octets: dict[int, tuple[int, int]], una: int, nxt: int) -> None:
    edge = una
    for run in flight.runs:
        assert run.start == edge < run.end
        edge = run.end
        for at in range(run.start, run.end):
            assert run.mark == octets[at][0]
            assert run.mark != SENT or run.sent_at == octets[at][1]
    assert edge == nxt
    marks = [case[0] for case in octets.values()]
    assert (flight.pipe, flight.lost, flight.sacked) == (
        marks.count(SENT), marks.count(LOST), marks.count(SACKED),
    )  # fmt: skip


def _check_delivered(known: list[Any], new: dict[int, tuple[int, int]]) -> None:
    """Each stretch that was sent at another time is told once, in order."""
    assert [run.end for run in known] == sorted(run.end for run in known)
    assert {run.sent_at for run in known} >= {sent for mark, sent in new.values() if mark == SENT}
    assert bool(known) == bool(new)
    assert all(run.end - 1 in new for run in known)


def test_the_number_of_runs_is_bounded() -> None:
    flight = Flight()
    flight.add(0, 100_000, 1, 1448)
    for at in range(1, 100_000, 2):
        flight.sack(at, at + 1)
    assert len(flight.runs) < 2100
    assert flight.pipe + flight.sacked == 100_000
