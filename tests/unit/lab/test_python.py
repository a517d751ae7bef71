"""Where other Python processes are told to look."""

import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.lab.process.python import python_path


def test_a_bare_python_finds_the_project_and_what_its_user_added(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "added_by_the_user.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # Without site-packages (-S), where the project may be installed.
    command = [sys.executable, "-S", "-P", "-c", "import guestnet, added_by_the_user"]
    environment = {"PYTHONPATH": python_path()}
    ran = subprocess.run(command, env=environment, capture_output=True, cwd="/", check=False, timeout=60)

    assert ran.returncode == 0, ran.stderr
