"""How guests end: panic, a killed QEMU, a killed harness, silence."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from guestnet.core.errors import EnvironmentMissing, GuestError
from guestnet.guest.machine import Cable, Machine
from guestnet.guest.qemu import QemuGuest
from tests.guest.guest.conftest import restored

pytestmark = pytest.mark.guest

STARTER = """
import asyncio, sys
from guestnet.guest import image
from guestnet.guest.machine import Accelerator, Cable, Machine, find_qemu
from guestnet.guest.qemu import QemuGuest
async def main():
    machine = Machine(image.require("tiny"), find_qemu(), Accelerator("tcg", ""), Cable(netdev="user"))
    guest = QemuGuest(machine)
    await guest._launch(named=True, memory_file=None, keep_memory=False, state=None)
    print(guest.pid, flush=True)
    await guest.ended
asyncio.run(main())
"""


def test_a_panic_ends_the_guest_with_the_consoles_words(machine: Machine, log: Path) -> None:
    async def main() -> None:
        async with restored(msgspec.structs.replace(machine, console_log=log)) as guest:
            with pytest.raises(GuestError, match="Kernel panic - not syncing: sysrq triggered crash"):
                await guest.run("echo c > /proc/sysrq-trigger; sleep 60")
            error = await guest.ended
            assert error is not None
            assert "kernel panicked" in error.message
            with pytest.raises(GuestError, match="kernel panicked"):
                await guest.run("true")

    asyncio.run(main())
    assert b"Kernel panic" in log.read_bytes()


def test_a_killed_qemu_is_noticed_at_once_by_whoever_waits(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            waiting = asyncio.ensure_future(guest.run("sleep 60"))
            await asyncio.sleep(0)
            os.kill(guest.pid, signal.SIGKILL)
            with pytest.raises(GuestError, match=rf"QEMU \(pid {guest.pid}\) was killed by signal 9"):
                await waiting
            with pytest.raises(GuestError, match="was killed by signal 9"):
                await guest.pause()
            assert await guest.ended is not None

    asyncio.run(main())


def test_stop_is_no_error_and_may_be_repeated(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            await guest.stop()
            await guest.stop()
            assert await guest.ended is None
            with pytest.raises(GuestError, match="stopped"):
                await guest.run("true")

    asyncio.run(main())


def test_a_guest_that_never_answers_is_given_up(machine: Machine) -> None:
    async def main() -> None:
        # -S: the processor is not started.
        async with QemuGuest(msgspec.structs.replace(machine, extra=("-S",))) as guest:
            with pytest.raises(GuestError, match="guest1 did not answer within 1 s; its console ends with"):
                await guest.boot(within=1)

    asyncio.run(main())


def test_what_qemu_complains_of_is_told(machine: Machine) -> None:
    async def main() -> None:
        async with QemuGuest(msgspec.structs.replace(machine, cable=Cable(netdev="nonsense"))) as guest:
            with pytest.raises(GuestError, match=r"ended with status 1 and said: .*nonsense"):
                await guest.boot()

    asyncio.run(main())


def test_a_qemu_that_does_not_start_is_told(machine: Machine, tmp_path: Path) -> None:
    async def main() -> None:
        gone = msgspec.structs.replace(machine.qemu, program=tmp_path / "qemu")
        async with QemuGuest(msgspec.structs.replace(machine, qemu=gone)) as guest:
            with pytest.raises((GuestError, EnvironmentMissing), match="qemu"):
                await guest.boot()

    asyncio.run(main())


def test_no_qemu_outlives_a_killed_harness(machine: Machine) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        watched = os.pidfd_open(int(starter.stdout.readline()))
        try:
            starter.kill()
            assert select.select([watched], [], [], 10)[0]
        finally:
            os.close(watched)
