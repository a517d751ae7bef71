"""The options of the command line, and their short forms.

Each is ``--guestnet-NAME``, which is nobody else's. ``--NAME`` is the same wherever no other plugin and no
conftest has an option of that name. What conftests add is known only when they are loaded, and later ones
may still add more, so a short form is never an option of pytest's: it is rewritten on the command line
before that is parsed for good. ``addopts`` and PYTEST_ADDOPTS are part of that command line.
"""

import argparse
import copy
from collections.abc import Collection, Generator
from typing import Final

import pytest

from guestnet.plugin import settings as choices

VALUED: Final = ("stack", "guest", "image", "report", "keep", "seed")
"""Options with a value; any other is a flag."""

NAMES: Final = (*VALUED, "strict-environment")
SHORT: Final = pytest.StashKey[Collection[str]]()
"""The options that may be written in their short form."""


def add(parser: pytest.Parser) -> None:
    """All options, in the form that collides with nobody's."""
    group = parser.getgroup(
        "guestnet", "labs with guests and their network (each also without 'guestnet-', where that is free)"
    )
    group.addoption(
        "--guestnet-stack", action="append", metavar="NAME[,NAME]",
        help="network stack under test; several run each scenario once on each (default: builtin)",
    )  # fmt: skip
    group.addoption("--guestnet-guest", choices=choices.GUESTS, help="kind of guest (default: qemu)")
    group.addoption(
        "--guestnet-image", metavar="NAME[:RELEASE]", default=choices.DEFAULT_IMAGE,
        help=f"what guests are made of, of a release of Debian (default: {choices.DEFAULT_IMAGE})",
    )  # fmt: skip
    group.addoption(
        "--guestnet-report", metavar="DIR",
        help="write run.json, all artifacts and one HTML file into the folder DIR",
    )  # fmt: skip
    group.addoption(
        "--guestnet-keep", choices=choices.KEEP,
        help="artifacts of which scenarios to keep (default: on with a report, else retain-on-failure)",
    )  # fmt: skip
    group.addoption(
        "--guestnet-seed", type=choices.parse_seed, default=choices.DEFAULT_SEED, metavar="N",
        help=f"of everything random in the labs: a number or 'random' (default: {choices.DEFAULT_SEED})",
    )  # fmt: skip
    group.addoption(
        "--guestnet-strict-environment", action="store_true",
        help="what this machine lacks is an error instead of a skip",
    )  # fmt: skip
    group.addoption("--guestnet-needs-guests", action="store_true", help=argparse.SUPPRESS)


def spelled(config: pytest.Config, name: str) -> str:
    """The option ``name`` as it may be written in this project: short if that is free."""
    return f"--{name}" if name in config.stash.get(SHORT, ()) else f"--guestnet-{name}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Rewrite the short forms that are still free when the conftests are loaded."""
    # Which conftests are loaded depends on the files that are named, and the value of an option is none.
    bare = without(args, _free(early_config))
    parsed = parser.parse_known_args(bare, namespace=copy.copy(early_config.option))
    early_config.known_args_namespace.file_or_dir = parsed.file_or_dir
    result = yield
    early_config.stash[SHORT] = _free(early_config)
    args[:] = rewritten(args, early_config.stash[SHORT])
    return result


def _free(config: pytest.Config) -> frozenset[str]:
    absent = object()
    return frozenset(name for name in NAMES if config.getoption(f"--{name}", default=absent) is absent)


def rewritten(args: Collection[str], names: Collection[str]) -> list[str]:
    """``args`` with ``--NAME`` as ``--guestnet-NAME`` for each of ``names``; nothing after ``--`` changes."""
    words = list(args)
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        if _short(word) in names:
            words[at] = f"--guestnet-{word.removeprefix('--')}"
    return words


def without(args: Collection[str], names: Collection[str]) -> list[str]:
    """``args`` without the short forms of ``names`` and their values."""
    kept: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            return [*kept, word, *words]
        if _short(word) not in names:
            kept.append(word)
        elif _short(word) in VALUED and "=" not in word:
            next(words, None)
    return kept


def _short(word: str) -> str:
    """``seed`` of ``--seed`` and ``--seed=7``; of another word nothing."""
    return word[2:].partition("=")[0] if word.startswith("--") else ""
