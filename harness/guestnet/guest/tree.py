"""An image's root filesystem as a folder, for guests that are namespaces of this machine.

It is unpacked once, beside the image, and goes when the image goes. Whoever uses it mounts it read-only.
"""

import subprocess
from pathlib import Path
from typing import Final

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache, says_disk_full
from guestnet.guest.image import Image
from guestnet.system.programs import require

_NAME: Final = "tree"
_INSIDE: Final = "root"


def find(image: Image) -> Path | None:
    """The unpacked root filesystem of ``image``, if it is there."""
    tree = image.folder / _NAME / _INSIDE
    return tree if tree.is_dir() else None


def unpack(image: Image, cache: Cache) -> Path:
    """Like find, after unpacking it if need be. Blocks: from asyncio, call it in a thread.

    Raises EnvironmentMissing when there is no unsquashfs, or no room.
    """
    if (tree := find(image)) is not None:
        return tree
    with cache.lock(f"tree-{image.folder.name}"):
        if (tree := find(image)) is not None:
            return tree
        with cache.making(str(image.folder.relative_to(cache.folder)), _NAME) as folder:
            _unsquash(image.root, folder / _INSIDE, cache)
    return image.folder / _NAME / _INSIDE


def _unsquash(squashfs: Path, into: Path, cache: Cache) -> None:
    unsquashfs = str(require("unsquashfs"))
    command = [unsquashfs, "-no-progress", "-no-xattrs", "-quiet", "-dest", str(into), str(squashfs)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (result.stdout + result.stderr).strip()
    if says_disk_full(said):
        raise cache.full("unpack an image")
    if result.returncode != 0:
        raise EnvironmentMissing(
            f"unsquashfs failed: {said[-300:]}", remedy="check that squashfs-tools is 4.4 or newer"
        )
