"""A guest that is a QEMU virtual machine.

Socket pairs lead into QEMU, none of them in the filesystem: QMP (control), the serial console, and a virtio
port each for the agent and for the joiner (who makes a restored guest itself). One process, and one task that
waits for its end and reads what it says on stderr. Whatever ends the guest (killed QEMU, panic, stop()) comes
together in ``ended``, and every verb that is under way raises its reason at once.

QEMU dies with us however we die: it gets SIGKILL when the thread that started it ends (prctl(2),
PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import qemu.qmp

from guestnet.core.errors import EnvironmentMissing, GuestError
from guestnet.core.result import Ran
from guestnet.guest.agent import Agent, ChannelClosed
from guestnet.guest.base import Command
from guestnet.guest.console import Console
from guestnet.guest.machine import Channels, Machine
from guestnet.guest.rewind import States
from guestnet.system.programs import require

BOOT_WITHIN: Final = 60.0
"""Seconds that a guest may take from power on until its agent answers; ample for a busy machine."""

RESTORE_WITHIN: Final = 15.0
"""Seconds from the start of QEMU with a snapshot until the guest is itself."""

_ANSWER_LIMIT: Final = 1024
_SETTLE: Final = "/usr/lib/guestnet/settle"
_SEED_BYTES: Final = 64
_STDERR_KEPT: Final = 8 * 1024
_DEATH_NOTICED_WITHIN: Final = 2.0

_T = TypeVar("_T")


class QemuGuest:
    """See guestnet.guest.base.Guest for the verbs. Made once, started once by boot() or restore(), ended by
    stop()."""

    has_clock = True

    def __init__(self, machine: Machine) -> None:
        """Must be called in a running event loop. Starts nothing."""
        self.machine = machine
        self.ended: asyncio.Future[GuestError | None] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._handle: int | None = None
        self._console: Console | None = None
        self._agent: Agent | None = None
        self._joiner: socket.socket | None = None
        self._qmp: qemu.qmp.QMPClient | None = None
        self._states = States(self.control, self._send, self.hostname)
        self._tasks: list[asyncio.Task[None]] = []
        self._stderr = bytearray()
        self._failure: GuestError | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def hostname(self) -> str:
        return self.machine.hostname

    @property
    def mac(self) -> str:
        return self.machine.mac

    @property
    def pid(self) -> int:
        """QEMU's process id. Raises GuestError before the start."""
        if self._process is None:
            raise GuestError(f"{self.hostname} was not started")
        return self._process.pid

    @property
    def console(self) -> Console:
        """The serial console, live. Raises GuestError before the start."""
        if self._console is None:
            raise GuestError(f"{self.hostname} was not started")
        return self._console

    @property
    def agent(self) -> Agent:
        """Raises GuestError before the start."""
        if self._agent is None:
            raise GuestError(f"{self.hostname} was not started")
        return self._agent

    async def boot(
        self, *, named: bool = True, memory_file: Path | None = None, within: float = BOOT_WITHIN
    ) -> None:
        """Power on; returns when the agent answers.

        ``named``: it takes its MAC address and host name and asks for a lease meanwhile; without, its NIC
        stays down, ready for a snapshot. ``memory_file`` is where its memory lives then. Raises GuestError,
        with the console's last lines when the guest does not answer ``within`` seconds.
        """
        await self._launch(
            named=named, memory_file=memory_file, keep_memory=memory_file is not None, state=None
        )
        await self._answering(within, self._joined())

    async def restore(self, memory: Path, state: Path, *, within: float = RESTORE_WITHIN) -> None:
        """Start from a snapshot's files; returns when the guest has the time, randomness, MAC address and
        host name of its own and its DHCP client runs. Raises GuestError when QEMU refuses the snapshot."""
        descriptor = os.open(state, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._launch(named=True, memory_file=memory, keep_memory=False, state=descriptor)
            await self._leave_memory_out()
            # QEMU announces the "moved" guest by RARPs with the snapshot's MAC address. They can't be helped:
            # with announce-rounds=0 QEMU 7.2 crashes at the guest's next reset.
            await self.control("migrate-incoming", uri=f"fd:{descriptor}")
        finally:
            os.close(descriptor)
        await self._answering(within, self._become())

    async def _become(self) -> None:
        """Give a restored guest new randomness, the time and its names; see images/tiny/…/joiner."""
        await self._order(self.mac, self.hostname)

    async def _order(self, *names: str, at: int | None = None) -> None:
        now = time.time_ns() if at is None else at
        order = " ".join([secrets.token_hex(_SEED_BYTES), str(now), *names]) + "\n"
        await asyncio.get_running_loop().sock_sendall(self._port, order.encode())
        await self._joined()

    async def _joined(self) -> None:
        """The joiner's word that the guest is itself, and the agent's first answer."""
        answer = b""
        while not answer.endswith(b"\n"):
            part = await asyncio.get_running_loop().sock_recv(self._port, _ANSWER_LIMIT)
            if not part:
                raise ChannelClosed(f"{self.hostname}: the joiner's channel is closed")
            answer += part
        said = answer.decode(errors="replace").splitlines()[-1]
        if said != "ok":
            raise GuestError(
                f"{self.hostname} could not be made itself: {said}", remedy="build its image again"
            )
        await self.agent.ping(BOOT_WITHIN)

    async def save(self, state: Path) -> None:
        """Stop the guest and write the state of its devices to ``state``; with the memory file that it was
        booted on this is a snapshot. The guest is of no use afterwards. Raises GuestError."""
        settled = await self.run([_SETTLE])
        if settled.status != 0:
            raise GuestError(f"{self.hostname} does not come to rest: {settled.stderr}")
        descriptor = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            # Not stopped before: QEMU does that itself at the end, and a restored guest then runs at once.
            self._control.send_fd_scm(descriptor)
            await self.control("getfd", fdname="state")
            await self._leave_memory_out()
            await self.control("migrate", uri="fd:state")
            while (status := (await self.control("query-migrate"))["status"]) != "completed":
                if status in ("failed", "cancelled"):
                    raise GuestError(
                        f"{self.hostname}: QEMU could not save its state", remedy="see its disk space"
                    )
                await asyncio.sleep(0.01)
        finally:
            os.close(descriptor)

    async def _leave_memory_out(self) -> None:
        capability = {"capability": "x-ignore-shared", "state": True}
        await self.control("migrate-set-capabilities", capabilities=[capability])

    async def run(
        self,
        command: Command,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - the guest's process is killed when it passes
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return await self._alive(
            self.agent.run(command, timeout=timeout, stdin=stdin, environment=environment)
        )

    async def read_file(self, path: str) -> bytes:
        return await self._alive(self.agent.read_file(path))

    async def write_file(self, path: str, content: bytes) -> None:
        await self._alive(self.agent.write_file(path, content))

    async def control(self, command: str, /, **arguments: object) -> Any:
        """One QMP command, its ``return``. Raises GuestError when QEMU refuses it."""
        try:
            return await self._alive(self._control.execute(command, arguments))
        except qemu.qmp.ExecuteError as error:
            raise GuestError(f"{self.hostname}: QEMU refuses {command}: {error}") from error
        except qemu.qmp.QMPError as error:
            raise await self._why_gone(
                GuestError(f"{self.hostname}: QEMU's control channel: {error}")
            ) from error

    async def reset(self, *, within: float = BOOT_WITHIN) -> None:
        with self._control.listener("RESET") as events:
            await self.control("system_reset")
            await self._answering(within, events.get())
        self.agent.out_of_step()
        with contextlib.suppress(BlockingIOError):  # what the joiner said before
            self._port.recv(_ANSWER_LIMIT)
        await self._answering(within, self._joined())

    async def keep_state(self, name: str = "") -> str:
        """Keep memory and devices as they are, for as long as this QEMU runs; gives the state's name.

        The guest stands still meanwhile, about half a second. Raises GuestError for a name that is taken.
        """
        return await self._states.keep(name)

    async def load_state(self, name: str) -> None:
        """Take the guest back to a state of keep_state(), with new randomness and today's time; returns when
        it answers. Raises GuestError for an unknown name."""
        await self._states.load(name)
        self.agent.out_of_step()
        await self._answering(RESTORE_WITHIN, self._order())

    async def pause(self) -> None:
        await self.control("stop")

    async def resume(self) -> None:
        await self.control("cont")

    async def set_clock(self, at: int) -> None:
        await self._answering(RESTORE_WITHIN, self._order(at=at))

    async def set_link(self, up: bool) -> None:
        await self.control("set_link", name="nic", up=up)

    async def stop(self) -> None:
        self._stopping = True
        self._kill()
        if self._qmp is not None:
            # It complains of the connection that just broke, which is what was asked for.
            with contextlib.suppress(qemu.qmp.QMPError, OSError, EOFError, asyncio.IncompleteReadError):
                await self._qmp.disconnect()
            self._qmp = None
        await asyncio.gather(*self._tasks)
        if self._agent is not None:
            await self._agent.close()
        if self._joiner is not None:
            self._joiner.close()
        if self._console is not None:
            self._console.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self, descriptor: int) -> None:
        self._control.send_fd_scm(descriptor)

    @property
    def _port(self) -> socket.socket:
        if self._joiner is None:
            raise GuestError(f"{self.hostname} was not started")
        return self._joiner

    @property
    def _control(self) -> qemu.qmp.QMPClient:
        if self._qmp is None:
            raise self._reason() or GuestError(f"{self.hostname} is not running")
        return self._qmp

    async def _launch(
        self, *, named: bool, memory_file: Path | None, keep_memory: bool, state: int | None
    ) -> None:
        if self._process is not None:
            raise GuestError(f"{self.hostname} was started before", remedy="make a new guest")
        with contextlib.ExitStack() as theirs:
            ours: list[socket.socket] = []
            ends: list[socket.socket] = []
            for _ in range(4):
                own, end = socket.socketpair()
                ours.append(own)
                ends.append(theirs.enter_context(end))
            channels = Channels(ends[0].fileno(), ends[1].fileno(), ends[2].fileno(), ends[3].fileno(), state)
            command = self.machine.command(
                named=named, memory_file=memory_file, keep_memory=keep_memory, channels=channels
            )
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *_dying_with_us(),
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(*channels.all, *self.machine.cable.inherited),
                    # Ctrl-C is for us; we end the guests in order.
                    start_new_session=True,
                )
            except OSError as error:
                for own in ours:
                    own.close()
                raise EnvironmentMissing(
                    f"{command[0]} does not start: {error}", remedy="install QEMU again"
                ) from error
        # A program that can't be executed is gone by now, and may be reaped: then there is nothing to kill.
        with contextlib.suppress(ProcessLookupError):
            self._handle = os.pidfd_open(self._process.pid)
        console, agent, self._joiner, control = ours
        self._joiner.setblocking(False)
        self._console = Console(console, self.machine.console_log, self._panicked)
        self._agent = Agent(agent, self.hostname)
        self._tasks.append(
            asyncio.create_task(self._watch(self._process), name=f"{self.hostname}: QEMU's end")
        )
        await self._agent.open()
        self._qmp = qemu.qmp.QMPClient(self.hostname)
        # It logs every broken connection as an error; ours break when QEMU ends, which we report ourselves.
        self._qmp.logger.setLevel("CRITICAL")
        try:
            await self._qmp.connect(control)
        except qemu.qmp.QMPError as error:
            raise await self._why_gone(
                GuestError(f"{self.hostname}: QEMU does not talk to us: {error}")
            ) from error

    async def _answering(self, within: float, work: Coroutine[Any, Any, object]) -> None:
        """Do ``work``, which waits for the guest, but not longer than ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._alive(work)
        except TimeoutError:
            raise GuestError(
                f"{self.hostname} did not answer within {within:g} s; its console ends with:\n"
                f"{self.console.recent()}",
                remedy="look at the whole console log" if self.machine.console_log else "",
            ) from None

    async def _alive(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do ``work``, or raise the reason as soon as the guest ends."""
        task = asyncio.ensure_future(work)
        try:
            waited: set[asyncio.Future[Any]] = {task, self.ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled() and (reason := self._reason()) is not None:
            raise reason
        try:
            return task.result()
        except (ChannelClosed, ConnectionError) as error:
            broken = GuestError(f"{self.hostname}: a channel into QEMU broke: {error}")
            raise await self._why_gone(broken) from error

    async def _why_gone(self, fallback: GuestError) -> GuestError:
        """A channel broke: the end of the process is noticed in a moment and tells more."""
        await asyncio.wait({self.ended}, timeout=_DEATH_NOTICED_WITHIN)
        return self._reason() or fallback

    def _reason(self) -> GuestError | None:
        if not self.ended.done():
            return None
        return self.ended.result() or GuestError(f"{self.hostname} was stopped", remedy="start another guest")

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            raise AssertionError("stderr was asked for")
        while data := await process.stderr.read(4096):
            self._stderr += data
            del self._stderr[:-_STDERR_KEPT]
        status = await process.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._console is not None:
            self._console.close()
        if not self.ended.done():
            self.ended.set_result(
                None if self._stopping and not self._failure else self._failure or self._died(status)
            )

    def _kill(self) -> None:
        # Not Process.kill(): that may reap the process itself, and asyncio then does not learn how it ended.
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _died(self, status: int) -> GuestError:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        said = self._stderr.decode(errors="replace").strip()
        return GuestError(
            f"{self.hostname}: QEMU (pid {self.pid}) {how}" + (f" and said: {said}" if said else ""),
            remedy="start the guest again; if nobody killed QEMU, look at what it said",
        )

    def _panicked(self, text: str) -> None:
        lines = "\n".join(text.splitlines()[:20])
        self._failure = GuestError(
            f"{self.hostname}: its kernel panicked:\n{lines}", remedy="see its console log"
        )
        self._kill()


def _dying_with_us() -> list[str]:
    return [str(require("setpriv")), "--pdeathsig", "KILL", "--"]


Say = Callable[[str], None]
"""Takes a sentence for people: a snapshot is made, one was damaged."""
