"""A profile made of several TOML files: ``include = ["internet"]`` puts parts below it.

A part is a TOML file in the folder "parts" beside the profile, or of the ready profiles. It is merged with
the profile: tables are joined key by key, lists one after the other, the parts' first; any other value
belongs to one of the files. What is wrong is told with the file and the line where it is written.
"""

import copy
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from guestnet.core.errors import DescriptionError
from guestnet.world.described.place import Place, dotted
from guestnet.world.profiles.toml_lines import line_of

INCLUDE: Final = "include"
PARTS: Final = "parts"


class _File(NamedTuple):
    name: str
    text: str
    data: dict[str, Any]


class Source:
    """The text of a profile and its parts. ``data`` is what they say together."""

    def __init__(self, text: str, file: str, folders: Sequence[Path]) -> None:
        """Parts are looked for in ``folders``, in their order. Raises DescriptionError."""
        own = _read(text, file)
        self._files = [*_parts(own, folders), own]
        self.data: dict[str, Any] = {}
        for each in self._files:
            self._join((), self.data, each.data, each)
        self.data.pop(INCLUDE, None)

    def wrong(self, place: Place, what: str, allowed: str) -> DescriptionError:
        """The error about ``place`` in ``data``: where it is written, what is wrong, what is allowed."""
        file, there = self._locate(place)
        return _error(file, there, what, allowed, place)

    def _join(self, place: Place, into: dict[str, Any], data: dict[str, Any], file: _File) -> None:
        for key, value in data.items():
            there = (*place, key)
            if key not in into:
                into[key] = copy.deepcopy(value)
            elif isinstance(into[key], dict) and isinstance(value, dict):
                self._join(there, into[key], value, file)
            elif isinstance(into[key], list) and isinstance(value, list):
                into[key] += value
            else:
                other = next(each for each in self._files if _at(each.data, there) is not None)
                remedy = "write it in one of them only"
                raise _error(file, there, f"{Path(other.name).name} says it too", remedy)

    def _locate(self, place: Place) -> tuple[_File, Place]:
        """The file that says most of ``place``, and the place by that file's own counting."""
        own = self._files[-1]
        for end, step in enumerate(place):
            if isinstance(step, int):
                index = step
                for file in self._files:
                    found = _at(file.data, place[:end])
                    length = len(found) if isinstance(found, list) else 0
                    if index < length:
                        return file, (*place[:end], index, *place[end + 1 :])
                    index -= length
                return own, place
        for end in range(len(place), 0, -1):
            # The profile last read wins: what it adds to a part's table is what is most likely meant.
            for file in reversed(self._files):
                if _at(file.data, place[:end]) is not None:
                    return file, place
        return own, place


def _parts(own: _File, folders: Sequence[Path]) -> list[_File]:
    given = own.data.get(INCLUDE, [])
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise _error(own, (INCLUDE,), "is no name", 'write include = "internet", or a list of names')
    return [_part(own, name, index, folders) for index, name in enumerate(names)]


def _part(own: _File, name: str, index: int, folders: Sequence[Path]) -> _File:
    for folder in folders:
        path = folder / PARTS / f"{name}.toml"
        if _is_there(own, path, index):
            part = _read(text_of(path, str(path)), str(path))
            if INCLUDE in part.data:
                raise _error(part, (INCLUDE,), "a part includes nothing", "include it in the profile")
            return part
    there = sorted({path.stem for folder in folders for path in (folder / PARTS).glob("*.toml")})
    raise _error(own, (INCLUDE, index), f"there is no part {name!r}", "give one of " + ", ".join(there))


def _is_there(own: _File, path: Path, index: int) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        remedy = "let the user who runs this read it"
        raise _error(own, (INCLUDE, index), f"{path}: {error.strerror}", remedy) from error


def text_of(path: Path, name: str) -> str:
    """The text of the file at ``path``, which errors call ``name``. Raises DescriptionError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DescriptionError(f"{name}: {error.strerror}", remedy="give a readable TOML file") from error
    except UnicodeDecodeError as error:
        raise DescriptionError(f"{name} is not UTF-8 ({error})", remedy="TOML files are UTF-8") from error


def _read(text: str, file: str) -> _File:
    try:
        return _File(file, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0] or text.count("\n") + 1
        raise DescriptionError(f"{file}:{line}: {what}", remedy="see toml.io for what TOML allows") from error


def _error(
    file: _File, there: Place, what: str, allowed: str, place: Place | None = None
) -> DescriptionError:
    where = f"{file.name}:{line_of(file.text, there)}"
    shown = dotted(there if place is None else place)
    return DescriptionError(f"{where}: {shown}: {what}" if shown else f"{where}: {what}", remedy=allowed)


def _at(data: Any, place: Place) -> Any:
    """What is at ``place``, a place without indexes; None when there is nothing."""
    for step in place:
        if not isinstance(data, dict) or step not in data:
            return None
        data = data[str(step)]
    return data
