"""The cache: whole things or nothing, whoever is killed and however full the disk is."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache

KILLED_MAKER = """
import os, signal, sys
from pathlib import Path
from guestnet.guest.cache import Cache
cache = Cache(Path(sys.argv[1]))
with cache.lock("thing"), cache.making("things", "thing") as folder:
    (folder / "half").write_text("done")
    os.kill(os.getpid(), signal.SIGKILL)
"""

HOLDER = """
import sys
import time
from pathlib import Path
from guestnet.guest.cache import Cache
with Cache(Path(sys.argv[1])).lock("thing"):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_half(cache: Path, error: Exception) -> None:
    """Start to make something, and fail."""
    with Cache(cache).making("things", "thing") as folder:
        (folder / "half").touch()
        raise error


def test_what_is_made_appears_whole(tmp_path: Path) -> None:
    with Cache(tmp_path).making("things", "thing") as folder:
        (folder / "file").write_text("new")
        assert not (tmp_path / "things" / "thing").exists()

    assert names(tmp_path / "things") == ["thing"]
    assert (tmp_path / "things" / "thing" / "file").read_text() == "new"


def test_an_older_thing_is_replaced(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for text in ("old", "new"):
        with cache.making("things", "thing") as folder:
            (folder / text).touch()

    assert names(tmp_path / "things" / "thing") == ["new"]
    assert names(tmp_path / "things") == ["thing"]


def test_a_failed_maker_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"):
        make_half(tmp_path, ValueError("no"))

    assert names(tmp_path / "things") == []


def test_a_killed_maker_is_swept_by_the_next(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED_MAKER, tmp_path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(names(tmp_path / "things")) == 1

    cache = Cache(tmp_path)
    with cache.lock("thing"), cache.making("things", "thing") as folder:
        (folder / "whole").touch()
    assert names(tmp_path / "things") == ["thing"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(EnvironmentMissing, match="is full: free 1 GB there, or set GUESTNET_CACHE"):
        make_half(tmp_path, full)
    assert names(tmp_path / "things") == []


async def hold(cache: Cache) -> None:
    async with cache.lock_async("thing"):
        pass


def lock(cache: Cache) -> None:
    with cache.lock("thing"):
        pass


def make(cache: Cache) -> None:
    with cache.making("things", "thing"):
        pass


@pytest.mark.parametrize(
    "use", [lock, make, lambda cache: asyncio.run(hold(cache)), lambda cache: cache.write("note", b"here")]
)
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, use: Callable[[Cache], None]) -> None:
    (tmp_path / "file").touch()

    said = r"(Not a directory|File exists)\): .* or set GUESTNET_CACHE to a folder"
    with pytest.raises(EnvironmentMissing, match=said):
        use(Cache(tmp_path / "file"))


def test_a_folder_that_cannot_be_made_holds_nothing_and_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file")

    assert not cache.is_writable
    cache.remember("note", b"here")
    assert cache.read("note") is None


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS, errno.EIO])
def test_what_the_system_refuses_is_said(tmp_path: Path, reason: int) -> None:
    refused = OSError(reason, os.strerror(reason), "/cache/locks")
    with (
        pytest.raises(EnvironmentMissing, match=rf"can't lock: /cache/locks \({os.strerror(reason)}\)"),
        Cache(tmp_path).explain("lock"),
    ):
        raise refused


def test_what_one_user_writes_another_can_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.remember("some/note", b"here")

    assert (tmp_path / "some" / "note").stat().st_mode & 0o777 == 0o644
    assert cache.read("some/note") == b"here"
    assert cache.is_writable
    assert Cache(tmp_path / "not" / "yet").is_writable


def test_a_relative_folder_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUESTNET_CACHE", "here")
    assert Cache().folder == tmp_path / "here"


def test_a_second_process_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def waiting() -> None:
            said.append("waiting")
            holder.kill()

        # The kernel takes the lock back from a killed holder.
        with Cache(tmp_path).lock("thing", waiting=waiting):
            assert said == ["waiting"]


def test_waiting_for_a_lock_can_be_cancelled(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    async def main() -> None:
        async with cache.lock_async("thing"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(hold(cache), 0.05)
        await hold(cache)

    asyncio.run(main())


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTNET_CACHE", str(tmp_path / "elsewhere"))

    Cache().write("note", b"here")
    assert (tmp_path / "elsewhere" / "note").read_bytes() == b"here"


def test_what_was_used_long_ago_is_pruned(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age, name in enumerate(["today", "yesterday", "older", "oldest"]):
        with cache.making("things", name) as folder:
            (folder / "mark").touch()
        then = time.time() - age * 30 * 3600
        os.utime(tmp_path / "things" / name / "mark", (then, then))

    cache.prune("things", "mark", keep=2)
    assert names(tmp_path / "things") == ["today", "yesterday"]

    cache.used("things", "yesterday", "mark")
    cache.prune("things", "mark", keep=0)
    assert names(tmp_path / "things") == ["today", "yesterday"]


def test_room_that_is_not_there_is_told_before_it_is_needed(tmp_path: Path) -> None:
    Cache(tmp_path).require_room(1, "make a snapshot")

    with pytest.raises(EnvironmentMissing, match=r"can't make a snapshot: the disk that holds .* is full"):
        Cache(tmp_path).require_room(2**60, "make a snapshot")
