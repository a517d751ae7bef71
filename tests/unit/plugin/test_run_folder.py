"""What a run with a report may remove, and where it may write."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guestnet.plugin.run_folder import RunFolder
from guestnet.report import model

pytest_plugins = ["pytester"]

TWO = "def test_one(lab): pass\ndef test_two(lab): pass\n"


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def everything(folder: Path) -> set[str]:
    """All files, but for the lock."""
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return paths - {".guestnet.lock"}


def test_a_second_run_replaces_the_first_in_the_same_folder(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=TWO)
    run(suite, "--report", "r")
    run(suite, "--report", "r", "-k", "two")

    (folder,) = (suite.path / "r/scenarios").iterdir()
    assert folder.name.startswith("test_two")
    assert [scenario.id for scenario in model.load(suite.path / "r").scenarios] == ["test_it.py::test_two"]


def test_a_folder_that_holds_somebodys_files_is_refused(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=TWO)
    theirs = suite.path / "project/scenarios"
    theirs.mkdir(parents=True)
    (theirs / "test_mine.py").write_text("def test_mine(): pass")

    for _ in range(2):
        result = run(suite, "--report", "project", "test_it.py")

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["*no report can go into project: it holds files that no run has written: scenarios: give a *"]
        )
        assert everything(suite.path / "project") == {"scenarios/test_mine.py"}
        assert [path.name for path in (suite.path / "project").iterdir()] == ["scenarios"]


def test_what_somebody_adds_to_a_report_stays(suite: pytest.Pytester) -> None:
    """Beside the artifacts, among them, in place of them, in empty folders."""
    suite.makepyfile(test_it=TWO)
    run(suite, "--report", "r")
    report = suite.path / "r"
    one, two = sorted((report / "scenarios").iterdir())
    for mine in (report / "mine.txt", report / "scenarios/mine/mine.py", one / "notes.md"):
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
    (report / "empty").mkdir()
    elsewhere = suite.path / "elsewhere"
    two.rename(elsewhere)
    two.symlink_to(elsewhere)
    kept = everything(elsewhere)

    run(suite, "--report", "r", "-k", "one")

    assert {"mine.txt", "scenarios/mine/mine.py", f"scenarios/{one.name}/notes.md"} <= everything(report)
    assert (report / "empty").is_dir()
    assert everything(elsewhere) == kept
    (result,) = model.load(report).scenarios
    assert (report / result.folder / "journal.jsonl").is_file()
    assert report / result.folder != one, "no lab writes into a folder that was there"


def test_no_link_leads_out_of_the_artifacts(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_it="""
        def test_one(lab):
            (lab.artifacts / "pictures").mkdir()
            (lab.artifacts / "pictures" / "one.png").write_text("a run's")
        """
    )
    run(suite, "--report", "r")
    (folder,) = (suite.path / "r/scenarios").iterdir()
    elsewhere = suite.path / "elsewhere"
    (folder / "pictures").rename(elsewhere)
    (folder / "pictures").symlink_to(elsewhere)

    run(suite, "--report", "r")

    assert everything(elsewhere) == {"one.png"}


@pytest.mark.parametrize("keep", ["off", "retain-on-failure"])
def test_what_is_not_kept_takes_no_other_file_with_it(suite: pytest.Pytester, keep: str) -> None:
    suite.makepyfile(
        test_it="""
        import pathlib

        def test_one(lab): lab.artifacts.with_name("mine.txt").write_text("mine")
        """
    )
    run(suite, "--report", "r", "--keep", keep)
    assert everything(suite.path / "r") == {"run.json", "report.html", "scenarios/mine.txt"}


@pytest.mark.parametrize("content", ["{", '{"name": "my own run"}', "[1, 2]"])
def test_a_run_json_that_is_not_ours_is_refused(suite: pytest.Pytester, content: str) -> None:
    suite.makepyfile(test_it=TWO)
    (suite.path / "r").mkdir()
    (suite.path / "r/run.json").write_text(content)

    result = run(suite, "--report", "r")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no report can go into r: its run.json is not one of ours (*"])
    assert (suite.path / "r/run.json").read_text() == content


def test_a_folder_of_hidden_files_is_empty_enough(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=TWO)
    (suite.path / "r").mkdir()
    (suite.path / "r/.gitignore").write_text("*")
    assert run(suite, "--report", "r").ret == 0
    assert (suite.path / "r/.gitignore").read_text() == "*"


def test_a_file_in_place_of_the_folder_is_told(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=TWO)
    (suite.path / "r").write_text("mine")
    result = run(suite, "--report", "r")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no report can go into r: it can't be written to (File exists)*"])


def test_a_second_run_at_the_same_time_is_told(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=TWO)
    run(suite, "--report", "r")
    before = everything(suite.path / "r")
    first = RunFolder(suite.path / "r", "r")
    first.take()
    try:
        result = run(suite, "--report", "r")
    finally:
        first.release()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no report can go into r: another run writes there now: wait for it or *"])
    assert before - everything(suite.path / "r") == {name for name in before if "/" in name} | {"report.html"}
    assert run(suite, "--report", "r").ret == 0


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--fixtures",), ("--setup-plan",)])
def test_who_only_looks_leaves_the_report_alone(suite: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    suite.makepyfile(test_it=TWO)
    run(suite, "--report", "r")
    before = (suite.path / "r/run.json").read_bytes()
    run(suite, "--report", "r", *arguments)
    assert (suite.path / "r/run.json").read_bytes() == before
    assert len(list((suite.path / "r/scenarios").iterdir())) == 2


def _drop_files(scenario: dict[str, object]) -> None:
    scenario.pop("files")


def _point_out(scenario: dict[str, object]) -> None:
    scenario["files"] = ["../../mine.txt"]


@pytest.mark.parametrize(
    ("change", "status", "left"),
    [(_drop_files, 0, {"mine.log"}), (_point_out, 4, {"mine.log", "journal.jsonl"})],
)
def test_of_a_killed_run_goes_what_labs_leave_and_nothing_else(
    suite: pytest.Pytester, change: Callable[[dict[str, object]], None], status: int, left: set[str]
) -> None:
    """A run that was killed could not say which files it has written; a damaged one may say anything."""
    suite.makepyfile(test_it="def test_one(lab): pass")
    run(suite, "--report", "r")
    told = json.loads((suite.path / "r/run.json").read_text())
    (scenario,) = told["scenarios"]
    (suite.path / "r" / scenario["folder"] / "mine.log").write_text("mine")
    (suite.path / "r/mine.txt").write_text("mine")
    change(scenario)
    (suite.path / "r/run.json").write_text(json.dumps(told))

    assert run(suite, "--report", "r", "-k", "nothing").ret == (status or pytest.ExitCode.NO_TESTS_COLLECTED)

    assert everything(suite.path / "r" / scenario["folder"]) == left
    assert (suite.path / "r/mine.txt").read_text() == "mine"
