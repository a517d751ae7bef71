"""Profiles: worlds in TOML files, found by name or by path, read with the line of whatever is wrong."""

import typing
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.system.data import data_folder
from guestnet.world.described.place import WorldError
from guestnet.world.described.tables import Tables
from guestnet.world.described.world import World
from guestnet.world.profiles.convert import ConvertError, convert
from guestnet.world.profiles.include import INCLUDE, Source, text_of

T = TypeVar("T", bound=msgspec.Struct)

_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    field.name: typing.get_args(field.type)[1]
    for field in msgspec.structs.fields(Tables)
    if typing.get_origin(field.type) is dict
}
"""The struct of each table's entries."""
_KEYS: Final = ("name", INCLUDE, *_TABLES)


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
        tables[key] = {}
        for name, entry in entries.items():
            try:
                tables[key][name] = convert(entry, kind)
            except ConvertError as error:
                place, what, allowed = error.fault
                raise wrong((key, name, *place), what, allowed) from error
    try:
        return World(name=data["name"], **tables)
    except WorldError as error:
        raise wrong(*error.problem) from error
