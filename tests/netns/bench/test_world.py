"""What ``guestnet bench world`` does two hundred times, a few times."""

import os
from pathlib import Path

import pytest

from guestnet.bench.world import cycle, measure

pytestmark = pytest.mark.netns


def test_worlds_come_and_go_and_leave_nothing() -> None:
    told: list[tuple[str, int, int]] = []
    figures, left = measure(1, 3, lambda *progress: told.append(progress))

    assert left == []
    assert {figure.name: figure.unit for figure in figures} == {
        "world_up": "s", "world_down": "s", "world_left": "1",
    }  # fmt: skip
    assert [figure.value for figure in figures if figure.name == "world_left"] == [0]
    assert told[-1] == ("worlds", 3, 3)


def test_a_namespace_that_somebody_holds_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here that of this process stands for one that a lab forgot."""
    mine = str(Path("/proc/self/ns/net").readlink())
    monkeypatch.setattr("guestnet.bench.world._namespace", lambda lab, host: mine)

    assert f"process {os.getpid()} holds {mine}" in cycle().left
