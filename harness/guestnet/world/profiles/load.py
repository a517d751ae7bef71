"""Profiles: worlds in TOML files, found by name or by path, read with the line of whatever is wrong."""

import re
import typing
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.system.data import data_folder
from guestnet.world.described.impair import LinkImpairments
from guestnet.world.described.model import Host, Link, Route, Uplink
from guestnet.world.described.nat64 import Nat64
from guestnet.world.described.place import Place, WorldError
from guestnet.world.described.portal import Portal
from guestnet.world.described.server import Record, Server
from guestnet.world.described.vpn import Vpn
from guestnet.world.described.world import World
from guestnet.world.profiles.include import INCLUDE, Source, text_of

T = TypeVar("T", bound=msgspec.Struct)

_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "hosts": Host,
    "links": Link,
    "servers": Server,
    "uplinks": Uplink,
    "nat64": Nat64,
    "vpns": Vpn,
    "portals": Portal,
}
_KEYS: Final = ("name", INCLUDE, *_TABLES)
_NESTED: Final[dict[str | int, type[msgspec.Struct]]] = {
    "routes": Route,
    "records": Record,
    "impair": LinkImpairments,
}
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

_Wrong = Callable[[Place, str, str], DescriptionError]
"""Makes the error about a place: what is wrong there, and what is allowed."""


def profile_folder() -> Path:
    """Where the ready profiles are: in an installed package with it, in a checkout beside it."""
    return data_folder("fixtures", "profiles")


def profile_names() -> list[str]:
    """The ready profiles, sorted."""
    return sorted(path.stem for path in profile_folder().glob("*.toml"))


def profile_words(name: str) -> list[str]:
    """The page of words at the head of the ready profile ``name``, in lines. Raises DescriptionError."""
    lines = text_of(_path_of(name), name).splitlines()
    return [line.removeprefix("#").removeprefix(" ") for line in takewhile(_is_comment, lines)]


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def load_profile(name: str) -> World:
    """The ready profile called ``name``, or the one in the file at the path ``name`` (which has a "/" or ends
    in ".toml"). Raises DescriptionError."""
    path = _path_of(name)
    return parse_profile(text_of(path, name), str(path))


def _path_of(name: str) -> Path:
    if "/" in name or name.endswith(".toml"):
        return Path(name)
    path = profile_folder() / f"{name}.toml"
    if not path.is_file():
        raise DescriptionError(
            f"there is no profile called {name!r}",
            remedy="choose one of " + ", ".join(profile_names()) + ", or give the path of a TOML file",
        )
    return path


def parse_profile(text: str, file: str) -> World:
    """The world that the TOML ``text`` describes; ``file`` names it in errors, and parts that it includes are
    looked for beside it first. Raises DescriptionError."""
    source = Source(text, file, [Path(file).parent, profile_folder()])
    data, wrong = source.data, source.wrong
    for key in data:
        if key not in _KEYS:
            raise wrong((key,), "unknown key", "there are " + ", ".join(_KEYS))
    if "name" not in data:
        raise wrong((), "the profile has no name", 'write name = "…"')
    if not isinstance(data["name"], str):
        raise wrong(("name",), f"{data['name']!r} is no text", 'write name = "…"')
    tables: dict[str, dict[str, Any]] = {}
    for key, kind in _TABLES.items():
        entries = data.get(key, {})
        if not isinstance(entries, dict):
            raise wrong((key,), "is no table", f"write [{key}.…]")
        tables[key] = {name: _convert(entry, kind, (key, name), wrong) for name, entry in entries.items()}
    try:
        return World(name=data["name"], **tables)
    except WorldError as error:
        raise wrong(*error.problem) from error


def _convert(entry: object, kind: type[T], place: Place, wrong: _Wrong) -> T:
    try:
        return msgspec.convert(entry, kind)
    except DescriptionError as error:
        # A value that checks itself.
        where = _field_place(entry, place, error)
        raise wrong(where, error.message.removeprefix(f"{where[-1]}: "), error.remedy) from error
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        # Of a key, "`key` in `$.nat_timeouts`".
        path = path.removeprefix("`key` in ").removeprefix("`$")
        inner = _places(path.rstrip("`"))
        structs = [_NESTED[step] for step in inner if step in _NESTED]
        fields = {
            field.name: field.type for field in msgspec.structs.fields(structs[-1] if structs else kind)
        }
        there_are = "there are " + ", ".join(fields)
        if unknown := re.search(r"unknown field `(.+?)`", what):
            raise wrong((*place, *inner, unknown[1]), "unknown key", there_are) from error
        if missing := re.search(r"missing required field `(.+?)`", what):
            raise wrong((*place, *inner), f"the key {missing[1]!r} is missing", there_are) from error
        if expected := re.fullmatch(r"Expected `(.+)`, got `(.+)`", what):
            raise wrong((*place, *inner), f"a value of type {expected[2]}", f"give {expected[1]}") from error
        choices = _choices(fields.get(str(inner[-1])), "`key` in" in str(error)) if inner else []
        allowed = "give one of " + ", ".join(map(str, choices)) if choices else there_are
        raise wrong((*place, *inner), what[0].lower() + what[1:], allowed) from error


def _choices(kind: object, of_keys: bool) -> list[object]:
    """What a value of ``kind`` can be where that is a list, of an optional one too; of a mapping its keys or
    its values."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return list(arguments)
    if typing.get_origin(kind) is dict:
        arguments = arguments[:1] if of_keys else arguments[1:]
    return [choice for each in arguments for choice in _choices(each, of_keys)]


def _field_place(entry: object, place: Place, error: DescriptionError) -> Place:
    """The deepest place in ``entry`` that is called as the setting that ``error`` is about."""
    field = getattr(error, "field", "")
    if isinstance(entry, dict):
        if field in entry:
            return (*place, field)
        for key, value in entry.items():
            inner = _field_place(value, (*place, key), error)
            if inner[-1] == field:
                return inner
    return place


def _places(path: str) -> Place:
    """msgspec's ``.routes[0].via`` as a place; at ``[...]``, a key that it does not tell, the place ends."""
    steps: list[str | int] = []
    for key, index in _STEP.findall(path.partition("[...]")[0]):
        steps.append(key or int(index))
    return tuple(steps)
