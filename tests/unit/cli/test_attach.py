"""The prompt of ``guestnet attach``: what is said wrongly there is one sentence."""

from pathlib import Path

import pytest

from guestnet.cli.attach import Console
from guestnet.core.errors import DescriptionError


@pytest.fixture
def console(tmp_path: Path) -> Console:
    def misuse() -> None:
        raise DescriptionError("80800 is no port", remedy="give a number from 1 to 65535")

    return Console({"misuse": misuse})


def test_an_error_of_the_lab_is_its_sentence_alone(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not console.push("misuse()")
    assert capsys.readouterr().err == "80800 is no port: give a number from 1 to 65535\n"


def test_any_other_error_is_shown_as_python_does(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    console.push("1 / 0")
    assert "Traceback" in (said := capsys.readouterr().err)
    assert "ZeroDivisionError: division by zero" in said
