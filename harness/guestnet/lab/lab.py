"""The composition root: all pieces of a lab, put together in the order in which they need each other.

Journal and capture, world, stack, guests. `Lab` answers the client's requests, and takes everything down.
"""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from guestnet.core.errors import GuestnetError, LabError
from guestnet.core.events import LabStopped, Noted, SubnetOverlap
from guestnet.core.laptop import LaptopFacts
from guestnet.core.result import Ran
from guestnet.edge.clock import LabClock
from guestnet.journal.recording import FileRecorder
from guestnet.lab.beginning import open_recorder
from guestnet.lab.controls.commands import run_on
from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.links import LinkControl
from guestnet.lab.controls.makers import maker_for
from guestnet.lab.controls.sleep import Sleep
from guestnet.lab.controls.table import handlers_of
from guestnet.lab.requests import protocol
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.handler import Handlers
from guestnet.lab.requests.protocol import LabStatus, Sizes
from guestnet.lab.requests.request import Request
from guestnet.stacks.base import Stack, StackOptions
from guestnet.stacks.registry import open_stack
from guestnet.system.forked import Spawner
from guestnet.world.described.overlap import AUTO, PREFIX, SUBNET, Subnets, choose, networks
from guestnet.world.described.world import World
from guestnet.world.kernel.mounts import cover
from guestnet.world.running import RunningWorld

_STOP_TIMEOUT: Final = 2.0
_FLUSH_DELAY: Final = 0.2
"""Seconds after which whoever follows the files sees what was recorded, also when nothing more is."""

_log = logging.getLogger(__name__)


class Lab:
    """One running world, stack and guests. ``on_fault`` is called when it can't go on.

    ``proxy_python`` is the interpreter that runs the world's proxies, if it has any.
    """

    def __init__(
        self,
        description: LabDescription,
        artifacts: Path,
        on_fault: Callable[[GuestnetError], None],
        *,
        spawner: Spawner,
        proxy_python: str,
    ) -> None:
        self._spawner = spawner
        assert isinstance(description.profile, World), "the client sends the world itself"
        self._description = description
        self._world = description.profile.with_laptop(description.laptop)
        self._artifacts = artifacts
        self._on_fault = on_fault
        self._proxy_python = proxy_python
        self._began = time.monotonic()
        self._clock = LabClock()
        self._recorder: FileRecorder | None = None
        self._around: RunningWorld | None = None
        self._stack: Stack | None = None
        self._guests: Guests | None = None
        self._activity = asyncio.Event()
        self._flush: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.handlers: Handlers = {
            protocol.Now: self._now,
            protocol.Record: self._record,
            protocol.Activity: self._wait_for_activity,
            protocol.Status: self._status,
            protocol.RunOn: self._run_on,
        }

    async def start(self) -> LabStatus:
        """Build everything, or nothing. Raises what the pieces raise."""
        try:
            return await self._start()
        except BaseException as error:
            await self.stop(f"it could not start ({error or type(error).__name__})")
            raise

    async def _start(self) -> LabStatus:
        description = self._description
        cover(self._artifacts)
        recorder = self._recorder = open_recorder(description, self._world, self._artifacts, self._clock)
        recorder.on_activity = self._on_activity
        recorder.on_broken = self._on_broken
        subnets = self._choose_subnets(recorder)
        around = self._around = RunningWorld(
            self._world,
            seed=description.seed,
            spawner=self._spawner,
            recorder=recorder,
            clock=self._clock,
            on_fault=self._on_fault,
            proxy_python=self._proxy_python,
            guests=(subnets.ipv4, subnets.ipv6),
            on_facts=self._tell_stack,
            keeps=lambda: recorder.keeps,
        )
        await around.prepare()
        self._stack = open_stack(
            description.stack,
            StackOptions(
                recorder=recorder,
                clock=self._clock,
                seed=description.seed,
                mtu=description.mtu,
                keepalive=description.keepalive,
                ipv6=description.ipv6,
                subnet=subnets.ipv4,
                prefix=subnets.ipv6,
                resolv_conf=around.resolv_conf,
                artifacts=self._artifacts,
            ),
        )
        await self._stack.start()
        self._stack.told(around.facts)
        maker = maker_for(description, self._stack, self._artifacts, self._say)
        self._guests = Guests(description.guest, maker, self._stack, recorder, self._clock)
        # Guests restore while the world is built: nobody drives them before both are done. They come first
        # because one that is a namespace is made at once, if the world's thread leaves it the interpreter.
        await _together(self._add_guests(self._guests), around.start())
        sleep = Sleep(self._clock, recorder, self._guests, around)
        links = LinkControl(around.links, self._stack, self._guests)
        self.handlers |= handlers_of(self._guests, around, sleep, links)
        # What is here now stays: collections, which hold up every frame, need not look at it again.
        gc.freeze()
        _log.info("the lab is ready after %.3f s", time.monotonic() - self._began)
        return await self._status()

    def _choose_subnets(self, recorder: FileRecorder) -> Subnets:
        """Where the usual ones overlap a network of the laptop, the journal says so."""
        wanted = self._description.subnet
        subnets = choose(wanted, networks(self._world, at_start=wanted != AUTO))
        for network in subnets.because:
            four = ":" not in network.prefix
            recorder.event(
                SubnetOverlap(
                    at=self._clock.now(),
                    of=network.of,
                    network=network.prefix,
                    subnet=SUBNET if four else PREFIX,
                    renumbered=subnets.ipv4 if four else subnets.ipv6,
                )
            )
        return subnets

    def _on_activity(self) -> None:
        self._activity.set()
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_DELAY, self._flush_files)

    def _on_broken(self, why: str) -> None:
        error = LabError(
            f"the journal can't be written any more ({why})", remedy=f"make room in {self._artifacts}"
        )
        self._on_fault(error)

    def _flush_files(self) -> None:
        self._flush = None
        if self._recorder is not None:
            self._recorder.flush()

    async def _add_guests(self, guests: Guests) -> None:
        """One after the other, so that they get their leases in order."""
        for _ in range(self._description.guests):
            await guests.add()

    async def handle(self, request: Request[Any]) -> object:
        """The response to ``request``. Raises LabError and what the pieces raise."""
        if self._stopping is not None:
            raise LabError("the lab is ending", remedy="ask it before it is closed")
        if (handler := self.handlers.get(type(request))) is None:
            raise LabError("the lab is still starting", remedy="ask it when Start has been answered")
        return await handler(request)

    def _tell_stack(self, facts: LaptopFacts) -> None:
        """Guests may hear what the laptop's network has told it, as soon as that changes."""
        if self._stack is not None and self._stopping is None:
            self._stack.told(facts)

    async def stop(self, reason: str) -> None:
        """Take everything down, once; a second call waits for the first."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(reason), name="stop")
        await asyncio.shield(self._stopping)

    async def _stop(self, reason: str) -> None:
        steps: list[tuple[str, Awaitable[None]]] = []
        if self._guests is not None:
            steps.append(("guests", self._guests.stop()))
        if self._around is not None:
            steps.append(("the world", self._around.stop()))
        if self._stack is not None:
            steps.append((f"stack {self._stack.name}", self._stack.stop()))
        for what, step in steps:
            try:
                async with asyncio.timeout(_STOP_TIMEOUT):
                    await step
            except Exception:  # noqa: BLE001 - the other steps must come all the same
                _log.exception("%s did not stop well", what)
                self._note(f"{what} did not stop well; lab.log says more")
        if self._around is not None:
            self._around.close()
        if self._recorder is not None:
            now = self._clock.now()
            self._recorder.event(LabStopped(at=now, reason=reason))
            self._recorder.close(now)
            self._recorder = None
        if self._flush is not None:
            self._flush.cancel()

    # Requests that are not for a guest

    async def _now(self, request: protocol.Now) -> int:
        return self._clock.now()

    async def _record(self, request: protocol.Record) -> int:
        now = self._clock.now()
        self._journal().event(msgspec.structs.replace(request.event, at=now))
        return now

    async def _wait_for_activity(self, request: protocol.Activity) -> Sizes:
        recorder = self._journal()
        try:
            async with asyncio.timeout(request.timeout):
                while True:
                    self._activity.clear()
                    self._sweep()
                    sizes = recorder.flush()
                    if sizes.journal > request.journal or sizes.capture > request.capture:
                        break
                    await self._activity.wait()
        except TimeoutError:
            self._sweep()
            sizes = recorder.flush()
        return Sizes(journal=sizes.journal, capture=sizes.capture)

    def _sweep(self) -> None:
        if self._around is not None:
            self._around.links.sweep()

    async def _status(self, request: protocol.Status | None = None) -> LabStatus:
        guests = self._guests
        return LabStatus(
            scenario=self._description.scenario,
            stack=self._description.stack,
            world=self._world.name,
            seconds=time.monotonic() - self._began,
            guests=[] if guests is None else guests.infos,
            hosts=list(self._world.hosts),
            servers=list(self._world.servers),
            pids={"lab": os.getpid()}
            | ({} if self._around is None else self._around.pids)
            | ({} if guests is None else guests.pids),
            ended={} if guests is None else guests.ended,
            capabilities=[] if self._stack is None else sorted(self._stack.capabilities),
        )

    async def _run_on(self, request: protocol.RunOn) -> Ran:
        if self._around is None:
            raise LabError("the lab is still starting", remedy="ask it when Start has been answered")
        return await run_on(
            self._around.namespaces, request.host, request.command, limit=request.timeout, sent=request.input
        )

    # What the pieces report

    def _say(self, text: str) -> None:
        _log.info("%s", text)
        self._note(text, "info")

    def _note(self, text: str, level: Literal["info", "error"] = "error") -> None:
        if self._recorder is not None:
            self._recorder.event(Noted(at=self._clock.now(), text=text, level=level))

    def _journal(self) -> FileRecorder:
        if self._recorder is None:
            raise LabError("the lab is still starting", remedy="ask it when Start has been answered")
        return self._recorder


async def _together(*parts: Coroutine[Any, Any, object]) -> None:
    """Run all ``parts``; the first error is the one that is raised, when the others have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
