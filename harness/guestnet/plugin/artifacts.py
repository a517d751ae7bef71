"""The files that scenarios leave: a new folder for each attempt, and nothing removed but what was written."""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

ARTIFACTS: Final = "scenarios"
"""Folder of all folders of artifacts, within the run folder or pytest's temporary one."""


def make_folder(base: Path, nodeid: str) -> Path:
    """A new folder below ``base`` for a test's artifacts: readable, and never one that was there."""
    name = re.sub(r"[^\w.-]+", "-", nodeid.rpartition("::")[2]).strip("-")[:60]
    name = f"{name}-{hashlib.sha256(nodeid.encode()).hexdigest()[:6]}"
    numbers = itertools.count(2)
    folder = base / ARTIFACTS / name
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            folder = folder.with_name(f"{name}-{next(numbers)}")
        else:
            return folder


def files_in(folder: Path) -> list[str]:
    """All files below ``folder``, relative to it, with ``/``."""
    return sorted(
        (Path(where) / name).relative_to(folder).as_posix()
        for where, _, names in os.walk(folder)
        for name in names
    )


def remove(folder: Path, files: Iterable[str]) -> None:
    """Remove ``files`` of ``folder``, and the folders that held them, itself too, if they are empty then."""
    homes = {folder}
    for name in files:
        path = folder / name
        in_place = path.parent.resolve() == (folder.resolve() / name).parent  # no link is in its way
        if in_place and (path.is_file() or path.is_symlink()):
            path.unlink()
            homes.update(folder / parent for parent in PurePosixPath(name).parents)
    for home in sorted(homes, key=lambda home: len(home.parts), reverse=True):
        with suppress(OSError):  # somebody has put something there
            home.rmdir()
