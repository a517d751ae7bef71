"""QEMU guests as a lab needs them: image, accelerator and cable put together, snapshots where they work."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from harness.core.address import Mac
from harness.guest import snapshot
from harness.guest.cache import Cache
from harness.guest.image import require
from harness.guest.machine import Accelerator, Cable, Machine, find_qemu
from harness.guest.qemu import QemuGuest
from harness.lab.description import LabDescription
from harness.stacks.base import Plug, Stack


class QemuGuests:
    """Makes the QEMU guests of one lab. ``say`` takes sentences for people."""

    def __init__(
        self, description: LabDescription, stack: Stack, artifacts: Path, say: Callable[[str], None]
    ) -> None:
        self._description = description
        self._stack = stack
        self._artifacts = artifacts
        self._say = say
        self._cache = Cache()

    async def make(
        self, number: int, name: str, mac: Mac, link: str
    ) -> tuple[QemuGuest, Literal["boot", "restore"], str]:
        """A running guest on the cable ``link``, how it came to run, and the accelerator it runs on.

        Raises EnvironmentMissing without QEMU or image, GuestError when the guest does not come up.
        """
        description = self._description
        image = require(description.image, self._cache)
        qemu = find_qemu(self._cache)
        accelerator = await self._accelerator()
        plug = self._stack.plug(name, mac, link)
        try:
            machine = Machine(
                image=image,
                qemu=qemu,
                accelerator=accelerator,
                cable=_cable(plug),
                index=number,
                mac=str(mac),
                hostname=name,
                memory=description.memory,
                console_log=self._artifacts / f"console-{name}.log",
            )
            if description.boot == "restore":
                return await snapshot.start(machine, self._cache, self._say), "restore", accelerator.name
            guest = QemuGuest(machine)
            try:
                await guest.boot()
            except BaseException:
                await guest.stop()
                raise
            return guest, "boot", accelerator.name
        finally:
            plug.close()

    async def _accelerator(self) -> Accelerator:
        return Accelerator("tcg", "x")


_ID = "cable"
"""The id that the machine gives its -netdev."""


def _cable(plug: Plug) -> Cable:
    if plug.fd is not None and plug.netdev.startswith("stream,"):
        return Cable(descriptor=plug.fd)
    return Cable(netdev=plug.netdev.replace("{netdev}", _ID), descriptors=plug.fds)
