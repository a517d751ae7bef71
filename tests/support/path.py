"""The PATH of the suite: folders of links to the programs that the suite may start, and to nothing else.

So one that somebody has installed by hand can't hide that the table (guestnet.system.programs) lacks it: on a
bare machine it would be missing. Beside the table there are the programs of this environment, and of the base
system: on Debian those of the essential and required packages, which every installation has.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from guestnet.system import programs

_DPKG = Path("/var/lib/dpkg")
_BASE = ("\nEssential: yes\n", "\nPriority: required\n")
_FOLDERS = ("bin", "sbin")
_ALTERNATIVES = ("awk", "which")
"""Of the base system too, but made by update-alternatives(1), so in no package."""


def only_known(folder: Path, dpkg: Path = _DPKG) -> dict[str, str]:
    """Fill ``folder``; gives the environment variables that have it used.

    None where the base system is not known, because this is no Debian.
    """
    if not (dpkg / "status").exists():
        return {}
    folder.chmod(0o755)  # tests start programs as other users, too
    for program in (*_base(dpkg), *_listed()):
        place = folder / program.parent.name / program.name
        place.parent.mkdir(exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(program)
    environment = [Path(sys.prefix)] if sys.prefix != sys.base_prefix else []
    path = os.pathsep.join(str(each / "bin") for each in (*environment, folder))
    return {"PATH": path, programs.SYSTEM_PATH: str(folder / "sbin")}


def _listed() -> Iterator[Path]:
    # In each of these folders: some programs are both in bin and in sbin.
    for place in map(Path, programs.search_path().split(os.pathsep)):
        if place.name in _FOLDERS:
            names = (*programs.table(), *_ALTERNATIVES)
            yield from (place / name for name in names if os.access(place / name, os.X_OK))


def _base(dpkg: Path) -> Iterator[Path]:
    for stanza in (dpkg / "status").read_text().split("\n\n"):
        if any(words in f"\n{stanza}\n" for words in _BASE):
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
            yield from _programs_of(fields["Package"], fields["Architecture"], dpkg)


def _programs_of(package: str, architecture: str, dpkg: Path) -> Iterable[Path]:
    for name in (package, f"{package}:{architecture}"):
        files = dpkg / "info" / f"{name}.list"
        if files.exists():
            paths = map(Path, files.read_text().splitlines())
            return [path for path in paths if path.parent.name in _FOLDERS and path.is_file()]
    return []
