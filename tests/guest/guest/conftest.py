"""A built image and the machine to start guests on; nothing of it is left but the caches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from guestnet.guest import image, snapshot
from guestnet.guest.accelerator import choose
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Cable, Machine, find_qemu
from guestnet.guest.qemu import QemuGuest

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="session")
def machine() -> Machine:
    """Guest 1 of the shipped image, on QEMU's own user network."""
    cache = Cache()
    qemu = find_qemu(cache)
    built = image.build("tiny", cache)
    accelerator = asyncio.run(choose(cache, qemu, built))
    return Machine(built, qemu, accelerator, Cable(netdev="user"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


@asynccontextmanager
async def restored(machine: Machine, cache: Cache | None = None) -> AsyncIterator[QemuGuest]:
    """A guest from a snapshot, ended when the block ends."""
    guest = await snapshot.start(machine, cache or Cache())
    async with guest:
        yield guest


async def text(guest: QemuGuest, command: str) -> str:
    """What a command prints; it has to succeed."""
    result = await guest.run(command)
    assert result.status == 0, result
    return result.stdout.strip()
