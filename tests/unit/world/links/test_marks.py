"""Marks of frames that are under way through a tunnel."""

from guestnet.world.links.marks import _LIMIT, Marks

FRAMES = [bytes((number,)) * 60 for number in range(4)]


def test_frames_are_known_again_whatever_their_order() -> None:
    marks = Marks()
    marks.put(FRAMES[:3], "", [("held", 1), ("", 0), ("duplicate", 3)])
    arrived = [memoryview(FRAMES[number]) for number in (2, 3, 1, 0)]
    assert marks.take(arrived) == [("duplicate", 3), ("", 0), ("", 0), ("held", 1)]
    assert marks.take(FRAMES) == ()


def test_equal_frames_have_their_marks_in_order() -> None:
    marks = Marks()
    marks.put([FRAMES[0], FRAMES[0]], "", [("", 1), ("duplicate", 1)])
    assert marks.take(FRAMES[:1]) == [("", 1)]
    assert marks.take(FRAMES[:2]) == [("duplicate", 1), ("", 0)]


def test_a_comment_is_of_all() -> None:
    marks = Marks()
    marks.put(FRAMES[:2], "answer", ())
    assert marks.take(FRAMES[:2]) == [("answer", 0)] * 2


def test_of_many_that_never_arrive_the_oldest_are_forgotten() -> None:
    marks = Marks()
    lost = [number.to_bytes(4, "big") for number in range(_LIMIT + 1)]
    marks.put(lost, "held", ())
    assert marks.take([lost[0], lost[1], lost[-1]]) == [("", 0), ("held", 0), ("held", 0)]
