"""Deadlines by key, against a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from guestnet.gateway.timers import Timers


def test_what_is_due_comes_in_order_and_once() -> None:
    timers: Timers[str] = Timers()
    timers.set("late", 30)
    timers.set("early", 10)
    assert timers.poll_at() == 10
    assert timers.due(9) == []
    assert timers.due(30) == ["early", "late"]
    assert timers.due(99) == []
    assert timers.poll_at() is None


def test_a_deadline_can_be_moved_both_ways() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.set("a", 50)
    assert timers.due(49) == []
    timers.set("a", 20)
    assert timers.due(20) == ["a"]


def test_a_deadline_can_be_taken_back() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.set("a", None)
    assert timers.poll_at() is None
    assert timers.due(99) == []


_STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 20)), st.booleans()), max_size=40
)


@given(_STEPS)
def test_it_is_a_dictionary_of_deadlines(steps: list[tuple[str, int | None, bool]]) -> None:
    timers: Timers[str] = Timers()
    model: dict[str, int] = {}
    now = 0
    for key, delay, look in steps:
        if delay is None:
            model.pop(key, None)
            timers.set(key, None)
        else:
            model[key] = now + delay
            timers.set(key, now + delay)
        if look:
            now += 7
            expected = {name for name, at in model.items() if at <= now}
            assert set(timers.due(now)) == expected
            for name in expected:
                del model[name]
        poll = timers.poll_at()
        assert (poll is None) == (not model)
        assert poll is None or poll <= min(model.values())


def test_pushing_a_deadline_back_for_ever_takes_no_memory() -> None:
    timers: Timers[str] = Timers()
    for at in range(10_000):
        timers.set("a", 100 + at)
    assert len(timers._heap) == 1


def test_short_lived_keys_leave_nothing_behind() -> None:
    timers: Timers[int] = Timers()
    for key in range(10_000):
        timers.set(key, 1_000_000)
        timers.set(key, None)
    assert len(timers._heap) < 100
