"""A lab that can't even begin."""

from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription

DESCRIPTION = LabDescription(scenario="none", seed=1, guests=0, profile="plain")


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("in the way")

    with pytest.raises(EnvironmentMissing, match=r"can't write into .*/lab \(File exists\): choose another"):
        LabProcess.start(DESCRIPTION, tmp_path / "lab")


def test_a_folder_without_room_for_a_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab.log").mkdir()

    with pytest.raises(EnvironmentMissing, match=r"can't write into .* \(Is a directory\)"):
        LabProcess.start(DESCRIPTION, tmp_path)


def test_a_profile_that_can_not_be_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("name = 7")
    description = LabDescription(scenario="none", seed=1, guests=0, profile=str(tmp_path / "mine.toml"))

    with pytest.raises(DescriptionError, match=r"mine\.toml:1: name: 7 is no text"):
        LabProcess.start(description, tmp_path / "lab")
    assert not (tmp_path / "lab").exists()
