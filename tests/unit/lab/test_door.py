"""A lab's door, with an owner that takes its time."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from guestnet.core.errors import LabError
from guestnet.lab.process.door import Door, Visit
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import LabStatus, Now, Status
from guestnet.lab.requests.request import R, Request

STATUS = LabStatus(
    scenario="one", stack="builtin", world="plain", seconds=1.0, guests=[], hosts=[], servers=[], pids={},
    ended={}, capabilities=[],
)  # fmt: skip


class Owner:
    """Answers each `Now` with one more, the first when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.description = LabDescription(scenario="one", seed=1, guests=0, profile="plain")
        self.artifacts = folder
        self.pid = 1
        self.may_answer = threading.Event()
        self._count = 0

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        answer: Any = STATUS
        if isinstance(request, Now):
            self.may_answer.wait(10)
            self._count += 1
            answer = self._count
        return cast(R, answer)


def test_an_answer_that_comes_too_late_is_not_that_to_the_next_request(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    with Door(owner):
        visit = Visit(tmp_path)
        with pytest.raises(LabError, match="did not answer Now in time"):
            visit.call(Now(), timeout=0.05)
        owner.may_answer.set()

        assert visit.call(Status()) == STATUS
        assert visit.call(Now()) == 2
        visit.close()
