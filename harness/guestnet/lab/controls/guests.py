"""The guests of a lab: made and plugged in, watched, and driven by the client's requests.

A guest that ends is an event in the journal and an error of whoever asks it something, never the lab's end.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from guestnet.core.address import Mac
from guestnet.core.errors import GuestError
from guestnet.core.events import ClockJumped, CommandRun, GuestEnded, GuestStarted, LinkChanged
from guestnet.core.recorder import Recorder
from guestnet.core.result import Ran
from guestnet.core.time import to_seconds
from guestnet.edge.clock import LabClock
from guestnet.guest.base import Guest
from guestnet.guest.netns import NetnsGuest
from guestnet.guest.qemu import QemuGuest
from guestnet.lab.controls.commands import show
from guestnet.lab.controls.console import lend_console
from guestnet.lab.controls.makers import Maker
from guestnet.lab.requests import protocol
from guestnet.lab.requests.handler import Handlers, WithDescriptor
from guestnet.lab.requests.protocol import GuestInfo
from guestnet.lab.requests.request import Request
from guestnet.lab.requests.time import SetClock
from guestnet.stacks.base import Stack

_SHOWN: Final = 4096
"""Characters of a command's output that the journal keeps of either stream."""

_CLOCK_WITHIN: Final = 20.0
_FOR_THE_AWAKE: Final = (
    protocol.Run, protocol.ReadFile, protocol.WriteFile, protocol.ResetGuest, SetClock,
)  # fmt: skip

_log = logging.getLogger(__name__)

T = TypeVar("T")


class _Resident(NamedTuple):
    info: GuestInfo
    guest: Guest
    watch: "asyncio.Task[None]"


class Guests:
    """The guests of one lab, "guest1" and on, on the cables of one stack."""

    def __init__(self, kind: str, maker: Maker, stack: Stack, recorder: Recorder, clock: LabClock) -> None:
        self._kind = kind
        self._maker = maker
        self._stack = stack
        self._recorder = recorder
        self._clock = clock
        self._count = 0
        self._residents: dict[str, _Resident] = {}
        self._ended: dict[str, str] = {}
        self._paused: set[str] = set()
        self._asleep: set[str] = set()
        one: dict[type[Request[Any]], Callable[[Guest, Any], Awaitable[object]]] = {
            protocol.Run: self._run,
            protocol.ReadFile: self._read_file,
            protocol.WriteFile: self._write_file,
            protocol.ResetGuest: self._reset,
            protocol.PauseGuest: self._pause,
            protocol.ResumeGuest: self._resume,
            protocol.StopGuest: self._stop_guest,
            protocol.SetLink: self._set_link,
            SetClock: self._set_clock,
            protocol.SnapshotGuest: self._snapshot,
            protocol.RestoreGuest: self._restore,
            protocol.OpenConsole: self._open_console,
        }
        self.handlers: Final[Handlers] = {
            protocol.AddGuest: self._add,
            **{request: partial(self._for_one, handler) for request, handler in one.items()},
        }

    @property
    def infos(self) -> list[GuestInfo]:
        """Of all guests that were ever there, in order."""
        return [resident.info for _, resident in sorted(self._residents.items(), key=_number)]

    @property
    def pids(self) -> dict[str, int]:
        """Of the guests' processes, where a guest is one."""
        running = {name: each.guest for name, each in self._residents.items() if name not in self._ended}
        return {
            name: guest.pid for name, guest in running.items() if isinstance(guest, (QemuGuest, NetnsGuest))
        }

    @property
    def ended(self) -> dict[str, str]:
        """Guests that are no more, and why."""
        return dict(self._ended)

    async def add(self) -> GuestInfo:
        """One more guest, its agent answering. Raises EnvironmentMissing, GuestError."""
        self._count += 1
        number = self._count
        name = f"guest{number}"
        mac = Mac(bytes((0x52, 0x54, 0, 0x65, 0, number)))
        link = "cable" if number == 1 else f"cable-{name}"
        began = time.monotonic()
        try:
            made = await self._maker.make(number, name, mac, link)
        except BaseException:
            self._stack.unplug(name)
            raise
        self._recorder.event(
            GuestStarted(
                at=self._clock.now(),
                guest=name,
                how=made.how,
                mac=str(mac),
                seconds=round(time.monotonic() - began, 6),
                accelerator=made.accelerator,
                image=made.image,
            )
        )
        info = GuestInfo(name=name, mac=str(mac), link=link, kind=self._kind)
        watch = asyncio.create_task(self._watch(name, made.guest), name=f"{name}'s end")
        self._residents[name] = _Resident(info, made.guest, watch)
        await self._tell_time(made.guest)
        return info

    async def _add(self, request: protocol.AddGuest) -> GuestInfo:
        return await self.add()

    async def _for_one(
        self, handler: Callable[[Guest, Any], Awaitable[object]], request: Request[Any]
    ) -> object:
        """What ``handler`` answers for the guest that ``request`` names. Raises GuestError."""
        name: str = request.guest  # type: ignore[attr-defined]
        if name not in self._residents:
            names = ", ".join(info.name for info in self.infos) or "no guest"
            raise GuestError(f"there is no {name}", remedy=f"this lab has {names}")
        if name in self._ended:
            raise GuestError(f"{name} is no more: {self._ended[name]}", remedy="see its console log")
        if name in self._asleep and isinstance(request, _FOR_THE_AWAKE):
            raise GuestError(f"{name} sleeps", remedy="ask it after the block of lab.asleep()")
        return await handler(self._residents[name].guest, request)

    async def fall_asleep(self) -> list[str]:
        """Pause all guests that run; the answer names them. Raises GuestError."""
        awake = [name for name in self._residents if name not in self._ended.keys() | self._paused]
        await asyncio.gather(*(self._residents[name].guest.pause() for name in awake))
        self._asleep = set(awake)
        return awake

    async def wake_up(self, names: Sequence[str], *, set_clocks: bool) -> None:
        """Let those go on that `fall_asleep` named, if they are still there. Raises GuestError."""
        self._asleep.clear()
        sleepers = [self._residents[name].guest for name in names]
        there = [guest for guest in sleepers if not guest.ended.done()]
        await asyncio.gather(*(guest.resume() for guest in there))
        if set_clocks:
            clocks = [guest.set_clock for guest in there if guest.has_clock]
            await asyncio.gather(*(set_clock(self._clock.now()) for set_clock in clocks))

    async def stop(self) -> None:
        """End all guests at once."""
        residents = list(self._residents.values())
        await asyncio.gather(*(resident.guest.stop() for resident in residents))
        await asyncio.gather(*(resident.watch for resident in residents))

    async def _watch(self, name: str, guest: Guest) -> None:
        error = await asyncio.shield(guest.ended)
        reason = "stopped" if error is None else error.message
        self._ended[name] = reason
        self._stack.unplug(name)
        self._recorder.event(GuestEnded(at=self._clock.now(), guest=name, reason=reason))
        if error is not None:
            _log.warning("%s ended: %s", name, error)
            with contextlib.suppress(GuestError):
                await guest.stop()

    async def _tell_time(self, guest: Guest) -> None:
        """A machine that starts takes this machine's time, but in the lab it may be later."""
        if self._clock.jumped and guest.has_clock:
            await _within(_CLOCK_WITHIN, "setting its clock", guest.set_clock(self._clock.now()))

    # Requests

    async def _run(self, guest: Guest, request: protocol.Run) -> Ran:
        ran = await guest.run(request.command, timeout=request.timeout, stdin=request.input)
        command = show(request.command)
        self._recorder.event(
            CommandRun(
                at=self._clock.now(),
                guest=request.guest,
                command=command,
                status=ran.status,
                seconds=round(ran.seconds, 6),
                stdout=_shown(ran.stdout_bytes),
                stderr=_shown(ran.stderr_bytes),
            )
        )
        return msgspec.structs.replace(ran, command=command)

    async def _read_file(self, guest: Guest, request: protocol.ReadFile) -> bytes:
        return await _within(request.timeout, f"reading {request.path}", guest.read_file(request.path))

    async def _write_file(self, guest: Guest, request: protocol.WriteFile) -> None:
        work = guest.write_file(request.path, request.content)
        await _within(request.timeout, f"writing {request.path}", work)

    async def _reset(self, guest: Guest, request: protocol.ResetGuest) -> None:
        began = time.monotonic()
        await _within(request.timeout, "the reset", guest.reset())
        self._paused.discard(request.guest)
        await self._tell_time(guest)
        seconds = round(time.monotonic() - began, 6)
        self._recorder.event(
            GuestStarted(
                at=self._clock.now(), guest=request.guest, how="reset", mac=guest.mac, seconds=seconds
            )
        )

    async def _pause(self, guest: Guest, request: protocol.PauseGuest) -> None:
        await guest.pause()
        self._paused.add(request.guest)

    async def _resume(self, guest: Guest, request: protocol.ResumeGuest) -> None:
        await guest.resume()
        self._paused.discard(request.guest)

    async def _set_clock(self, guest: Guest, request: SetClock) -> int:
        now = self._clock.now()
        at = (now if request.at is None else request.at) + request.ahead
        await _within(_CLOCK_WITHIN, "setting its clock", guest.set_clock(at))
        self._recorder.event(ClockJumped(at=now, clock=request.guest, seconds=to_seconds(at - now)))
        return at

    async def _stop_guest(self, guest: Guest, request: protocol.StopGuest) -> None:
        await guest.stop()
        await asyncio.wait({self._residents[request.guest].watch})

    async def _set_link(self, guest: Guest, request: protocol.SetLink) -> None:
        await guest.set_link(request.up)
        link = self._residents[request.guest].info.link
        change = "up" if request.up else "down"
        self._recorder.event(
            LinkChanged(at=self._clock.now(), link=link, change=f"{change}: at the guest's end")
        )

    async def _snapshot(self, guest: Guest, request: protocol.SnapshotGuest) -> str:
        return await _machine(guest, request.guest).keep_state()

    async def _restore(self, guest: Guest, request: protocol.RestoreGuest) -> None:
        await _machine(guest, request.guest).load_state(request.snapshot)
        self._paused.discard(request.guest)
        await self._tell_time(guest)

    async def _open_console(self, guest: Guest, request: protocol.OpenConsole) -> WithDescriptor:
        if isinstance(guest, NetnsGuest):
            terminal = guest.open_terminal()
            return WithDescriptor(None, lend_console(terminal, terminal.ended))
        console = getattr(guest, "console", None)
        if console is None:
            raise GuestError(f"{request.guest} has no serial console", remedy="use --guest qemu")
        return WithDescriptor(None, lend_console(console, guest.ended))


async def _within(seconds: float, what: str, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise GuestError(
            f"{what} took more than {seconds:g} s", remedy="see the guest's console log"
        ) from error


def _machine(guest: Guest, name: str) -> QemuGuest:
    if not isinstance(guest, QemuGuest):
        raise GuestError(f"{name} has no state to keep", remedy="use --guest qemu")
    return guest


def _shown(output: bytes) -> str:
    text = output[: 4 * _SHOWN].decode(errors="replace")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _number(named: tuple[str, _Resident]) -> int:
    return int(named[0].removeprefix("guest"))
