from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.report.model import RUN_FILE, Run, ScenarioResult, load, save


def a_run() -> Run:
    return Run(
        started=1_763_000_000_000_000_000,
        ended=1_763_000_009_000_000_000,
        command="pytest scenarios --seed 7",
        seed=7,
        versions={"qemu": "7.2.15"},
        machine={"kernel": "6.1.0", "accelerator": "tcg"},
        scenarios=[
            ScenarioResult(
                id="scenarios/test_a.py::test_b", outcome="failed", duration=1.5, folder="labs/test_b", seed=7
            )
        ],
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save(a_run(), tmp_path / "deep" / "run")

    assert load(tmp_path / "deep" / "run") == a_run()


def test_saving_leaves_only_run_json(tmp_path: Path) -> None:
    save(a_run(), tmp_path)
    save(a_run(), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_fields_of_a_newer_plugin_are_skipped(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text('{"started": 5, "weather": "rain", "scenarios": []}')

    assert load(tmp_path) == Run(started=5)


@pytest.mark.parametrize(
    "text", ["", "{", '{"started": "yesterday"}', "[]", '{"scenarios": [{}], "started": 1}', "\xff"]
)
def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_FILE).write_bytes(text.encode("latin-1"))

    with pytest.raises(DescriptionError, match=r"run\.json is damaged") as caught:
        load(tmp_path)
    assert caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"run\.json: No such file"):
        load(tmp_path)


@pytest.mark.parametrize("folder", ["/etc", "../other", "labs/../../other"])
def test_a_folder_outside_the_run_is_refused(tmp_path: Path, folder: str) -> None:
    save(
        Run(started=1, scenarios=[ScenarioResult(id="x", outcome="passed", duration=0, folder=folder)]),
        tmp_path,
    )

    with pytest.raises(DescriptionError, match="outside the run folder"):
        load(tmp_path)
