"""docs/reference.md is what the docstrings say."""

import guestnet.scenario
from docs import reference


def test_the_reference_is_current() -> None:
    assert reference.TARGET.read_text("utf-8") == reference.render(), "run nox -s reference"


def test_whatever_an_author_imports_is_in_it() -> None:
    text = reference.TARGET.read_text("utf-8")
    headings = {line.strip("# ").partition(" (")[0] for line in text.splitlines() if line.startswith("#")}
    words = {heading.removeprefix("Matchers: ") for heading in headings}
    # An end is made by verbs, not by authors.
    assert set(guestnet.scenario.__all__) - words == {"Endpoint"}


def test_a_verb_stands_there_with_its_arguments_and_what_it_raises() -> None:
    text = reference.render()
    start = text.index("#### connect\n")
    part = text[start : text.index("####", start + 4)]
    assert "connect(host: str, port: int, *, timeout: Duration=10.0, family: Family=4) -> Attempt" in part
    assert "A TCP connect to `host`, a name or an address" in part
