"""Driving one guest: commands, files, reset, pause, carrier."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from guestnet.core.errors import GuestError
from guestnet.guest.agent import AgentError
from guestnet.guest.machine import Machine
from guestnet.guest.qemu import QemuGuest
from guestnet.guest.testinfra_backend import RunText, host_for
from tests.guest.guest.conftest import restored, text

pytestmark = pytest.mark.guest


def test_a_booted_guest_is_itself_and_gets_a_lease(machine: Machine, log: Path) -> None:
    async def main() -> None:
        async with QemuGuest(
            msgspec.structs.replace(machine, index=2, console_log=log, mac="", hostname="")
        ) as guest:
            await guest.boot()
            assert await text(guest, "hostname") == "guest2"
            assert await text(guest, "cat /sys/class/net/eth0/address") == "52:54:00:65:00:02"
            await guest.run("until [ -e /run/lease.env ]; do usleep 20000; done")
            assert "ip='10.0.2.15'" in await text(guest, "cat /run/lease.env")
            assert "default via 10.0.2.2 dev eth0" in await text(guest, "ip route")
            assert await text(guest, "cat /etc/resolv.conf") == "nameserver 10.0.2.3"

    asyncio.run(main())
    assert log.exists()


def test_commands_and_files(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            result = await guest.run("echo out; echo err >&2; exit 3")
            assert (result.status, result.stdout_bytes, result.stderr_bytes) == (3, b"out\n", b"err\n")
            assert (await guest.run(["cat"], stdin=b"\0\xff")).stdout_bytes == b"\0\xff"
            assert (await guest.run(["printf", "%s", "a b"])).stdout_bytes == b"a b"
            assert (await guest.run("kill -9 $$")).status == -9
            assert (await guest.run("echo $X", environment={"X": "a b"})).stdout_bytes == b"a b\n"
            assert len((await guest.run("head -c 5000000 /dev/zero")).stdout) == 5_000_000
            with pytest.raises(AgentError, match="no-such-program"):
                await guest.run(["no-such-program"])

            content = bytes(range(256)) * 10_000
            await guest.write_file("/tmp/f", content)
            assert await guest.read_file("/tmp/f") == content
            assert await guest.read_file("/proc/sys/kernel/ostype") == b"Linux\n"
            with pytest.raises(AgentError, match="/no/such"):
                await guest.read_file("/no/such")

    asyncio.run(main())


def test_a_command_past_its_time_is_killed_with_what_it_started(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            with pytest.raises(GuestError, match=r"did not end within 0\.3 s and was killed"):
                await guest.run("sleep 1000 & sleep 1000", timeout=0.3)
            assert (await guest.run(["pgrep", "-x", "sleep"])).status == 1
            # Its shell has to end in that time.
            with pytest.raises(GuestError, match="left a process that holds its output"):
                await guest.run("sleep 1000 &", timeout=2)

    asyncio.run(main())


def test_many_commands_at_once(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            results = await asyncio.gather(*(guest.run(["echo", str(number)]) for number in range(40)))
            assert [int(result.stdout) for result in results] == list(range(40))

    asyncio.run(main())


def test_a_reset_guest_comes_back_with_its_names(machine: Machine) -> None:
    async def main() -> None:
        third = msgspec.structs.replace(machine, index=3, mac="", hostname="")
        async with restored(third) as guest:
            await guest.write_file("/tmp/before", b"x")
            await guest.reset()
            assert (
                await text(guest, "hostname; cat /sys/class/net/eth0/address") == "guest3\n52:54:00:65:00:03"
            )
            assert (await guest.run(["test", "-e", "/tmp/before"])).status == 1
            await guest.run("until [ -e /run/lease.env ]; do usleep 20000; done")

    asyncio.run(main())


def test_a_paused_guest_does_nothing_until_it_is_resumed(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            await guest.pause()
            answer = asyncio.ensure_future(guest.run("echo here"))
            done, _ = await asyncio.wait({answer}, timeout=0.3)
            assert not done
            await guest.resume()
            assert (await answer).stdout_bytes == b"here\n"

    asyncio.run(main())


def test_the_guest_sees_the_cable_pulled_and_plugged(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            for up, seen in ((False, "0"), (True, "1")):
                await guest.set_link(up)
                watch = f"until [ $(cat /sys/class/net/eth0/carrier) = {seen} ]; do usleep 10000; done"
                assert (await guest.run(watch, timeout=10)).status == 0

    asyncio.run(main())


def test_what_is_typed_on_the_console_runs(machine: Machine, log: Path) -> None:
    async def main() -> None:
        async with QemuGuest(msgspec.structs.replace(machine, console_log=log)) as guest:
            await guest.boot()
            said = asyncio.Event()

            def heard(_: bytes) -> None:
                if "\nfifty-four" in guest.console.recent().replace("\r", ""):
                    said.set()

            guest.console.listen(heard)
            await guest.console.type(b"\n")
            await guest.console.type(b"echo fifty-$((50+4)) | sed s/54/four/\n")
            await asyncio.wait_for(said.wait(), 20)

    asyncio.run(main())


def test_testinfra_works_on_a_guest(machine: Machine) -> None:
    def look(run: RunText) -> None:
        host = host_for(run)
        assert host.interface("eth0").exists
        assert "10.0.2.15" in host.interface("eth0").addresses
        assert host.interface.default().name == "eth0"
        assert host.addr("localhost").is_resolvable
        assert host.file("/etc/passwd").contains("root")
        assert host.file("/etc/shadow").mode == 0o600
        assert host.file("/bin").linked_to == "/usr/bin"
        assert "passwd" in host.file("/etc").listdir()
        assert host.socket("udp://0.0.0.0:68").is_listening is False
        assert host.process.get(comm="qemu-ga").user == "root"
        assert host.sysctl("kernel.ostype") == "Linux"
        assert host.user("guest").uid == 1000
        assert host.group("root").gid == 0
        assert host.mount_point("/").filesystem == "overlay"
        assert host.system_info.distribution == "guestnet"
        assert host.environment()["HOME"] == "/root"
        assert host.service("qemu-ga").is_running
        assert not host.service("sshd").is_running
        assert host.exists("curl")
        assert host.run("exit 4").rc == 4

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with restored(machine) as guest:
            await guest.run("until [ -e /run/lease.env ]; do usleep 20000; done")
            await asyncio.to_thread(
                look, lambda command: asyncio.run_coroutine_threadsafe(guest.run(command), loop).result()
            )

    asyncio.run(main())


async def its_clock_is_right(guest: QemuGuest) -> None:
    """To two seconds; date rounds down, and may have waited for a processor."""
    before = time.time()
    told = int(await text(guest, "date +%s"))
    assert before - 3 < told < time.time() + 2


def test_the_clock_is_right_after_boot_and_after_restore(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            await its_clock_is_right(guest)

    asyncio.run(main())


def test_a_guest_is_taken_back_to_a_kept_state(machine: Machine) -> None:
    async def main() -> None:
        async with restored(machine) as guest:
            await guest.write_file("/tmp/note", b"then")
            await guest.run("sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid")
            state = await guest.keep_state()
            random = await text(guest, "head -c 16 /dev/urandom | od -An -tx1")
            await guest.write_file("/tmp/note", b"now")
            await guest.run("kill $(cat /tmp/pid)")
            with pytest.raises(GuestError, match="has a state 'state1' already"):
                await guest.keep_state(state)

            for _ in range(2):
                await guest.load_state(state)
                assert await guest.read_file("/tmp/note") == b"then"
                assert (await guest.run("kill -0 $(cat /tmp/pid)")).status == 0
                assert await text(guest, "head -c 16 /dev/urandom | od -An -tx1") != random
                await its_clock_is_right(guest)
            with pytest.raises(GuestError, match="has no state 'x': it has state1"):
                await guest.load_state("x")

    asyncio.run(main())


def test_a_reset_after_the_cable_was_pulled(machine: Machine) -> None:
    """Firmwares were seen that damage the kernel then."""

    async def main() -> None:
        async with restored(machine) as guest:
            await guest.set_link(False)
            await guest.reset()
            await guest.set_link(True)
            await guest.run("until [ -e /run/lease.env ]; do usleep 20000; done")

    asyncio.run(main())
