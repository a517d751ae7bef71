"""Snapshots: guests of one are strangers to each other; a damaged one is noticed and made again."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from guestnet.guest import snapshot
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Cable, Machine
from tests.guest.guest.conftest import restored, text

pytestmark = pytest.mark.guest

SYN_PERL = r"""
socket(my $s, 2, 1, 6) or die;
setsockopt($s, 1, 2, 1);
bind($s, pack('S n a4 x8', 2, 40000, pack('C4', 10, 9, 9, 2))) or die "bind: $!";
$SIG{ALRM} = sub { exit 0 };
alarm 1;
connect($s, pack('S n a4 x8', 2, 80, pack('C4', 10, 9, 9, 1)));
"""


async def next_frame(cable: socket.socket) -> bytes:
    """One frame from a cable."""
    loop = asyncio.get_running_loop()

    async def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += await loop.sock_recv(cable, count - len(data))
        return data

    (length,) = struct.unpack("!I", await exactly(4))
    return await exactly(length)


async def first_sequence_number(machine: Machine) -> tuple[int, float]:
    """That of a fresh guest's first SYN on always the same flow, and when it was sent."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        cable = Cable(descriptor=theirs.fileno())
        async with restored(msgspec.structs.replace(machine, cable=cable)) as guest:
            await guest.run("pkill udhcpc; ip address add 10.9.9.2/24 dev eth0")
            await guest.run("ip neigh replace 10.9.9.1 lladdr 02:00:00:00:00:01 dev eth0")
            connecting = asyncio.ensure_future(guest.run(["perl", "-e", SYN_PERL]))
            frame = b""
            while not (frame[12:14] == b"\x08\x00" and frame[23] == 6):
                frame = await asyncio.wait_for(next_frame(ours), 20)
            at = time.time()
            await connecting
            return struct.unpack_from("!I", frame, 38)[0], at


def test_guests_of_one_snapshot_share_no_randomness(machine: Machine) -> None:
    async def main() -> None:
        async with (
            restored(machine) as one,
            restored(msgspec.structs.replace(machine, index=2, mac="", hostname="")) as two,
        ):
            read = "head -c 16 /dev/urandom | od -An -tx1"
            assert await text(one, read) != await text(two, read)
            assert await text(one, "hostname") != await text(two, "hostname")
            address = "cat /sys/class/net/eth0/address"
            assert (await text(one, address), await text(two, address)) == (one.mac, two.mac)

    asyncio.run(main())


def test_guests_of_one_snapshot_do_not_share_the_secret_of_sequence_numbers(machine: Machine) -> None:
    """RFC 6528: ISN = M + F(flow, secret), where Linux's M counts 64 ns. With one secret for all guests the
    numbers of one flow differ by the time between them; that chance makes three so close is 1 in 20,000."""

    async def main() -> None:
        (first, began), *others = [await first_sequence_number(machine) for _ in range(3)]
        apart = [(number - first - round((at - began) * 1e9 / 64)) % 2**32 for number, at in others]
        second = int(1e9 / 64)
        assert any(second < difference < 2**32 - second for difference in apart)

    asyncio.run(main())


def cut_memory(place: snapshot.Snapshot) -> None:
    with place.memory.open("r+b") as file:
        file.truncate(1024 * 1024)


def overwrite_memory(place: snapshot.Snapshot) -> None:
    with place.memory.open("r+b") as file:
        file.seek(64 * 1024 * 1024)
        file.write(b"\xaa" * 4096)


def overwrite_state(place: snapshot.Snapshot) -> None:
    place.state.write_bytes(b"no state at all" * 100)


def remove_state(place: snapshot.Snapshot) -> None:
    place.state.unlink()


def empty_description(place: snapshot.Snapshot) -> None:
    (place.folder / "snapshot.json").write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [cut_memory, overwrite_memory, overwrite_state, remove_state, empty_description]
)
def test_a_damaged_snapshot_is_said_and_made_again(
    machine: Machine, tmp_path: Path, damage: Callable[[snapshot.Snapshot], None]
) -> None:
    async def main() -> None:
        cache = Cache(tmp_path)
        damage(await snapshot.obtain(machine, cache))
        said: list[str] = []
        guest = await snapshot.start(machine, cache, said.append)
        async with guest:
            assert await text(guest, "hostname") == "guest1"
        assert said == ["The snapshot is damaged and is thrown away; a new one is made."]
        assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == [machine.snapshot_key()]

    asyncio.run(main())


def test_a_snapshot_that_qemu_refuses_is_made_again(machine: Machine, tmp_path: Path) -> None:
    """As when the file was written with these bytes: its digest is right."""

    async def main() -> None:
        cache = Cache(tmp_path)
        good = await snapshot.obtain(machine, cache)
        good.state.write_bytes(b"QEVM\0\0\0\3nonsense")
        description = snapshot._describe(good.folder)
        cache.write(f"snapshots/{good.key}/snapshot.json", msgspec.json.encode(description))
        said: list[str] = []
        async with await snapshot.start(machine, cache, said.append) as guest:
            assert await text(guest, "hostname") == "guest1"
        assert len(said) == 2
        assert said[0].startswith("The snapshot does not start and is thrown away (guest1: QEMU")

    asyncio.run(main())


def test_a_copied_cache_is_still_good(machine: Machine, tmp_path: Path) -> None:
    async def main() -> None:
        cache = Cache(tmp_path)
        place = await snapshot.obtain(machine, cache)
        place.state.touch()
        said: list[str] = []
        await snapshot.obtain(machine, cache, said.append)
        assert said == []

    asyncio.run(main())


def test_one_of_many_makes_the_snapshot(machine: Machine, tmp_path: Path) -> None:
    async def main() -> None:
        said: list[str] = []
        cache = Cache(tmp_path)
        made = await asyncio.gather(*(snapshot.obtain(machine, cache, said.append) for _ in range(3)))
        assert len(set(made)) == 1
        assert len(said) == 1

    asyncio.run(main())
