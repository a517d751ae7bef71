"""Another release of Debian than the recipe's own: built beside it, booted and restored."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from guestnet.guest import image, snapshot
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Machine
from tests.guest.guest.conftest import restored, text

pytestmark = pytest.mark.guest


def test_a_guest_of_another_release_is_one(machine: Machine, log: Path) -> None:
    cache = Cache()
    own, other = image.require("tiny", cache), image.build("tiny:trixie", cache)
    assert (own.release, other.release) == ("bookworm", "trixie")
    assert own.folder != other.folder
    assert own.digest != other.digest
    trixie = msgspec.structs.replace(machine, image=other, console_log=log)
    kernel = next(name for name in other.packages if name.startswith("linux-image-6"))

    async def main() -> None:
        async with await snapshot.boot(trixie) as booted:
            assert await text(booted, "uname -r") in kernel
            await booted.run("until [ -e /run/lease.env ]; do usleep 20000; done")
            # A name that ip reads from a file, which each release has elsewhere.
            assert await text(booted, "ip route show table main proto kernel") != ""
        async with restored(trixie) as guest:
            assert await text(guest, "hostname") == "guest1"
            assert (await text(guest, "apt-get --version")).startswith("apt 3.")

    asyncio.run(main())
    assert "does not load" not in log.read_text()
