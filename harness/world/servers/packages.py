"""A package repository as Debian's are (Debian policy 5, "apt-secure" aside: nothing is signed).

- ``/dists/stable/Release`` sizes and SHA-256 of the index
- ``/dists/stable/main/binary-amd64/Packages`` the index, also as ``.gz``
- ``/pool/main/…`` the packages: "hello", a few octets, and "data", 256 KiB

They are made when the server starts, the same octets every time.
"""

import gzip
import hashlib
import io
import tarfile
from functools import cache
from typing import Final

from tornado.web import HTTPError

from harness.world.servers.content import content
from harness.world.servers.http import Handler, Routes

_PACKAGES: Final = {"hello": b"Hello, world.\n", "data": content(1 << 18)}
_VERSION: Final = "1.0-1"
_BUILT: Final = 1_750_000_000
"""Modification time of everything, seconds since the epoch."""
_DATE: Final = "Sun, 15 Jun 2025 15:06:40 UTC"
_INDEX: Final = "main/binary-amd64/Packages"


def deb(name: str, file: bytes) -> bytes:
    """A binary package (deb(5)) with one file, /usr/share/NAME/NAME."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"control": _control(name)}),
        "data.tar.gz": _tar({f"usr/share/{name}/{name}": file}),
    }
    archive = b"!<arch>\n"
    for part, octets in parts.items():
        # ar(5): name, time, owner, group, mode, size, magic; parts begin at even places.
        head = f"{part:<16}{_BUILT:<12}{0:<6}{0:<6}{'100644':<8}{len(octets):<10}`\n"
        archive += head.encode() + octets + b"\n" * (len(octets) % 2)
    return archive


@cache
def tree() -> dict[str, bytes]:
    """Every file of the repository by its path."""
    files: dict[str, bytes] = {}
    index = ""
    for name, file in _PACKAGES.items():
        package = deb(name, file)
        path = f"pool/main/{name[0]}/{name}/{name}_{_VERSION}_all.deb"
        files[path] = package
        control = _control(name).decode()
        index += f"{control}Filename: {path}\nSize: {len(package)}\nSHA256: {_sha256(package)}\n\n"
    indexes = {_INDEX: index.encode(), f"{_INDEX}.gz": gzip.compress(index.encode(), mtime=_BUILT)}
    sums = "".join(f" {_sha256(each)} {len(each):8} {path}\n" for path, each in indexes.items())
    release = (
        f"Origin: guestnet\nSuite: stable\nCodename: stable\nDate: {_DATE}\nArchitectures: all amd64\n"
        f"Components: main\nSHA256:\n{sums}"
    )
    files["dists/stable/Release"] = release.encode()
    return files | {f"dists/stable/{path}": each for path, each in indexes.items()}


class _File(Handler):
    def get(self, path: str) -> None:
        found = tree().get(path)
        if found is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("X-Sha256", _sha256(found))
        self.finish(found)

    head = get


ROUTES: Final[Routes] = [(r"/(.*)", _File)]


def _control(name: str) -> bytes:
    return (
        f"Package: {name}\nVersion: {_VERSION}\nArchitecture: all\n"
        f"Maintainer: nobody <nobody@example.org>\nDescription: {name}, for tests\n"
    ).encode()


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, octets in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mtime = len(octets), _BUILT
            archive.addfile(member, io.BytesIO(octets))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=_BUILT)


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
