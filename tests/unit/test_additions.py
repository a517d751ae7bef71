"""How many files a new thing touches, counted on those that are there: see "Adding" in ARCHITECTURE.md."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from guestnet.core.events import AnyEvent
from guestnet.lab.requests import protocol
from guestnet.lab.requests.request import Request
from guestnet.link.rules.base import EntryKind, Kind
from guestnet.link.rules.delay import Delay
from guestnet.link.settings import RULES, Impairments
from guestnet.world import servers
from guestnet.world.described.server import KINDS, ServerKind
from guestnet.world.servers.process import STARTERS
from tests.support.families import subclasses

ROOT = Path(__file__).parents[2] / "harness" / "guestnet"
MOST = 4


@cache
def names(path: Path) -> frozenset[str]:
    """What the file names, defines or imports, and the texts in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.alias(name=name) | ast.Name(id=name):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="ask" | "protocol" | "events"), attr=name):
                found.add(name)
            case ast.Constant(value=str() as text):
                found.add(text)
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


@pytest.mark.parametrize("request_", get_args(protocol.AnyRequest), ids=lambda each: each.__name__)
def test_a_request(request_: type[Request[Any]]) -> None:
    """Its struct, who answers it, the verb that asks, and the part that does it where that is another."""
    files = files_with(request_.__name__, "lab", "scenario", "cli")
    assert len(files) <= MOST or request_ in OF_THE_PROTOCOL, files


OF_THE_PROTOCOL = {protocol.Start, protocol.Stop, protocol.Status}
"""They are also how a client and a door say that they come and go."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_server(kind: str) -> None:
    """Its row in ``world.described.server``, how it starts, its own file; a docstring names it."""
    files = files_with(kind, "world/servers")
    assert len(files) <= MOST - 1, files
    assert re.search(rf"\b{kind}\b", str(servers.__doc__))


def test_each_kind_of_server_is_something_or_says_who_it_is() -> None:
    assert set(KINDS) == set(get_args(ServerKind))
    # What answers for the names of a name server that fail is in the server process.
    assert STARTERS.keys() == {kind for kind, each in KINDS.items() if each.by == "process"} | {"dns"}


def test_an_event() -> None:
    """Two files list all; who writes one is the third, and for one of the stack ``scenario.expecting``."""
    events = [each.__name__ for each in get_args(AnyEvent)]
    listing = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if sum(event in names(path) for event in events) > len(events) / 3
    }
    assert listing == {"core/events.py", "core/showing.py"}
