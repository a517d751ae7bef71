"""The servers of a world as processes of the lab: started, known to listen, watched, ended."""

import asyncio
import contextlib
import logging
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine
from typing import Final, NamedTuple

import msgspec

from harness.core.errors import DescriptionError, EnvironmentMissing, LabError
from harness.world.description import World
from harness.world.model import Server
from harness.world.mounts import RUN
from harness.world.namespaces import Namespaces
from harness.world.servers.dnsmasq import STARTED, QueryLog, command, find_dnsmasq
from harness.world.servers.messages import Failed, Order, Orders, Ready, Report, Request

_START_TIMEOUT: Final = 15.0
_SAID: Final = 3
"""How many of the last words of a process that did not start go into the error."""

_log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """A line of a server's access log, as core.events.Served has it."""

    server: str
    client: str
    request: str
    status: str


class Servers:
    """Runs the servers of one world.

    ``on_answer`` is called for each line of their access logs, ``on_end`` with a reason when one of the
    processes ends that was not told to.
    """

    def __init__(
        self, world: World, on_answer: Callable[[Answered], None], on_end: Callable[[str], None]
    ) -> None:
        self._world = world
        self._on_answer = on_answer
        self._on_end = on_end
        self._tasks: list[asyncio.Task[None]] = []
        self._python: Process | None = None
        self._processes: dict[str, Process] = {}
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        """PIDs of the processes, by what they serve."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    async def prepare(self) -> None:
        """Start what needs no world: Python's imports take a while. Raises EnvironmentMissing."""
        if self._named("dns"):
            find_dnsmasq()
            if shutil.which("nsenter") is None:
                raise EnvironmentMissing("nsenter is not installed", remedy="install util-linux")
        if any(server.kind != "dns" for server in self._world.servers.values()):
            self._python = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "harness.world.servers", stdin=PIPE, stdout=PIPE
            )  # fmt: skip
            self._processes["servers"] = self._python

    async def start(self, namespaces: Namespaces) -> None:
        """Return when every server listens. Raises LabError naming the one that can't."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                starting = [
                    self._start_dns(name, server, namespaces) for name, server in self._named("dns").items()
                ]
                if self._python is not None:
                    starting.append(self._start_python(self._python, namespaces))
                await asyncio.gather(*starting)
        except TimeoutError as error:
            raise LabError(
                f"the world's servers did not listen within {_START_TIMEOUT:.0f} s", remedy="see lab.log"
            ) from error

    async def stop(self) -> None:
        """End the processes and wait for them. Idempotent."""
        self._stopping = True
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _named(self, kind: str) -> dict[str, Server]:
        return {name: server for name, server in self._world.servers.items() if server.kind == kind}

    async def _start_python(self, process: Process, namespaces: Namespaces) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        orders = [
            Order(name, server.kind, str(namespaces.path(server.host)), server.addresses, server.port)
            for name, server in self._world.servers.items()
            if server.kind != "dns"
        ]
        process.stdin.write(msgspec.json.encode(Orders(orders)) + b"\n")
        decoder = msgspec.json.Decoder[Report](Report)
        line = await process.stdout.readline()
        first = (
            decoder.decode(line)
            if line
            else Failed("(all)", "the server process ended; lab.log has its words")
        )
        if isinstance(first, Failed):
            raise _cannot(first.server, first.reason)
        assert isinstance(first, Ready)
        self._follow("servers", process, self._follow_python(process, decoder))

    async def _follow_python(self, process: Process, decoder: msgspec.json.Decoder[Report]) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            report = decoder.decode(line)
            if isinstance(report, Request):
                self._on_answer(Answered(report.server, report.client, report.request, report.status))

    async def _start_dns(self, name: str, server: Server, namespaces: Namespaces) -> None:
        folder = RUN / name
        folder.mkdir()
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net={namespaces.path(server.host)}", "--",
            *command(server, folder),
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
        )  # fmt: skip
        self._processes[name] = process
        assert process.stderr is not None
        said: list[str] = []
        while line := (await process.stderr.readline()).decode(errors="replace").strip():
            if STARTED.search(line):
                self._follow(name, process, self._follow_dns(name, process))
                return
            said.append(line)
        raise _cannot(name, "; ".join(said[-_SAID:]) or "dnsmasq ended")

    async def _follow_dns(self, name: str, process: Process) -> None:
        assert process.stderr is not None
        queries = QueryLog()
        while line := (await process.stderr.readline()).decode(errors="replace").strip():
            if answered := queries.read(line):
                self._on_answer(Answered(name, *answered))
            else:
                _log.debug("%s: %s", name, line)

    def _follow(self, name: str, process: Process, reading: Coroutine[None, None, None]) -> None:
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


def _cannot(server: str, reason: str) -> LabError | DescriptionError:
    if "in use" in reason:
        return DescriptionError(
            f"servers.{server} can't listen: {reason}", remedy="give it another port or address"
        )
    return LabError(f"servers.{server} can't start: {reason}")
