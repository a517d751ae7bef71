"""Going back in time: states of a running guest, kept in its QEMU for as long as that runs.

QEMU writes a state (memory and devices) into a qcow2 image and loads it in place, so cable, console and agent
stay plugged. The image has no name in the filesystem: QEMU gets its descriptor, and it vanishes with QEMU.
Source: QEMU qapi/migration.json, snapshot-save and snapshot-load; they are jobs, whose end is asked for.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, Final

from guestnet.core.errors import GuestError

Control = Callable[..., Awaitable[Any]]
"""One QMP command with its arguments."""

_FDSET: Final = 1
_FILE: Final = "states-file"
_NODE: Final = "states"
_SIZE: Final = 1024 * 1024
"""Of the qcow2 disk, which stays empty; states lie beside it."""

_POLL: Final = 0.01


class States:
    """The kept states of one guest, by name."""

    def __init__(self, control: Control, send: Callable[[int], None], guest: str) -> None:
        """``control`` executes a QMP command, ``send`` hands a descriptor to QEMU."""
        self._control = control
        self._send = send
        self._guest = guest
        self._names: list[str] = []
        self._jobs = 0
        self._turn = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        """Of the kept states, oldest first."""
        return list(self._names)

    async def keep(self, name: str = "") -> str:
        """Keep the guest's state; gives its name, made up when none is given. Raises GuestError."""
        async with self._turn:
            if not self._names:
                await self._make_image()
            name = name or f"state{len(self._names) + 1}"
            if name in self._names:
                raise GuestError(f"{self._guest} has a state {name!r} already", remedy="give another name")
            await self._job("snapshot-save", tag=name)
            self._names.append(name)
            return name

    async def load(self, name: str) -> None:
        """Make the guest what it was at keep(). Raises GuestError for an unknown name."""
        async with self._turn:
            if name not in self._names:
                kept = ", ".join(self._names) or "none"
                raise GuestError(f"{self._guest} has no state {name!r}", remedy=f"it has {kept}")
            await self._job("snapshot-load", tag=name)
            # A loaded state does not run by itself.
            await self._control("cont")

    async def _make_image(self) -> None:
        with tempfile.TemporaryFile() as nameless:
            self._send(nameless.fileno())
            await self._control("add-fd", **{"fdset-id": _FDSET})
        file = {"driver": "file", "node-name": _FILE, "filename": f"/dev/fdset/{_FDSET}", "locking": "off"}
        await self._control("blockdev-add", **file)
        create = {"driver": "qcow2", "file": _FILE, "size": _SIZE}
        await self._finished("blockdev-create", options=create)
        await self._control("blockdev-add", **{"driver": "qcow2", "node-name": _NODE, "file": _FILE})

    async def _job(self, command: str, *, tag: str) -> None:
        await self._finished(command, tag=tag, vmstate=_NODE, devices=[_NODE])

    async def _finished(self, command: str, **arguments: object) -> None:
        self._jobs += 1
        job = f"states-{self._jobs}"
        await self._control(command, **{"job-id": job}, **arguments)
        while True:
            (state,) = [each for each in await self._control("query-jobs") if each["id"] == job]
            if state["status"] == "concluded":
                break
            await asyncio.sleep(_POLL)
        await self._control("job-dismiss", id=job)
        if "error" in state:
            raise GuestError(
                f"{self._guest}: QEMU could not do {command}: {state['error']}",
                remedy=f"look for room in {tempfile.gettempdir()}",
            )
