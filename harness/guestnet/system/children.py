"""Child processes under one owner: followed while they run, and ended."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

from guestnet.core.errors import GuestnetError
from guestnet.system.forked import Owned

_SAID: Final = 3
"""How many of the last words of a process that did not start go into the error."""

Read = Callable[[str], None]
"""Takes a line that a process said."""
Cannot = Callable[[str], GuestnetError]
"""The error of a process that can't start, from its last words."""


class Children:
    """Owns processes; ``on_end`` is called with a reason when one ends that was not told to."""

    def __init__(self, on_end: Callable[[str], None]) -> None:
        self._on_end = on_end
        self._processes: dict[str, Owned] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        """PIDs of those that run, by what they serve."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    def own(self, name: str, process: Owned) -> None:
        """Let ``process``, which leads a process group, be ended by `stop`, with all that it has begun.

        asyncio waits until nobody has its output any more, and dnsmasq's children have it.
        """
        self._processes[name] = process

    async def run_in(
        self, namespace: Path, name: str, command: list[str], started: str, read: Read, cannot: Cannot
    ) -> None:
        """Run ``command`` in a network namespace; return when it has said ``started``, on either output.

        ``read`` gets each line that it says after that. Raises what ``cannot`` makes of its words when it
        does not start.
        """
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net={namespace}", "--", *command,
            stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT, process_group=0,
        )  # fmt: skip
        self.own(name, process)
        assert process.stdout is not None
        said: list[str] = []
        while line := await process.stdout.readline():
            text = line.decode(errors="replace").strip()
            if started in text:
                self.follow(name, process, _read_lines(process.stdout, read))
                return
            said.append(text)
        raise cannot("; ".join(each for each in said[-_SAID:] if each) or f"{command[0]} ended")

    def follow(self, name: str, process: Owned, reading: Coroutine[None, None, None]) -> None:
        """Own the task that reads what ``process`` reports; it ends with the process."""

        async def follow() -> None:
            await reading
            status = await process.wait()
            if not self._stopping:
                self._on_end(f"the process of {name} ended with status {status}")

        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._on_end(f"the report of {name} can't be read ({error})")

        task = asyncio.create_task(follow(), name=name)
        task.add_done_callback(done)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End the processes and wait for them. Idempotent."""
        self._stopping = True
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):  # one that has no group yet
                    process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


async def _read_lines(stream: asyncio.StreamReader, read: Read) -> None:
    while line := await stream.readline():
        if text := line.decode(errors="replace").strip():
            read(text)
