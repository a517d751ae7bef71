"""How many files a new thing touches, counted on those that are there: see "Adding" in ARCHITECTURE.md."""

import ast
from functools import cache
from pathlib import Path

import pytest

from guestnet.link.rules.base import EntryKind, Kind
from guestnet.link.rules.delay import Delay
from guestnet.link.settings import RULES, Impairments
from tests.support.families import subclasses

ROOT = Path(__file__).parents[2] / "harness" / "guestnet"
MOST = 4


@cache
def names(path: Path) -> frozenset[str]:
    """What the file names, defines or imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.alias(name=name) | ast.Name(id=name):
                found.add(name)
    return frozenset(found)


def files_with(name: str, *packages: str) -> list[str]:
    """Where ``name`` is written, in ``packages`` or anywhere."""
    folders = [ROOT / each for each in packages] or [ROOT]
    paths = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return [str(path.relative_to(ROOT)) for path in paths if name in names(path)]


def leaves(base: type[Kind]) -> list[type[Kind]]:
    return [each for each in subclasses(base) if not each.__subclasses__()]


@pytest.mark.parametrize("kind", [*leaves(EntryKind), *leaves(Delay)])
def test_an_impairment(kind: type[Kind]) -> None:
    """Its file, the field that takes it, and the two lists of what authors import and write.

    A stage of its own, as the queue is one, is built in ``link.lane`` besides.
    """
    files = files_with(kind.__name__, "link", "scenario", "report", "world/described", "world/links", "lab")
    assert len(files) <= MOST, files


def test_each_rule_has_a_file_and_those_of_plain_values_a_field() -> None:
    files = {kind.__module__ for kind in leaves(Kind)}
    rules = {f"guestnet.link.rules.{path.stem}" for path in (ROOT / "link" / "rules").glob("*.py")}
    assert files == rules - {f"guestnet.link.rules.{name}" for name in ("__init__", "base", "queue", "rate")}
    assert set(RULES) <= set(Impairments.__struct_fields__)
