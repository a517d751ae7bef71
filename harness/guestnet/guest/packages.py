"""Debian packages for an image: which, fetched, checked, unpacked; as a plain user, nothing installed.

apt does the two things that must not be done by hand: it works out the dependencies (against an empty package
state, so that what this machine has installed plays no part) and it checks what it downloads against the
signed package lists. Its state and cache are put into a folder of ours, so that no lock of the system is
taken.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache, says_disk_full

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: ``stage`` is for people; the unit differs from stage to stage."""

_URI: Final = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) ?(?P<hash>\S*)")
_DEBIAN: Final = Path("/etc/dpkg/origins/debian")
_UNUSED: Final = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info")
_STALLED: Final = 90.0
_STATUS: Final = re.compile(r"dlstatus:\d+:([\d.]+):")


@dataclass(frozen=True, order=True)
class Package:
    """A package of a certain version; ``size`` in bytes, ``checksum`` as apt prints it."""

    name: str
    version: str
    file: str
    size: int
    checksum: str


class Apt:
    """apt with a state of its own below ``folder``; ``cache`` words the error for a full disk."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self._folder = folder
        self._cache = cache
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise EnvironmentMissing(
                    f"{tool} is needed to build an image, which is made of Debian packages",
                    remedy="build it on Debian or Ubuntu (amd64), or copy ~/.cache/guestnet from there",
                )
        (folder / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()

    def resolve(self, names: Sequence[str], leave_out: Sequence[str]) -> list[Package]:
        """The packages ``names`` and all that they depend on, without those matching ``leave_out``,
        sorted."""
        output = self._apt("install", "-y", "--print-uris", "--no-install-recommends", *names)
        found = [_package(match) for match in _URI.finditer(output)]
        chosen = [p for p in found if not any(fnmatch.fnmatchcase(p.name, pattern) for pattern in leave_out)]
        if not chosen:
            raise EnvironmentMissing("apt found no packages for the image", remedy="sudo apt-get update")
        return sorted(chosen)

    def download(self, packages: Sequence[Package], into: Path, progress: Progress) -> None:
        """Fetch ``packages`` into ``into``; apt checks each, also one that is there already."""
        wanted = [f"{package.name}={package.version}" for package in packages]
        # On a full disk apt tries for ever.
        self._cache.require_room(sum(package.size for package in packages), "build an image")
        reading, writing = os.pipe()
        with os.fdopen(reading) as status:
            try:
                process = self._start(["download", "-o", f"APT::Status-Fd={writing}", *wanted], into, writing)
            finally:
                os.close(writing)
            with process:
                try:
                    self._follow(status, progress)
                    output = process.communicate()[0]
                except BaseException:
                    process.kill()
                    raise
        missing = [package for package in packages if not (into / package.file).is_file()]
        if process.returncode != 0 or missing:
            raise self._failure("download", output)
        progress("downloading packages", 100, 100)

    def _follow(self, status: IO[str], progress: Progress) -> None:
        """Tell apt's progress until it ends. Raises EnvironmentMissing when there is none for long."""
        last, since = -1, time.monotonic()
        progress("downloading packages", 0, 100)
        for line in status:
            if match := _STATUS.match(line):
                done = round(float(match[1]))
                if done != last:
                    last, since = done, time.monotonic()
                    progress("downloading packages", done, 100)
                elif time.monotonic() - since > _STALLED:
                    raise EnvironmentMissing(
                        f"apt made no progress at the download for {_STALLED:g} s",
                        remedy="check the network and the disk, and try again",
                    )

    def unpack(self, packages: Sequence[Package], source: Path, into: Path, progress: Progress) -> None:
        """Lay the files of ``packages`` into ``into``; nothing of them is run."""
        into.mkdir()
        for done, package in enumerate(packages):
            progress("unpacking packages", done, len(packages))
            self._unpack(source / package.file, into)
        progress("unpacking packages", len(packages), len(packages))

    def _unpack(self, package: Path, into: Path) -> None:
        # Not dpkg-deb --extract: as the root of a user namespace it would fail to give files to their owners.
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as packed:
            result = subprocess.run(
                ["tar", "-x", "-C", into, "--no-same-owner", *(f"--exclude={path}" for path in _UNUSED)],
                stdin=packed.stdout,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
            if packed.stdout is not None:
                packed.stdout.close()
        if result.returncode != 0 or packed.returncode != 0:
            raise self._failure(f"unpacking {package.name}", result.stderr or "it is damaged")

    def _apt(self, *arguments: str) -> str:
        with self._start(arguments, self._folder) as process:
            output = process.communicate()[0]
        if process.returncode != 0:
            raise self._failure(arguments[0], output)
        return output

    def _start(self, arguments: Sequence[str], folder: Path, *descriptors: int) -> subprocess.Popen[str]:
        options = {
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": self._folder / "archives",
            "Debug::NoLocking": "1",
            "APT::Architecture": "amd64",
            # Only root would change to another user, which could not write into our folder.
            "APT::Sandbox::User": "root",
        }
        command = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items()), *arguments]
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=descriptors,
        )

    def _failure(self, doing: str, output: str) -> EnvironmentMissing:
        if says_disk_full(output) or "enough free space" in output:
            return self._cache.full("build an image")
        complaints = [
            line for line in output.splitlines() if line.startswith(("E:", "W:", "dpkg-deb: error"))
        ]
        said = "; ".join(complaints[-3:]) or " ".join(output.split())[-300:]
        if "Unable to locate package" in output and not _DEBIAN.exists():
            return EnvironmentMissing(
                f"apt does not know packages of the image ({said})",
                remedy="an image is made of Debian's packages: build it on Debian 12 or newer",
            )
        if "Unable to locate package" in output or "404" in output or "no installation candidate" in output:
            return EnvironmentMissing(
                f"apt's package lists are missing or old ({said})", remedy="sudo apt-get update"
            )
        return EnvironmentMissing(
            f"apt failed at {doing} ({said})", remedy="check the network and run: sudo apt-get update"
        )


def _package(match: re.Match[str]) -> Package:
    # name_version_architecture.deb, with a colon of the version written as %3a.
    file = match["file"]
    name, version, _ = file.removesuffix(".deb").split("_")
    return Package(name, unquote(version), file, int(match["size"]), match["hash"])
