from click.testing import CliRunner

from guestnet.cli import guestnet
from guestnet.world.profiles.load import profile_names


def run(*words: str) -> str:
    result = CliRunner().invoke(guestnet, ["profiles", *words], env={"COLUMNS": "200"})
    assert result.exception is None, result.exception
    return result.output


def test_every_profile_is_listed_with_what_it_is() -> None:
    listed = run()

    for name in profile_names():
        assert name in listed
    assert "two NATs, one in the phone and one at the carrier." in listed


def test_a_profile_is_shown_with_its_words_and_what_is_in_it() -> None:
    shown = run("roaming")

    assert shown.startswith("roaming: a laptop that is carried around")
    for part in (
        "cellular, resolver 100.64.53.53",
        "down at first",
        "home-router",
        "office-dns",
        "10.20.0.1",
    ):
        assert part in shown
