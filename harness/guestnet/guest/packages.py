"""Debian packages for an image: which, fetched, checked, unpacked; as a plain user, nothing installed.

apt does the two things that must not be done by hand: it works out the dependencies (against an empty package
state, so that what this machine has installed plays no part) and it checks what it downloads against the
package lists, which the release's key has signed. Sources, trusted keys, state and cache are ours, in a
folder that is gone afterwards: so this machine's distribution plays no part either, no lock of the system is
taken, and none of its hooks run. What its apt.conf says of the way to a mirror holds here, too: a proxy,
time-outs, credentials.
"""

import fnmatch
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote

import msgspec

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import debian
from guestnet.guest.cache import Cache, says_disk_full
from guestnet.system.programs import require

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: ``stage`` is for people; the unit differs from stage to stage."""

_URI: Final = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) ?(?P<hash>\S*)")
_UNUSED: Final = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info")
_STALLED: Final = 90.0
_STATUS: Final = re.compile(r"dlstatus:\d+:([\d.]+):")
_NOT_OURS: Final = """\
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
"""Lists of the system's apt.conf that an option can only add to: foreign architectures and hooks."""
_SOURCE: Final = """\
Types: deb
URIs: {mirror}
Suites: {release}
Components: main
Architectures: amd64
Targets: Packages
Signed-By:
{key}
"""
_BAD_SIGNATURE: Final = ("GPG error", "PGP signature verification failed", "Signature verification failed")
"""Words of apt 2, of apt 3 and of apt 3.3."""
_NOT_THERE: Final = ("404", "does not have a Release file")
_REASON: Final = re.compile(r"^[EW]: (?:Failed to fetch \S+ +)?(.*)", re.MULTILINE)


class Package(msgspec.Struct, frozen=True, order=True):
    """A package of a certain version; ``size`` in bytes, ``checksum`` as apt prints it."""

    name: str
    version: str
    file: str
    size: int
    checksum: str


class Archive(msgspec.Struct, frozen=True):
    """A release as a mirror has it: ``version`` is that of its point release, such as "12.15"."""

    mirror: str
    version: str


class Apt:
    """apt for one release of Debian, with a state of its own below ``folder``; ``cache`` words the error for
    a full disk."""

    def __init__(self, folder: Path, cache: Cache, release: str) -> None:
        """Raises EnvironmentMissing without apt, DescriptionError for an unknown release."""
        self._folder = folder
        self._cache = cache
        self._release = release
        self._key = debian.key_of(release)
        for tool in ("apt-get", "dpkg-deb", "tar"):
            require(tool)
        for part in ("archives/partial", "lists/partial", "sources"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(_NOT_OURS)

    def update(self, mirror: str = "") -> Archive:
        """Fetch the release's package lists: from ``mirror``, or from the first of `debian.mirrors` that has
        them with the right signature.

        Raises DescriptionError for a mirror that is no URL, EnvironmentMissing when none of them will do.
        """
        troubles = []
        for address in debian.mirrors(mirror):
            status, output = self._update_from(address)
            if status == 0:
                codename, version = self._apt("indextargets", "--format", "$(CODENAME) $(VERSION)").split()
                if codename == self._release:
                    return Archive(address, version)
                output = f"E: it has {codename} in the place of {self._release}"
            troubles.append(self._trouble(address, output))
        raise EnvironmentMissing(
            "; ".join(troubles), remedy=f"check the network, or {debian.another_mirror()}"
        )

    def _update_from(self, mirror: str) -> tuple[int, str]:
        # An empty line would end the paragraph.
        key = "\n".join(f" {line or '.'}" for line in self._key.splitlines())
        source = _SOURCE.format(mirror=mirror, release=self._release, key=key)
        (self._folder / "sources" / "debian.sources").write_text(source)
        return self._run("update")

    def _trouble(self, mirror: str, output: str) -> str:
        """Why nothing can be had from ``mirror``. Raises EnvironmentMissing on a full disk."""
        if _is_disk_full(output):
            raise self._cache.full("build an image")
        shown = debian.shown(mirror)
        if any(words in output for words in _BAD_SIGNATURE):
            return f"what {shown} has as {self._release} is not signed by Debian's key of that release"
        if any(words in output for words in _NOT_THERE):
            return f"{shown} has no Debian release {self._release}"
        reason = _REASON.search(output)
        said = debian.shown(reason[1]) if reason else "apt does not say why"
        return f"{self._release} can't be had from {shown} ({said})"

    def resolve(self, names: Sequence[str], leave_out: Sequence[str]) -> list[Package]:
        """The packages ``names`` and all that they depend on, without those matching ``leave_out``,
        sorted."""
        output = self._apt("install", "-y", "--print-uris", "--no-install-recommends", *names)
        found = [_package(match) for match in _URI.finditer(output)]
        chosen = [p for p in found if not any(fnmatch.fnmatchcase(p.name, pattern) for pattern in leave_out)]
        if not chosen:
            raise EnvironmentMissing(
                "apt found no packages for the image", remedy="correct [packages] in the image's recipe"
            )
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
        status, output = self._run(*arguments)
        if status != 0:
            raise self._failure(arguments[0], output)
        return output

    def _run(self, *arguments: str) -> tuple[int, str]:
        with self._start(arguments, self._folder) as process:
            output = process.communicate()[0]
        return process.returncode, output

    def _start(self, arguments: Sequence[str], folder: Path, *descriptors: int) -> subprocess.Popen[str]:
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self._folder / "sources",
            "Dir::Etc::trusted": "/dev/null",
            "Dir::Etc::trustedparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": self._folder,
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::State::extended_states": self._folder / "extended_states",
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": self._folder / "archives",
            "Debug::NoLocking": "1",
            "APT::Architecture": "amd64",
            "APT::Default-Release": "",
            "APT::Get::AllowUnauthenticated": "false",
            "APT::Update::Error-Mode": "any",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::GzipIndexes": "true",
            # Only root would change to another user, which could not write into our folder.
            "APT::Sandbox::User": "root",
        }
        words = [f"-c={self._folder / 'apt.conf'}", *(f"-o{key}={value}" for key, value in options.items())]
        return subprocess.Popen(
            ["apt-get", "-q", *words, *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=descriptors,
        )

    def _failure(self, doing: str, output: str) -> EnvironmentMissing:
        if _is_disk_full(output):
            return self._cache.full("build an image")
        complaints = [
            line for line in output.splitlines() if line.startswith(("E:", "W:", "dpkg-deb: error"))
        ]
        said = debian.shown("; ".join(complaints[-3:]) or " ".join(output.split())[-300:])
        if "Unable to locate package" in output or "no installation candidate" in output:
            return EnvironmentMissing(
                f"{self._release} does not have all packages of the image ({said})",
                remedy="correct [packages] in the image's recipe",
            )
        return EnvironmentMissing(
            f"apt failed at {doing} ({said})", remedy="check the network and the mirror, and try again"
        )


def _is_disk_full(output: str) -> bool:
    return says_disk_full(output) or "enough free space" in output


def _package(match: re.Match[str]) -> Package:
    # name_version_architecture.deb, with a colon of the version written as %3a.
    file = match["file"]
    name, version, _ = file.removesuffix(".deb").split("_")
    return Package(name, unquote(version), file, int(match["size"]), match["hash"])
