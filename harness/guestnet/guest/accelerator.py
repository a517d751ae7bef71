"""Which accelerator runs the guests: KVM where it works, else QEMU's own translator (TCG).

That ``/dev/kvm`` opens proves nothing: there are machines where every guest on it hangs for ever. So a guest
is booted on it once, with a short deadline, and the verdict is kept for as long as kernel, QEMU, processor
and device stay the same. ``GUESTNET_ACCEL=kvm`` or ``tcg`` decides instead.
"""

import hashlib
import json
import os
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError, GuestError
from guestnet.guest.cache import Cache
from guestnet.guest.image import Image
from guestnet.guest.machine import Accelerator, Cable, Machine, Qemu, host_cpu
from guestnet.guest.qemu import QemuGuest

ACCELERATOR_VARIABLE: Final = "GUESTNET_ACCEL"
PROVE_WITHIN: Final = 4.0
"""Seconds that a guest on KVM may take to answer; one that works takes less than one."""

KVM_DEVICE: Final = Path("/dev/kvm")

Prove = Callable[[], Awaitable[None]]
"""Boots a guest on KVM; raises GuestError when it does not answer in time."""


async def choose(cache: Cache, qemu: Qemu, image: Image, device: Path = KVM_DEVICE) -> Accelerator:
    """The accelerator to use, with the reason in words. The first call on a machine may take PROVE_WITHIN.

    Raises DescriptionError for an unknown name in GUESTNET_ACCEL.
    """

    async def prove() -> None:
        # Not named: it waits for a snapshot that nobody takes, and leaves its NIC alone.
        guest = QemuGuest(
            Machine(image, qemu, Accelerator("kvm", "on trial"), Cable(netdev="hubport,hubid=0"))
        )
        try:
            await guest.boot(named=False, within=PROVE_WITHIN)
        finally:
            await guest.stop()

    return await choose_by(prove, cache, qemu, device)


async def choose_by(prove: Prove, cache: Cache, qemu: Qemu, device: Path = KVM_DEVICE) -> Accelerator:
    """Like choose, with the trial given."""
    asked = os.environ.get(ACCELERATOR_VARIABLE, "")
    if asked:
        if asked not in ("kvm", "tcg"):
            raise DescriptionError(
                f"{ACCELERATOR_VARIABLE} is {asked!r}", remedy="give kvm or tcg, or unset it"
            )
        return Accelerator(asked, f"{ACCELERATOR_VARIABLE} asks for it")
    if (why_not := _why_not(device)) is not None:
        return Accelerator("tcg", why_not)
    name = f"accelerator/{_key(qemu, device)}.json"
    if (verdict := _remembered(cache, name)) is not None:
        return verdict
    if not cache.is_writable:
        return await _try(prove, device)
    async with cache.lock_async("accelerator"):
        if (verdict := _remembered(cache, name)) is not None:
            return verdict
        verdict = await _try(prove, device)
        cache.remember(name, msgspec.json.encode(verdict))
    return verdict


def _remembered(cache: Cache, name: str) -> Accelerator | None:
    kept = cache.read(name)
    try:
        return msgspec.json.decode(kept, type=Accelerator) if kept is not None else None
    except msgspec.DecodeError:
        return None


async def _try(prove: Prove, device: Path) -> Accelerator:
    try:
        await prove()
    except GuestError as error:
        reason = error.message.splitlines()[0].removesuffix("; its console ends with:")
        return Accelerator("tcg", f"{device} opens, but a guest on it does not run: {reason}")
    return Accelerator("kvm", f"a guest booted on {device}")


def _why_not(device: Path) -> str | None:
    if not device.exists():
        return f"there is no {device}"
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{device} can't be opened ({error.strerror}); members of the group kvm usually can"
    return None


def _key(qemu: Qemu, device: Path) -> str:
    status = device.stat()
    parts = [platform.release(), platform.version(), qemu.version, qemu.identity, host_cpu(), status.st_rdev]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
