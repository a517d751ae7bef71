"""The programs that guestnet starts: where they are, what for, and who brings those that are missing.

The table is ``programs.txt`` beside this file, so that ``./dev`` can read it before there is any Python.
"""

import os
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, NamedTuple

from guestnet.core.errors import EnvironmentMissing

Family = Literal["debian", "fedora", "arch"]

SYSTEM_PATH: Final = "GUESTNET_SYSTEM_PATH"
"""The environment variable with the folders to look into after those of PATH."""

_SYSTEM_FOLDERS: Final = "/usr/sbin:/sbin"
"""Where some systems keep programs that a plain user's PATH does not show."""
_INSTALL: Final = {
    "debian": "sudo apt-get install --no-install-recommends",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
}


class Program(NamedTuple):
    """A line of the table. ``purpose`` follows "it": "reads captures"."""

    name: str
    debian: str
    fedora: str
    arch: str
    needed_by: tuple[str, ...]
    purpose: str


@cache
def table() -> dict[str, Program]:
    """All programs by name, in the order of the file."""
    text = files("guestnet.system").joinpath("programs.txt").read_text()
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, debian, fedora, arch, needed_by, purpose = line.split("|")
            found[name] = Program(name, debian, fedora, arch, tuple(needed_by.split()), purpose)
    return found


def search_path() -> str:
    """The folders of PATH, and after them those where only root's PATH looks."""
    searched = [os.environ.get("PATH", os.defpath), os.environ.get(SYSTEM_PATH, _SYSTEM_FOLDERS)]
    return os.pathsep.join(each for each in searched if each)


def find(name: str) -> Path | None:
    """The program ``name``, if it is installed."""
    found = shutil.which(name, path=search_path())
    return None if found is None else Path(found)


def require(name: str) -> Path:
    """The program ``name`` of the table. Raises EnvironmentMissing: what it is for, and how to get it."""
    found = find(name)
    if found is None:
        raise missing(name)
    return found


def missing(name: str) -> EnvironmentMissing:
    """The error that the program ``name`` of the table is not installed."""
    return EnvironmentMissing(f"{name} is not installed (it {table()[name].purpose})", remedy=remedy(name))


def remedy(name: str, os_release: Path = Path("/etc/os-release")) -> str:
    """The command that installs the program ``name`` of the table: that of this family of distributions, or
    those of all where it is another."""
    on = family(os_release)
    packages = table()[name]._asdict()
    commands = {each: f"{install} {packages[each]}" for each, install in _INSTALL.items()}
    return commands[on] if on else "; ".join(f"{each}: {command}" for each, command in commands.items())


def family(os_release: Path = Path("/etc/os-release")) -> Family | None:
    """Of the distribution, by os-release(5); None when it is another."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return None
    values = [line.partition("=")[2].strip('"') for line in lines if line.startswith(("ID=", "ID_LIKE="))]
    words = set(" ".join(values).split())
    if words & {"debian", "ubuntu"}:
        return "debian"
    if words & {"fedora", "rhel"}:
        return "fedora"
    return "arch" if "arch" in words else None
