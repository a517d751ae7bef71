"""A guest that is a network namespace of this machine: a real Linux TCP/IP, no virtual machine.

It has the tools, the DHCP client and the files of the image (an overlay over the image's tree, so that it may
write everywhere), a host name, interfaces and processes of its own; its kernel is this machine's. See
`guestnet.guest.netns_body` for how it is made and what ends it.

What it is not: it has no memory or devices to snapshot, no serial console, no clock of its own; and pause()
stops its processes, not its kernel, which goes on answering ARP, pings and TCP segments.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from guestnet.core.errors import GuestError
from guestnet.core.result import Ran
from guestnet.guest import tap
from guestnet.guest.base import Command
from guestnet.guest.command import OUTPUT_LIMIT, TooMuchOutput, run_to_end
from guestnet.guest.netns_body import ENVIRONMENT, Body, Plan, make
from guestnet.guest.terminal import Terminal, open_terminal
from guestnet.system.programs import require

_FILE_WITHIN: Final = 20.0
_SIGNAL_WITHIN: Final = 5.0
_PF_EXITING: Final = 0x4
_NOT_STARTED: Final = b"nsenter: failed to execute"

T = TypeVar("T")


class NetnsGuest:
    """See guestnet.guest.base.Guest for the verbs. Made once, started once by start(), ended by stop().

    ``plug`` takes the descriptor of the TAP device, which is its own from then on; ``pull`` stops the cable,
    or lets it go on: a TAP device takes frames from outside whether it has a carrier or not.
    """

    has_clock = False

    def __init__(
        self,
        plan: Plan,
        plug: Callable[[int], None],
        pull: Callable[[bool], None],
        network: int | None = None,
    ) -> None:
        """Must be called in a running event loop. Starts nothing.

        ``network``, a descriptor that stays the caller's, is the namespace in which a stack has made the NIC:
        then there is nothing to plug, and no cable to pull.
        """
        self.ended: asyncio.Future[GuestError | None] = asyncio.get_running_loop().create_future()
        self._plan = plan
        self._plug = plug
        self._pull = pull
        self._network = network
        self._body: Body | None = None
        self._device: int | None = None
        self._groups: set[int] = set()
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._nsenter = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def hostname(self) -> str:
        return self._plan.hostname

    @property
    def mac(self) -> str:
        return str(self._plan.mac)

    @property
    def pid(self) -> int:
        """Of its first process. Raises GuestError before the start."""
        return self._alive_body.init.pid

    async def start(self) -> None:
        """Be there: commands run, the NIC is up, the DHCP client asks. Raises EnvironmentMissing."""
        self._nsenter = str(require("nsenter"))
        # In the loop's own thread: it takes milliseconds, and a cancelled caller leaves nothing half made.
        body, device = make(self._plan, self._network)
        self._adopt(body)
        if device is None:
            return
        self._device = os.dup(device)
        try:
            self._plug(device)
        except BaseException:
            os.close(device)
            raise

    async def run(
        self,
        command: Command,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - the guest's process is killed when it passes
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        shown = _shown(words)
        try:
            async with asyncio.timeout(timeout):
                await self._alive(self._goes_on.wait())
            return await self._alive(self._enter(words, timeout, stdin, environment or {}))
        except TimeoutError:
            raise GuestError(
                f"{self.hostname}: {shown} did not end within {timeout:g} s and was killed",
                remedy="give it a longer timeout, or >/dev/null 2>&1 to what it leaves in the background",
            ) from None
        except TooMuchOutput:
            raise GuestError(
                f"{self.hostname}: {shown} printed more than {OUTPUT_LIMIT >> 20} MiB",
                remedy="let it write a file in the guest and read that",
            ) from None

    async def read_file(self, path: str) -> bytes:
        return await self._file(["cat", "--", path], b"")

    async def write_file(self, path: str, content: bytes) -> None:
        await self._file(["sh", "-c", 'exec cat >"$1"', "sh", path], content)

    def open_terminal(self) -> Terminal:
        """A shell on a terminal of the guest, the caller's to close. Raises GuestError."""
        body = self._alive_body
        words = ["/usr/bin/busybox", "setsid", "-c", "/bin/sh", "-c", "exec bash -l || exec sh -l"]
        ours, theirs = open_terminal(body.namespaces["mount"])
        environment = {**ENVIRONMENT, "TERM": os.environ.get("TERM", "linux")}
        return Terminal(ours, theirs, self._entering(body, words), environment, body.descriptors)

    async def reset(self) -> None:
        """All of it anew but the NIC: namespaces, files, processes, connections, lease."""
        former = self._alive_body
        # The new guest takes the NIC away first, so that the old one's connections end without a word, as
        # they do when a machine is reset.
        body, _ = make(self._plan, former.namespaces["net"])
        self._forget(former)
        self._adopt(body)
        self._goes_on.set()
        await self._gone(former)

    async def pause(self) -> None:
        """Stop its processes. Its kernel is this machine's and goes on: it acknowledges and answers pings."""
        self._goes_on.clear()
        await self._signal_all("STOP")

    async def resume(self) -> None:
        # A waiting nsenter stops with the command that it waits for.
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)
        await self._signal_all("CONT")
        self._goes_on.set()

    async def set_clock(self, at: int) -> None:
        raise GuestError(
            f"{self.hostname} has the wall clock of this machine, which stays as it is",
            remedy="use --guest qemu",
        )

    async def set_link(self, up: bool) -> None:
        body = self._alive_body
        if self._device is None:
            raise GuestError(
                f"{self.hostname} has a NIC of its stack's own, whose cable can't be pulled",
                remedy="choose the stack builtin",
            )
        if not up:
            self._pull(up)
        tap.set_carrier(self._device, body.network, up)
        if up:
            self._pull(up)

    async def stop(self) -> None:
        body = self._body
        if body is not None:
            self._forget(body)
            if not self.ended.done():
                self.ended.set_result(None)
            await self._gone(body)
        elif not self.ended.done():
            self.ended.set_result(None)
        if self._device is not None:
            os.close(self._device)
            self._device = None

    # Its life

    def _adopt(self, body: Body) -> None:
        self._body = body
        asyncio.get_running_loop().add_reader(body.handle, self._died)

    def _forget(self, body: Body) -> None:
        asyncio.get_running_loop().remove_reader(body.handle)
        self._body = None

    async def _gone(self, body: Body) -> None:
        """Kill all of a body's processes and let go of it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(body.handle, signal.SIGKILL)
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(body.handle, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(body.handle)
            body.init.wait()
            body.close()

    def _died(self) -> None:
        """Init ended, and everything in the guest with it; nobody asked for that."""
        body = self._alive_body
        asyncio.get_running_loop().remove_reader(body.handle)
        status = body.init.wait()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if not self.ended.done():
            self.ended.set_result(
                GuestError(
                    f"{self.hostname}: its first process (pid {body.init.pid}) {how}",
                    remedy="start another guest; if nobody killed it, look at its console log",
                )
            )

    @property
    def _alive_body(self) -> Body:
        if self._body is None:
            raise self._reason()
        return self._body

    def _reason(self) -> GuestError:
        if not self.ended.done():
            return GuestError(f"{self.hostname} was not started")
        return self.ended.result() or GuestError(f"{self.hostname} was stopped", remedy="start another guest")

    async def _alive(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work``, or raise the reason as soon as the guest ends."""
        task = asyncio.ensure_future(work)
        try:
            waited: set[asyncio.Future[Any]] = {task, self.ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if self.ended.done():
            raise self._reason()
        return task.result()

    # Its processes

    async def _enter(
        self, words: list[str], limit: float, stdin: bytes, environment: Mapping[str, str]
    ) -> Ran:
        """Run ``words`` in all of the guest's namespaces. Raises GuestError when there is no such program."""
        body = self._alive_body
        group = 0

        def started(number: int) -> None:
            nonlocal group
            group = number
            self._groups.add(number)

        try:
            result = await run_to_end(
                self._entering(body, words),
                limit=limit,
                stdin=stdin,
                environment={**ENVIRONMENT, **environment},
                descriptors=body.descriptors,
                started=started,
            )
        finally:
            self._groups.discard(group)
        if result.status != 0 and _is_exiting(body.init.pid):
            # Before its first process is gone all others are killed, and no more can be started.
            await asyncio.shield(self.ended)
        if result.stderr_bytes.startswith(_NOT_STARTED):
            raise GuestError(f"{self.hostname}: {_said(result)}")
        return result

    def _entering(self, body: Body, words: list[str]) -> list[str]:
        """``words``, to be run in all namespaces of ``body``, whose descriptors must be passed on."""
        links = {name: f"/proc/self/fd/{descriptor}" for name, descriptor in body.namespaces.items()}
        enter = [self._nsenter, *(f"--{name}={link}" for name, link in links.items())]
        return [*enter, f"--wd=/proc/self/fd/{body.home}", "--", *words]

    async def _file(self, words: list[str], content: bytes) -> bytes:
        result = await self.run(words, timeout=_FILE_WITHIN, stdin=content)
        if result.status != 0:
            raise GuestError(f"{self.hostname}: {_said(result)}")
        return result.stdout_bytes

    async def _signal_all(self, name: str) -> None:
        words = ["/usr/bin/busybox", "kill", f"-{name}", "-1"]
        result = await self._alive(self._enter(words, _SIGNAL_WITHIN, b"", {}))
        if result.status != 0:
            raise GuestError(f"{self.hostname}: kill -{name}: {_said(result)}")


def _is_exiting(pid: int) -> bool:
    """Whether a process is on its way out, or gone: PF_EXITING of the flags in proc_pid_stat(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return bool(int(stat.rpartition(")")[2].split()[6]) & _PF_EXITING)


def _said(result: Ran) -> str:
    return result.stderr.strip()


def _shown(words: list[str]) -> str:
    text = " ".join(words)
    return repr(text if len(text) <= 100 else text[:97] + "...")
