import pytest

from guestnet.report.text import first_line, terminal, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümläut and 中", "plain text, ümläut and 中"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("nul \x00 bell \x07 delete \x7f", r"nul \x00 bell \x07 delete \x7f"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ],
)
def test_what_hides_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("\x1b]0;title\x07shell", "shell"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset\x1b[2J\x1b[H", "reset"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("cut off \x1b[", r"cut off \x1b["),
    ],
)
def test_a_terminals_escapes_are_gone(text: str, shown: str) -> None:
    assert terminal(text) == shown


def test_the_first_line_is_the_first_with_words() -> None:
    assert first_line("\n\n   It works.  \n More.") == "It works."
    assert first_line(" \n ") == ""
