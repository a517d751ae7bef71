"""A run is the sequence of its frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import run_of


@given(st.data(), st.integers(1, 9), st.integers(0, 5))
def test_it_is_the_frames_that_it_was_made_of(data: st.DataObject, length: int, lead: int) -> None:
    frames = data.draw(st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=7))
    run = run_of(frames, lead)
    cut = data.draw(st.slices(len(frames)))

    assert list(run) == frames
    assert [run[index] for index in range(-len(run), len(run))] == frames + frames
    assert run[cut] == frames[cut]
    assert run.matrix(0, length).tobytes() == b"".join(frames)
    assert run.matrix(-lead, 0).tobytes() == b"\xaa" * lead * len(frames)


def test_there_is_no_frame_beyond_its_end() -> None:
    run = run_of([b"one", b"two"])

    for index in (2, -3):
        with pytest.raises(IndexError, match="a run of 2"):
            run[index]
