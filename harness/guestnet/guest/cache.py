"""The folder of what is dear to make: images, snapshots, the accelerator's verdict.

Goal: many processes use and fill it at once, any of them may be killed at any moment, the disk may be full; a
reader sees a whole thing or nothing. So everything is made in a folder called ``.making-…`` beside its place
and renamed into it, under a lock that the kernel takes back when its holder dies. What a killed maker left is
swept by the next one to hold the same lock. Reading takes no lock, so that a cache that can't be written
serves with what is in it.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import filelock
import platformdirs

from guestnet.core.errors import EnvironmentMissing

CACHE_VARIABLE: Final = "GUESTNET_CACHE"
_RECENTLY: Final = 24 * 3600.0
_LOCK_POLL: Final = 0.02
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNUSABLE: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
    | {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
)
"""The second half: a file stands where a folder should be, or the path is impossible."""
_FULL_WORDS: Final = ("No space left on device", "Disk quota exceeded", "write failed", "Wrote only")
"""Of the kernel, and of dpkg-deb and tar when the last octets still fitted."""


class Cache:
    """One cache folder; made when first written to."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` defaults to ``$GUESTNET_CACHE``, else the user's cache folder.

        Raises EnvironmentMissing when the user has none.
        """
        self.folder = (folder or _default()).absolute()

    @property
    def is_writable(self) -> bool:
        """Whether this user may make things in it."""
        return os.access(self._existing(), os.W_OK | os.X_OK)

    @property
    def room(self) -> int:
        """Bytes that are left on the disk that holds it."""
        with self.explain("look at the cache"):
            return shutil.disk_usage(self._existing()).free

    @contextlib.contextmanager
    def lock(self, name: str, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock ``name``; calls ``waiting`` once when another process has it.

        Blocks: from asyncio, call it in a thread. Raises EnvironmentMissing when the folder can't be written.
        """
        with self.explain("lock the cache"):
            held = self._lock_file(name)
            try:
                held.acquire(timeout=0)
            except filelock.Timeout:
                if waiting is not None:
                    waiting()
                held.acquire()
        try:
            yield
        finally:
            held.release()

    @contextlib.asynccontextmanager
    async def lock_async(self, name: str) -> AsyncIterator[None]:
        """Like lock, for asyncio: waits without blocking the loop, and can be cancelled meanwhile."""
        with self.explain("lock the cache"):
            held = self._lock_file(name)
            while True:
                try:
                    held.acquire(timeout=0)
                    break
                except filelock.Timeout:
                    await asyncio.sleep(_LOCK_POLL)
        try:
            yield
        finally:
            held.release()

    @contextlib.contextmanager
    def making(self, kind: str, name: str) -> Iterator[Path]:
        """An empty folder that becomes ``kind/name`` when the block ends well and vanishes when it does not.

        The caller holds a lock that covers ``name``. An older ``kind/name`` is replaced; who has its files
        open keeps them. Raises EnvironmentMissing on a full disk, with nothing left behind.
        """
        with self.explain(f"make {kind}/{name}"):
            parent = self.folder / kind
            parent.mkdir(parents=True, exist_ok=True)
            self.sweep(kind, name)
            making = Path(tempfile.mkdtemp(prefix=_prefix(name), dir=parent))
            try:
                yield making
                making.chmod(0o755)
                self._publish(making, parent / name)
            finally:
                shutil.rmtree(making, ignore_errors=True)

    def sweep(self, kind: str, name: str) -> None:
        """Remove what a killed maker of ``kind/name`` left. The caller holds its lock."""
        for leftover in (self.folder / kind).glob(f"{_prefix(name)}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def discard(self, kind: str, name: str) -> None:
        """Remove ``kind/name`` if it is there: first out of sight, then from the disk."""
        place = self.folder / kind / name
        if place.exists():
            doomed = Path(tempfile.mkdtemp(prefix=_prefix(name), dir=place.parent))
            with contextlib.suppress(FileNotFoundError):
                place.rename(doomed / "old")
            shutil.rmtree(doomed, ignore_errors=True)

    def used(self, kind: str, name: str, marker: str) -> None:
        """Note that ``kind/name`` was used now, by its file ``marker``: it is not pruned soon."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / kind / name / marker)

    def prune(self, kind: str, marker: str, *, keep: int) -> None:
        """Discard all of ``kind`` but the ``keep`` that were used last and those used within a day.

        Who has files of a discarded thing open keeps them.
        """
        used = []
        for place in (self.folder / kind).glob(f"*/{marker}"):
            with contextlib.suppress(FileNotFoundError):
                used.append((place.stat().st_mtime, place.parent.name))
        for when, name in sorted(used, reverse=True)[keep:]:
            if time.time() - when > _RECENTLY:
                self.discard(kind, name)

    def require_room(self, needed: int, what: str) -> None:
        """Raises EnvironmentMissing when the disk has less than ``needed`` bytes left to ``what``."""
        if self.room < needed:
            raise self.full(what)

    def read(self, name: str) -> bytes | None:
        """What the file ``name`` holds; None when there is none. Raises EnvironmentMissing when it can't be
        read."""
        with self.explain(f"read {name}"):
            try:
                return (self.folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """Replace the file ``name`` at once, whole or not at all."""
        with self.explain(f"write {name}"):
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".making-", dir=place.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    # A cache may be filled by one user and serve others.
                    os.fchmod(descriptor, 0o644)
                    file.write(content)
                Path(temporary).replace(place)
            finally:
                Path(temporary).unlink(missing_ok=True)

    def remember(self, name: str, content: bytes) -> None:
        """Like write, for what can be found out again: a cache that can't be written stays as it is."""
        with contextlib.suppress(EnvironmentMissing):
            self.write(name, content)

    @contextlib.contextmanager
    def explain(self, what: str) -> Iterator[None]:
        """Turn a full disk, or a folder that can't be used, into EnvironmentMissing with the remedy."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self.full(what) from error
            if error.errno in _UNUSABLE:
                raise EnvironmentMissing(
                    f"can't {what}: {error.filename or self.folder} ({error.strerror})",
                    remedy=f"make it writable for this user, or set {CACHE_VARIABLE} to a folder that is",
                ) from error
            raise

    def full(self, what: str) -> EnvironmentMissing:
        """The error for a full disk."""
        return EnvironmentMissing(
            f"can't {what}: the disk that holds {self.folder} is full",
            remedy=f"free 1 GB there, or set {CACHE_VARIABLE} to a folder on another disk",
        )

    def _existing(self) -> Path:
        """The folder, or the one in which it would be made."""
        return next(path for path in (self.folder, *self.folder.parents) if os.path.lexists(path))

    def _lock_file(self, name: str) -> filelock.BaseFileLock:
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / f"{name}.lock", thread_local=False)

    def _publish(self, making: Path, place: Path) -> None:
        try:
            making.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self.discard(place.parent.name, place.name)
            making.rename(place)


def _default() -> Path:
    if variable := os.environ.get(CACHE_VARIABLE):
        return Path(variable)
    try:
        return Path(platformdirs.user_cache_dir("guestnet"))
    except RuntimeError:
        raise EnvironmentMissing(
            f"the user {os.getuid()} has no home folder, where the cache would be",
            remedy=f"set HOME, or {CACHE_VARIABLE} to a folder for it",
        ) from None


def says_disk_full(text: str) -> bool:
    """Whether a program's complaint is about a full disk."""
    return any(words in text for words in _FULL_WORDS)


def _prefix(name: str) -> str:
    return f".making-{name}-"
