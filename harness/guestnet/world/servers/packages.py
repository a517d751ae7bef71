"""A package repository as Debian's are (Debian policy 5, apt-secure(8)).

- ``/dists/stable/InRelease`` sizes and SHA-256 of the index, signed; ``Release`` the same unsigned
- ``/archive-keyring.gpg`` the key that signs
- ``/dists/stable/main/binary-amd64/Packages`` the index, also as ``.gz``
- ``/pool/main/…`` the packages: "hello", a program that says it, and "data", 256 KiB in /usr/share/data

They are made when the server starts, the same octets every time.
"""

import hashlib
from functools import cache
from typing import Final

from tornado.web import HTTPError

from guestnet.world.servers.archives import BUILT, gzipped, tar
from guestnet.world.servers.content import content
from guestnet.world.servers.http import Handler, Routes
from guestnet.world.servers.openpgp import Signer

_PACKAGES: Final = {
    "hello": ("usr/bin/hello", b"#!/bin/sh\necho 'Hello, world.'\n"),
    "data": ("usr/share/data/data", content(1 << 18)),
}
"""The one file that each has: its path and what is in it."""
_VERSION: Final = "1.0-1"
_DATE: Final = "Sun, 15 Jun 2025 15:06:40 UTC"
_INDEX: Final = "main/binary-amd64/Packages"
KEYRING: Final = "archive-keyring.gpg"
"""Path of the key, which clients are to have beforehand: `tree` has it."""


def deb(name: str, path: str, octets: bytes) -> bytes:
    """A binary package (deb(5)) with one file at ``path``; a program, if it begins with ``#!``."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzipped(tar({"control": _control(name)})),
        "data.tar.gz": gzipped(tar({path: octets}, folders=True)),
    }
    archive = b"!<arch>\n"
    for part, packed in parts.items():
        # ar(5): name, time, owner, group, mode, size, magic; parts begin at even places.
        head = f"{part:<16}{BUILT:<12}{0:<6}{0:<6}{'100644':<8}{len(packed):<10}`\n"
        archive += head.encode() + packed + b"\n" * (len(packed) % 2)
    return archive


@cache
def tree() -> dict[str, bytes]:
    """Every file of the repository by its path."""
    files: dict[str, bytes] = {}
    index = ""
    for name, file in _PACKAGES.items():
        package = deb(name, *file)
        path = f"pool/main/{name[0]}/{name}/{name}_{_VERSION}_all.deb"
        files[path] = package
        control = _control(name).decode()
        index += f"{control}Filename: {path}\nSize: {len(package)}\nSHA256: {_sha256(package)}\n\n"
    indexes = {_INDEX: index.encode(), f"{_INDEX}.gz": gzipped(index.encode())}
    sums = "".join(f" {_sha256(each)} {len(each):8} {path}\n" for path, each in indexes.items())
    release = (
        f"Origin: guestnet\nSuite: stable\nCodename: stable\nDate: {_DATE}\nArchitectures: all amd64\n"
        f"Components: main\nSHA256:\n{sums}"
    )
    signer = Signer("guestnet packages <nobody@example.org>", BUILT)
    files[KEYRING] = signer.keyring
    files["dists/stable/Release"] = release.encode()
    files["dists/stable/InRelease"] = signer.clearsigned(release).encode()
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


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
