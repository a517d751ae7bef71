"""What an image is made of: ``images/NAME/image.toml`` and the files beside it.

A recipe is data, so that a user adds an image without touching this package. Besides ``image.toml`` a
recipe's folder may hold ``root/`` (files of the root filesystem) and ``initramfs/`` (files of the initramfs,
with at least ``init``). A file that begins with ``#!`` is executable in the image, any other is not, whatever
its mode here.

A recipe names the Debian release that its image is made of; ``tiny:trixie`` is ``tiny`` made of another one.
What only one release has or needs stands in ``[releases.NAME]``, beside what they have in common.

Recipes are looked for in ``GUESTNET_IMAGES`` (folders, separated by colons), then in the installed package
(``guestnet/_data/images``), then in the checkout (``images/``).
"""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.guest import debian
from guestnet.system.data import data_folder

IMAGES_VARIABLE: Final = "GUESTNET_IMAGES"
FORMAT: Final = 1


class Packages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of Debian packages; ``leave_out`` are patterns of dependencies of which no file is needed."""

    kernel: str
    install: tuple[str, ...]
    leave_out: tuple[str, ...] = ()


class Kernel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of modules as in file names, without ``.ko``; words of the kernel's command line."""

    early_modules: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    command_line: tuple[str, ...] = ()


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the packages goes into the root filesystem; paths are those of a system with a merged /usr."""

    include: tuple[str, ...]
    directories: tuple[str, ...] = ()
    busybox_applets: bool = True
    links: dict[str, str] = {}


class Peculiar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one release: further packages and paths, as in `Packages` and `Root`."""

    install: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


class _Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    name: str
    packages: Packages
    root: Root
    release: str = ""
    summary: str = ""
    kernel: Kernel = Kernel()
    releases: dict[str, Peculiar] = {}


class Recipe(msgspec.Struct, frozen=True):
    """A recipe for one release of Debian, read and found sound. ``digest`` is of everything in its folder
    (hex SHA-256), whatever the release."""

    name: str
    release: str
    summary: str
    folder: Path
    packages: Packages
    kernel: Kernel
    root: Root
    digest: str


def search_path() -> list[Path]:
    """The folders that may hold recipes, the first one that has a recipe wins."""
    own = [Path(entry) for entry in os.environ.get(IMAGES_VARIABLE, "").split(":") if entry]
    return [*own, data_folder("images")]


def names() -> list[str]:
    """Names of all recipes that can be found, sorted."""
    found = {entry.parent.name for folder in search_path() for entry in folder.glob("*/image.toml")}
    return sorted(found)


def load(name: str) -> Recipe:
    """The recipe called ``name``; "NAME:RELEASE" is for that release of Debian instead of its own.

    Raises DescriptionError when there is none, it is not sound, or the release is unknown.
    """
    plain, _, release = name.partition(":")
    for folder in search_path():
        if (folder / plain / "image.toml").is_file():
            return read(folder / plain, release)
    known = ", ".join(names()) or "none"
    raise DescriptionError(
        f"there is no image recipe {plain!r}",
        remedy=f"use one of: {known}; or name the folder of your own recipes in {IMAGES_VARIABLE}",
    )


def read(folder: Path, release: str = "") -> Recipe:
    """The recipe in ``folder``, for ``release`` instead of its own if that is given.

    Raises DescriptionError naming the file and the key that is wrong, or the release that is unknown.
    """
    file = folder / "image.toml"
    description = _described(file)
    if release:
        debian.key_of(release)
    elif description.release not in (known := debian.releases()):
        said = f"release is {description.release!r}" if description.release else "release is missing"
        raise DescriptionError(
            f"{file}: {said}", remedy=f"name the release of Debian it is made of: {', '.join(known)}"
        )
    if not (folder / "initramfs" / "init").is_file():
        raise DescriptionError(
            f"{folder}/initramfs/init is missing", remedy="it is the guest's first process"
        )
    packages, root = description.packages, description.root
    release = release or description.release
    peculiar = description.releases.get(release, Peculiar())
    return Recipe(
        name=description.name,
        release=release,
        summary=description.summary,
        folder=folder,
        packages=msgspec.structs.replace(packages, install=(*packages.install, *peculiar.install)),
        kernel=description.kernel,
        root=msgspec.structs.replace(root, include=(*root.include, *peculiar.include)),
        digest=_digest(folder),
    )


def _described(file: Path) -> _Description:
    try:
        description = msgspec.toml.decode(file.read_bytes(), type=_Description)
    except FileNotFoundError:
        raise DescriptionError(
            f"{file} is missing", remedy="an image recipe is a folder with this file"
        ) from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise DescriptionError(f"{file}: {error}", remedy="guestnet.guest.recipe names the keys") from None
    if description.format != FORMAT:
        raise DescriptionError(
            f"{file}: format is {description.format}", remedy=f"this Guestnet reads {FORMAT}"
        )
    if description.name != file.parent.name:
        raise DescriptionError(
            f"{file}: name is {description.name!r}",
            remedy=f"it must be that of its folder, {file.parent.name!r}",
        )
    return description


def files(folder: Path) -> list[tuple[str, bytes]]:
    """``(path relative to folder, content)`` of every file below it, sorted."""
    if not folder.is_dir():
        return []
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]


def is_script(content: bytes) -> bool:
    """Whether a recipe's file is to be executable."""
    return content.startswith(b"#!")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, content in files(folder):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
