"""How a lab's guests come to be: QEMU's, from a snapshot where that works, and namespaces."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from guestnet.core.address import Mac
from guestnet.guest import snapshot, tree
from guestnet.guest.accelerator import choose
from guestnet.guest.base import Guest
from guestnet.guest.cache import Cache
from guestnet.guest.image import Image, require
from guestnet.guest.machine import Accelerator, Cable, Machine, Qemu, find_qemu
from guestnet.guest.netns import NetnsGuest
from guestnet.guest.netns_body import Plan, make_network
from guestnet.lab.requests.description import LabDescription
from guestnet.stacks.base import Plug, Stack
from guestnet.system.calls import bind, unmount
from guestnet.world.kernel.places import NETNS

Say = Callable[[str], None]
"""Takes a sentence for people."""


class Made(NamedTuple):
    """A running guest and how it came to run."""

    guest: Guest
    how: Literal["boot", "restore", "namespace"]
    image: str
    accelerator: str = ""


class Maker(Protocol):
    """Makes guests of one kind."""

    async def make(self, number: int, name: str, mac: Mac, link: str) -> Made:
        """A running guest, the ``number``-th from 1, on the cable ``link``; its agent answers.

        Raises EnvironmentMissing when something it needs is not there, GuestError when it does not come up.
        """


def maker_for(description: LabDescription, stack: Stack, artifacts: Path, say: Say) -> Maker:
    """The maker of the kind of guests that ``description`` asks for. Raises EnvironmentMissing."""
    if description.guest == "qemu":
        return QemuMaker(description, stack, artifacts, say)
    return NetnsMaker(description, stack, artifacts)


class QemuMaker:
    """A `Maker` of virtual machines."""

    def __init__(self, description: LabDescription, stack: Stack, artifacts: Path, say: Say) -> None:
        self._description = description
        self._stack = stack
        self._artifacts = artifacts
        self._say = say
        self._cache = Cache()

    async def make(self, number: int, name: str, mac: Mac, link: str) -> Made:
        """As of `Maker`."""
        description = self._description
        image = require(description.image, self._cache)
        qemu = find_qemu(self._cache)
        accelerator = await self._accelerator(qemu, image)
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
            if description.boot == "restore" and self._may_restore():
                guest = await snapshot.start(machine, self._cache, self._say)
                return Made(guest, "restore", image.title, accelerator.name)
            return Made(await snapshot.boot(machine), "boot", image.title, accelerator.name)
        finally:
            plug.close()

    def _may_restore(self) -> bool:
        """QEMU opens the memory of a snapshot for writing, though it maps it privately."""
        writable = self._cache.is_writable
        if not writable:
            self._say(f"{self._cache.folder} can't be written, as snapshots must be: guests boot instead.")
        return writable

    async def _accelerator(self, qemu: Qemu, image: Image) -> Accelerator:
        asked = self._description.accelerator
        if asked != "auto":
            return Accelerator(asked, "the scenario asks for it")
        return await choose(self._cache, qemu, image)


class NetnsMaker:
    """A `Maker` of namespaces."""

    def __init__(self, description: LabDescription, stack: Stack, artifacts: Path) -> None:
        self._description = description
        self._stack = stack
        self._artifacts = artifacts

    async def make(self, number: int, name: str, mac: Mac, link: str) -> Made:
        """As of `Maker`."""
        cache = Cache()
        image = require(self._description.image, cache)
        unpacked = tree.find(image)
        if unpacked is None:
            unpacked = await asyncio.to_thread(tree.unpack, image, cache)
        with contextlib.ExitStack() as opened:
            network = await self._network(name, mac, link, opened)
            guest = NetnsGuest(
                self._plan(unpacked, name, mac),
                plug=lambda device: self._stack.plug_tap(name, mac, link, device),
                pull=lambda up: self._pull(link, up),
                network=network,
            )
            try:
                await guest.start()
            except BaseException:
                await guest.stop()
                raise
        return Made(guest, "namespace", image.title)

    def _plan(self, unpacked: Path, name: str, mac: Mac) -> Plan:
        described = self._description
        return Plan(
            tree=unpacked,
            hostname=name,
            mac=mac,
            memory=described.memory,
            console=self._artifacts / f"console-{name}.log",
            offloads=described.offloads,
            # Elsewhere the guest gets it with its lease.
            mtu=1500 if "mtu" in self._stack.capabilities else described.mtu,
        )

    async def _network(self, name: str, mac: Mac, link: str, opened: contextlib.ExitStack) -> int | None:
        """The namespace in which the stack has made the NIC; None when that is for the guest to do."""
        if "tap" in self._stack.capabilities:
            return None
        network = await asyncio.to_thread(make_network)
        opened.callback(os.close, network)
        path = NETNS / name
        path.touch()
        opened.callback(path.unlink)
        bind(f"/proc/self/fd/{network}", str(path))
        opened.callback(unmount, str(path))
        await self._stack.plug_netns(name, mac, link, path)
        return network

    def _pull(self, link: str, up: bool) -> None:
        """Frames on a pulled cable are dropped, and the journal says so, where the stack has them."""
        if self._stack.cables is not None:
            self._stack.cables.set_plugged(link, up)


def _cable(plug: Plug) -> Cable:
    """A stream is named by its descriptor, so that a snapshot can be made on another one."""
    if plug.fd is not None and plug.netdev.startswith("stream,"):
        return Cable(descriptor=plug.fd)
    return Cable(netdev=plug.netdev, descriptors=plug.fds)
