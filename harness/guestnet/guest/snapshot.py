"""Snapshots: a booted guest on disk, from which fresh guests start in a fifth of a second.

What is kept. A guest is booted that has no name: agent answering, eth0 there but down, no DHCP client, not
one TCP connection yet (the kernel draws the secret of its sequence numbers at the first). Its memory *is* a
file, mapped shared; once it stands still, only the state of its devices is left to write, a few hundred
kilobytes.

How it comes back. A restored guest maps the memory file privately: nothing is read before it is needed, the
pages are shared by all guests of the machine until written to, and the file never changes. (QEMU's migration
capability ``x-ignore-shared``; Kata Containers' VM templating does the same.)

Trust. A snapshot is named by a digest of all that it depends on (Machine.snapshot_key), so a changed image,
QEMU, or machine finds none and makes one. Its files carry digests. Those are compared when the files' inode,
size or times differ from when they were last found good; a quarter of a gigabyte is not read at every start.
What is damaged, or refused by QEMU, is thrown away, said, and made again.
"""

import asyncio
import hashlib
import os
import socket
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import GuestError
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Cable, Machine
from guestnet.guest.qemu import QemuGuest, Say

_KIND: Final = "snapshots"
_MEMORY: Final = "memory"
_STATE: Final = "state"
_DESCRIPTION: Final = "snapshot.json"
_CHUNK: Final = 1024 * 1024
_KEPT: Final = 4
_ATTEMPTS: Final = 2


class _Stamp(msgspec.Struct, frozen=True):
    """What changes when somebody writes to a file."""

    inode: int
    size: int
    modified: int
    changed: int


class _Kept(msgspec.Struct, frozen=True):
    digest: str
    stamp: _Stamp


class _Description(msgspec.Struct, frozen=True):
    memory: _Kept
    state: _Kept


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot that was found good."""

    key: str
    folder: Path

    @property
    def memory(self) -> Path:
        return self.folder / _MEMORY

    @property
    def state(self) -> Path:
        return self.folder / _STATE


async def start(machine: Machine, cache: Cache, say: Say = lambda sentence: None) -> QemuGuest:
    """A running guest in the fastest way: from a snapshot, which is made first if there is none.

    Returns when the guest is itself and asks for a lease. A damaged snapshot is said and made again; if that
    does not help, the guest boots. Raises GuestError when that fails too.
    """
    for _ in range(_ATTEMPTS):
        snapshot = await obtain(machine, cache, say)
        guest = QemuGuest(machine)
        try:
            await guest.restore(snapshot.memory, snapshot.state)
        except BaseException as error:
            await guest.stop()
            if not isinstance(error, (GuestError, FileNotFoundError)):
                raise
            reason = error.message.splitlines()[0] if isinstance(error, GuestError) else str(error)
            say(f"The snapshot does not start and is thrown away ({reason}).")
            async with cache.lock_async(_lock(snapshot.key)):
                cache.discard(_KIND, snapshot.key)
        else:
            return guest
    say("Snapshots do not work here; the guest boots instead.")
    return await boot(machine)


async def boot(machine: Machine) -> QemuGuest:
    """A guest that boots, itself once it answers. Raises GuestError when it does not."""
    guest = QemuGuest(machine)
    try:
        await guest.boot()
    except BaseException:
        await guest.stop()
        raise
    return guest


async def obtain(machine: Machine, cache: Cache, say: Say = lambda sentence: None) -> Snapshot:
    """The snapshot for ``machine``, made if need be; of several processes one makes it, the others wait.

    Raises GuestError when the guest does not boot and EnvironmentMissing on a full disk.
    """
    key = machine.snapshot_key()
    try:
        if await asyncio.to_thread(_is_good, cache, key):
            return _snapshot(cache, key)
    except FileNotFoundError:
        pass
    async with cache.lock_async(_lock(key)):
        try:
            if await asyncio.to_thread(_is_good, cache, key):
                return _snapshot(cache, key)
            say("The snapshot is damaged and is thrown away; a new one is made.")
        except FileNotFoundError:
            say("The first guest of its kind boots; later ones start from its snapshot.")
        cache.prune(_KIND, _DESCRIPTION, keep=_KEPT)
        # Its memory is a mapped file: on a full disk QEMU would not see an error, but die of SIGBUS.
        cache.require_room(machine.memory * 1024 * 1024, "make a snapshot")
        with cache.making(_KIND, key) as folder:
            await _make(machine, folder)
        return _snapshot(cache, key)


async def _make(machine: Machine, folder: Path) -> None:
    # Plugged into nothing, by the same kind of NIC backend; the far end is ours and stays silent.
    far, near = socket.socketpair()
    with far, near:
        cable = _like(machine.cable, near.fileno())
        nameless = msgspec.structs.replace(machine, cable=cable, console_log=None)
        guest = QemuGuest(nameless)
        try:
            await guest.boot(named=False, memory_file=folder / _MEMORY)
            await guest.save(folder / _STATE)
        finally:
            await guest.stop()
    description = await asyncio.to_thread(_describe, folder)
    (folder / _DESCRIPTION).write_bytes(msgspec.json.encode(description))


def _like(cable: Cable, descriptor: int) -> Cable:
    return Cable(descriptor=descriptor) if cable.kind == "stream" else cable


def _snapshot(cache: Cache, key: str) -> Snapshot:
    return Snapshot(key, cache.folder / _KIND / key)


def _lock(key: str) -> str:
    return f"snapshot-{key}"


def _is_good(cache: Cache, key: str) -> bool:
    """Whether the snapshot ``key`` is undamaged. Raises FileNotFoundError when there is none."""
    folder = cache.folder / _KIND / key
    try:
        description = msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=_Description)
        kept = {folder / _MEMORY: description.memory, folder / _STATE: description.state}
        cache.used(_KIND, key, _DESCRIPTION)
        if all(_stamp(path) == record.stamp for path, record in kept.items()):
            return True
        if any(_digest(path) != record.digest for path, record in kept.items()):
            return False
    except msgspec.DecodeError:
        return False
    except FileNotFoundError:
        if (folder / _DESCRIPTION).exists():
            return False
        raise
    cache.remember(f"{_KIND}/{key}/{_DESCRIPTION}", msgspec.json.encode(_describe(folder)))
    return True


def _describe(folder: Path) -> _Description:
    memory, state = (_Kept(_digest(folder / name), _stamp(folder / name)) for name in (_MEMORY, _STATE))
    return _Description(memory, state)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _digest(path: Path) -> str:
    """Of size and data; zeros, most of a guest's memory, are skipped."""
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8))
        at = 0
        while at < size:
            file.seek(at)
            data = file.read(_CHUNK)
            if data.count(0) != len(data):
                digest.update(at.to_bytes(8) + data)
            at += len(data)
    return digest.hexdigest()
