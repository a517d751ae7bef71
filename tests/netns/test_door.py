"""A lab that its owner opens to others."""

import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.core import events
from guestnet.core.errors import LabError
from guestnet.lab.process.door import NAME, Door, Visit
from guestnet.lab.requests.protocol import RunOn, Status, Stop
from guestnet.scenario import Lab
from tests.netns.conftest import ROOT, StartLab


def attach(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "guestnet.cli", "attach", str(folder), "-c", command],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_visitor_does_with_the_lab_what_a_scenario_does(start_lab: StartLab) -> None:
    owner = start_lab()
    with Door(owner):
        folder = owner.artifacts
        said = attach(folder, "lab.note('hello'); lab.laptop.connect('shop.example', 80).connected")
        assert (said.stdout, said.stderr, said.returncode) == ("True\n", "", 0)
        unmet = attach(folder, "assert lab.laptop.connect('shop.example', 81).connected, 'it is closed'")
        assert (unmet.stderr, unmet.returncode) == ("it is closed\n", 1)
        wrong = attach(folder, "lab.nothing()")
        assert wrong.returncode == 1
        assert "nothing" in wrong.stderr
        assert "Traceback" not in wrong.stderr

        visit = Visit(owner.artifacts)
        lab = Lab(visit)
        lab.journal.expect(events.Noted, text="hello")
        with pytest.raises(LabError, match="Stop is for the owner"):
            visit.call(Stop())
        visit.close()
    assert owner.call(RunOn(host="laptop", command="echo still here")).stdout_bytes == b"still here\n"
    assert not (owner.artifacts / NAME).exists()


def test_nobody_is_let_in_where_no_lab_is(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no lab is open in"):
        Visit(tmp_path)


def test_the_socket_of_an_owner_who_was_killed_is_in_nobodys_way(start_lab: StartLab) -> None:
    owner = start_lab()
    left = Door(owner)
    (owner.artifacts / NAME).rename(owner.artifacts / "kept")
    left.close()
    (owner.artifacts / "kept").rename(owner.artifacts / NAME)

    with Door(owner):
        visit = Visit(owner.artifacts)
        assert visit.call(Status()).scenario == "test"
        visit.close()


def test_a_visitor_learns_that_the_owner_has_left(start_lab: StartLab) -> None:
    owner = start_lab()
    with Door(owner):
        visit = Visit(owner.artifacts)
    with pytest.raises(LabError, match="the lab is gone"):
        visit.call(Status())
    visit.close()
