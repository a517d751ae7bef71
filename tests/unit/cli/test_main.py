"""What every command has in common: how it fails, and what a program may read."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestnet.cli import guestnet, main
from guestnet.core import errors


@pytest.fixture(autouse=True)
def _signals_are_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Runs a command that raises; gives the exit status."""

    def fail(error: BaseException) -> int:
        def raise_it(**options: object) -> None:
            raise error

        monkeypatch.setattr(guestnet.commands["doctor"], "callback", raise_it)
        with pytest.raises(SystemExit) as ended:
            main(["doctor"])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return fail


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (errors.EnvironmentMissing("no QEMU", remedy="install it"), 2, "guestnet: no QEMU: install it\n"),
        (errors.LabError("the lab ended"), 1, "guestnet: the lab ended\n"),
        (errors.DescriptionError("no such profile", remedy="plain"), 1, "guestnet: no such profile: plain\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_a_sentence_and_a_status(
    failing: Callable[[BaseException], int],
    error: BaseException,
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failing(error) == status
    assert capsys.readouterr().err.strip("\n") == said.strip("\n")


def test_a_bug_is_loud(failing: Callable[[BaseException], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


@pytest.mark.parametrize("arguments", [["nonsense"], ["bench", "boot", "--runs", "0"], ["events"]])
def test_a_wrong_call_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_images_are_listed_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GUESTNET_CACHE", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["image", "list", "--json"])
    assert ended.value.code == 0
    (tiny,) = (image for image in json.loads(capsys.readouterr().out) if image["name"] == "tiny")
    assert tiny["built"] is False
    assert tiny["release"] == "bookworm"


def test_an_unknown_image_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["image", "build", "huge"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "huge" in said
    assert "tiny" in said


@pytest.mark.parametrize("arguments", [["--release", "hamm"], ["tiny:trixie", "--release", "hamm"]])
def test_an_unknown_release_is_told_with_those_that_are(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["image", "build", *arguments])
    assert ended.value.code == 1
    assert "give one of: bookworm, trixie" in " ".join(capsys.readouterr().err.split())


def test_run_hands_its_arguments_to_pytest(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "test_a.py").write_text("def test_a(): pass\ndef test_b(): assert 0\n")
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    command = [sys.executable, "-m", "guestnet.cli", "run", "--report", "out", "-q", "-p", "no:cacheprovider"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
        )

    everything, one = run(), run("test_other.py::test_other")
    assert everything.returncode == 1
    assert "1 failed, 1 passed" in everything.stdout
    assert one.returncode == 0
    assert "1 passed" in one.stdout
    assert list((tmp_path / "out").glob("*.html"))
