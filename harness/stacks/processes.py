"""The processes of a stack of others: one a guest, ended with its cable or with the stack."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.core.errors import LabError

_READY_WITHIN: Final = 5.0

Words = Callable[[int], Sequence[str]]
"""A command, from the descriptor that it writes to once it is ready."""


class Processes:
    """By guest. What they print goes to ``PROGRAM-LINK.log`` in ``artifacts``, or nowhere."""

    def __init__(self, artifacts: Path | None) -> None:
        self._artifacts = artifacts
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, guest: str, link: str, command: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        """In place of the guest's former one. Raises OSError."""
        self.end(guest)
        artifacts = self._artifacts
        log = Path(os.devnull) if artifacts is None else artifacts / f"{command[0]}-{link}.log"
        with log.open("wb") as output:
            self._running[guest] = subprocess.Popen(
                command, pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    async def start_ready(self, guest: str, link: str, words: Words) -> None:
        """``start``, and wait until it says that it is ready. Raises LabError when it does not."""
        heard, said = os.pipe()
        command = words(said)
        try:
            try:
                self.start(guest, link, command, [said])
            finally:
                os.close(said)
            async with asyncio.timeout(_READY_WITHIN):
                ready = await _octets(heard)
        except TimeoutError:
            ready = b""
        finally:
            os.close(heard)
        if not ready:
            self.end(guest)
            raise LabError(f"{command[0]} for {guest} did not come up", remedy=f"see {command[0]}-{link}.log")

    def end(self, guest: str) -> None:
        """Kill that of ``guest``, if it has one."""
        process = self._running.pop(guest, None)
        if process is not None:
            process.kill()
            process.wait()

    def end_all(self) -> None:
        """Kill all."""
        for guest in list(self._running):
            self.end(guest)


async def _octets(descriptor: int) -> bytes:
    """What comes first; nothing when the other end was closed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 16)
