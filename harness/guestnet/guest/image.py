"""Images of guests: find a built one, or build it.

``build()`` takes half a minute the first time; ``find()`` is what a lab uses and takes no time. A built image
belongs to its recipe's digest and release, so that a changed recipe is built anew, and has a digest of its
own content, which keys the snapshots made of it. Whoever asks names "tiny", or "tiny:trixie" for another
release of Debian than the recipe's own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import build as building
from guestnet.guest.cache import Cache
from guestnet.guest.packages import Progress
from guestnet.guest.recipe import Recipe, load

_KIND: Final = "images"
_DESCRIPTION: Final = "image.json"
_KEPT: Final = 3
_FORMAT: Final = "4"
"""Changes when the builder changes what it makes of the same recipe."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A built image. ``release`` is Debian's name and ``version`` that of its point release ("12.15");
    ``packages`` are ``name=version``; ``command_line`` is the recipe's."""

    name: str
    release: str
    version: str
    digest: str
    folder: Path
    packages: tuple[str, ...]
    command_line: tuple[str, ...]

    @property
    def title(self) -> str:
        """For people: which image it is, of which release, and the beginning of its digest; as in
        "tiny:bookworm 12.15, 767b9ae45761"."""
        return f"{self.name}:{self.release} {self.version}, {self.digest[:12]}"

    @property
    def kernel(self) -> Path:
        return self.folder / building.KERNEL

    @property
    def initramfs(self) -> Path:
        return self.folder / building.INITRAMFS

    @property
    def root(self) -> Path:
        return self.folder / building.ROOT

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in (self.kernel, self.initramfs, self.root))


def find(name: str, cache: Cache | None = None) -> Image | None:
    """The image built from today's recipe ``name``, or None.

    Raises DescriptionError for an unknown recipe, EnvironmentMissing for a cache that can't be read.
    """
    recipe = load(name)
    return _open(recipe, cache or Cache())


def require(name: str, cache: Cache | None = None) -> Image:
    """Like find; raises EnvironmentMissing with the command that builds it."""
    image = find(name, cache)
    if image is None:
        raise EnvironmentMissing(
            f"the guest image {name!r} is not built", remedy=f"guestnet image build {name}"
        )
    return image


def build(
    name: str,
    cache: Cache | None = None,
    *,
    progress: Progress = lambda stage, done, total: None,
    waiting: Callable[[], None] | None = None,
    again: bool = False,
    mirror: str = "",
) -> Image:
    """The image ``name``, built if need be; with ``again`` also when it is there (for newer packages).

    The packages come from ``mirror`` or, without, from one of `debian.mirrors`.

    Blocks; of several processes one builds and the others wait (``waiting`` is called once then). Raises
    DescriptionError for an unsound recipe and EnvironmentMissing for a missing tool, no network, a full disk.
    """
    recipe = load(name)
    cache = cache or Cache()
    if not again and (image := _open(recipe, cache)) is not None:
        return image
    with cache.lock(f"image-{recipe.name}-{recipe.release}", waiting=waiting):
        if not again and (image := _open(recipe, cache)) is not None:
            return image
        with cache.making(_KIND, _place(recipe)) as folder:
            built = building.Build(recipe, folder, cache, progress, mirror=mirror).run()
            image = Image(
                name=recipe.name,
                release=recipe.release,
                version=built.version,
                digest=building.digest_of(folder),
                folder=cache.folder / _KIND / _place(recipe),
                packages=tuple(f"{package.name}={package.version}" for package in built.packages),
                command_line=recipe.kernel.command_line,
            )
            (folder / _DESCRIPTION).write_bytes(msgspec.json.encode(image, enc_hook=str))
        cache.prune(_KIND, _DESCRIPTION, keep=_KEPT)
        return image


def _open(recipe: Recipe, cache: Cache) -> Image | None:
    place = _place(recipe)
    described = cache.read(f"{_KIND}/{place}/{_DESCRIPTION}")
    try:
        image = msgspec.json.decode(described or b"", type=Image, dec_hook=_path)
    except msgspec.DecodeError:
        return None
    cache.used(_KIND, place, _DESCRIPTION)
    # The cache may have been moved since.
    return msgspec.structs.replace(image, folder=cache.folder / _KIND / place)


def _path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError(f"no {kind} in an image's description")
    return Path(value)


def _place(recipe: Recipe) -> str:
    key = hashlib.sha256(f"{_FORMAT}\0{recipe.digest}".encode()).hexdigest()
    return f"{recipe.name}-{recipe.release}-{key[:16]}"
