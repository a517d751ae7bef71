"""The client of a lab process: synchronous, with a deadline on everything.

A thread reads the control socket: it hands each reply to the call that waits for it, and tells all of them
at once when the lab ends. Calls may come from several threads.
"""

import contextlib
import itertools
import os
import select
import signal
import socket
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

import msgspec

from guestnet.core.errors import EnvironmentMissing, GuestnetError, LabError
from guestnet.lab.process import proxies
from guestnet.lab.process.labs import LabServer
from guestnet.lab.requests import protocol
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import HELLO, Answer, AnyRequest, Failure, LabStatus
from guestnet.lab.requests.request import R, Request
from guestnet.world.described.world import World
from guestnet.world.profiles.load import load_profile

LOG: Final = "lab.log"

_GRACE: Final = 10.0
"""Seconds that a request gets beyond its own timeout, for the way there and back."""

_PATIENCE: Final = {protocol.AddGuest: 180.0, protocol.SnapshotGuest: 60.0, protocol.RestoreGuest: 60.0}
_DEFAULT_PATIENCE: Final = 30.0
_LAST_WORDS: Final = 2.0
_START_TIMEOUT: Final = 30.0
"""Seconds for the server to import all, on a machine that is busy, and to fork."""
_READ_SIZE: Final = 1 << 20
_TAIL_LINES: Final = 20


class LabProcess:
    """A running lab, seen from outside. Made by `start`.

    It ends with `close`, with its context, or with this process, however that ends.
    """

    description: LabDescription
    world: World
    artifacts: Path
    started: LabStatus
    """What ran when the lab had started."""
    pid: int
    """Of the process in front of the lab, as this process sees it; the lab ends with it."""

    @classmethod
    def start(
        cls,
        description: LabDescription,
        artifacts: Path,
        *,
        deadline: float = 60.0,
        server: LabServer | None = None,
        say: proxies.Say = proxies.say_on_stderr,
    ) -> Self:
        """Start a lab that writes into the folder ``artifacts`` (made if need be), in ``deadline`` seconds.

        It comes from ``server``, which saves most of the time, or from one of its own. What the first world
        with a proxy needs is made before, and ``say`` told. Raises DescriptionError, EnvironmentMissing,
        GuestError, or LabError with the end of lab.log.
        """
        profile = description.profile
        world = profile if isinstance(profile, World) else load_profile(profile)
        proxy_python = str(proxies.make(say=say)) if proxies.needed(world) else ""
        artifacts = artifacts.resolve()
        try:
            artifacts.mkdir(parents=True, exist_ok=True)
            log = (artifacts / LOG).open("wb")
        except OSError as error:
            raise EnvironmentMissing(
                f"a lab can't write into {artifacts} ({error.strerror})", remedy="choose another folder"
            ) from error
        with log:
            lab = cls(msgspec.structs.replace(description, profile=world), world, artifacts, log, server)
        try:
            request = protocol.Start(
                description=lab.description, artifacts=str(artifacts), proxy_python=proxy_python
            )
            lab.started = lab.call(request, timeout=deadline)
        except BaseException:
            lab.close(grace=0)
            raise
        return lab

    def __init__(
        self,
        description: LabDescription,
        world: World,
        artifacts: Path,
        log: BinaryIO,
        server: LabServer | None,
    ) -> None:
        self.description = description
        self.world = world
        self.artifacts = artifacts
        self._numbers = itertools.count(HELLO + 1)
        self._pending: dict[int, Future[tuple[Answer, list[int]]]] = {}
        self._pending_lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._close_lock = threading.Lock()
        self._end: GuestnetError | None = None
        self._init: int | None = None
        self._closing = False
        self._closed = False
        self._own_server = LabServer() if server is None else None
        self._control, lab_end = socket.socketpair()
        try:
            with lab_end:
                self._keeper = (server or cast(LabServer, self._own_server)).start(
                    lab_end, log, timeout=_START_TIMEOUT
                )
        except BaseException:
            self._control.close()
            self._close_server()
            raise
        self.pid = self._keeper.pid
        self._reader = threading.Thread(target=self._read, name=f"lab-{self.pid}", daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        """The lab is no more."""
        return self._end is not None

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """The lab's response to ``request``, or the error that the lab raised.

        Raises LabError when none came within ``timeout`` seconds (when None: the request's own timeout and
        some grace, or what its kind usually needs), and at once when the lab ends.
        """
        answer, descriptors = self._exchange(request, timeout)
        for descriptor in descriptors:
            os.close(descriptor)
        return protocol.decode_result(request, answer)

    def console(self, guest: str) -> socket.socket:
        """The serial console of ``guest``, connected; the caller closes it."""
        _, descriptors = self._exchange(protocol.OpenConsole(guest=guest), None)
        if len(descriptors) != 1:
            raise protocol.LabProtocolError("no console came with the answer")
        return socket.socket(fileno=descriptors[0])

    def close(self, *, grace: float = 3.0) -> None:
        """End the lab: in good order within ``grace`` seconds, else by force. A second call does nothing.

        Nothing of the lab runs when this returns.
        """
        with self._close_lock:
            if self._closed:
                return
            self._closing = True
            if grace > 0 and not self.ended:
                # Whatever goes wrong with an orderly end, the end by force comes next.
                with contextlib.suppress(GuestnetError):
                    self.call(protocol.Stop(), timeout=grace)
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._end_processes(grace)
            self._reader.join()
            self._control.close()
            self._keeper.close()
            self._close_server()
            if self._init is not None:
                os.close(self._init)
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _exchange(self, request: Request[Any], timeout: float | None) -> tuple[Answer, list[int]]:
        patience = _patience(request) if timeout is None else timeout
        until = time.monotonic() + patience
        number = next(self._numbers)
        future: Future[tuple[Answer, list[int]]] = Future()
        with self._pending_lock:
            if self._end is not None:
                raise self._end
            self._pending[number] = future
        try:
            self._send(protocol.encode(protocol.Call(number, cast(AnyRequest, request))), until)
            return future.result(max(0.0, until - time.monotonic()))
        except TimeoutError as error:
            raise LabError(
                f"the lab did not answer {type(request).__name__} within {patience:g} s",
                remedy=f"see {self.artifacts / LOG}",
            ) from error
        finally:
            with self._pending_lock:
                self._pending.pop(number, None)

    def _send(self, message: bytes, until: float) -> None:
        """Raises TimeoutError; what the lab's end means to the call is the reader's to say."""
        poll = select.poll()
        poll.register(self._control, select.POLLOUT)
        rest = memoryview(message)
        with self._send_lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while rest:
                if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                    # Part of a message may be out: nothing after it could be understood.
                    self._control.shutdown(socket.SHUT_RDWR)
                    raise TimeoutError
                with contextlib.suppress(BlockingIOError):
                    rest = rest[self._control.send(rest, socket.MSG_DONTWAIT) :]

    def _read(self) -> None:
        """The reader thread, until the lab's end."""
        buffer = bytearray()
        descriptors: list[int] = []
        detail = ""
        try:
            while True:
                data, received, _, _ = socket.recv_fds(self._control, _READ_SIZE, 4)
                descriptors += received
                if not data:
                    break
                buffer += data
                for reply in protocol.split(buffer, protocol.decode_reply):
                    mine = descriptors[: reply.descriptors] if isinstance(reply, Answer) else []
                    del descriptors[: len(mine)]
                    self._deliver(reply, mine)
        except (OSError, GuestnetError) as error:
            # A reset is the lab's end too: it left a request unread.
            detail = "" if isinstance(error, ConnectionResetError) else str(error)
        for descriptor in descriptors:
            os.close(descriptor)
        self._finish(detail)

    def _deliver(self, reply: Answer | Failure, descriptors: list[int]) -> None:
        if reply.number == HELLO:
            if isinstance(reply, Answer):
                (self._init,) = descriptors
            else:
                self._end = protocol.error_of(reply)
            return
        with self._pending_lock:
            future = self._pending.pop(reply.number, None)
        if future is None:
            for descriptor in descriptors:
                os.close(descriptor)
        elif isinstance(reply, Answer):
            future.set_result((reply, descriptors))
        else:
            future.set_exception(protocol.error_of(reply))

    def _finish(self, detail: str) -> None:
        """The lab is gone, or as good as gone: tell everybody."""
        if self._closing:
            end: GuestnetError = LabError("the lab was closed")
        elif self._end is not None:
            end = self._end
        else:
            end = self._explain(detail)
        with self._pending_lock:
            self._end = end
            pending = list(self._pending.values())
            self._pending.clear()
        for future in pending:
            future.set_exception(end)

    def _explain(self, detail: str) -> LabError:
        status = self._keeper.exit_status() if self._keeper.ends(_LAST_WORDS) else None
        how = detail or ("it hangs" if status is None else _show_status(status))
        try:
            lines = (self.artifacts / LOG).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError as error:
            lines = [f"(not readable: {error.strerror})"]
        text = "".join(f"\n  | {line}" for line in lines) or " (empty)"
        return LabError(f"the lab ended unexpectedly ({how}); the end of {self.artifacts / LOG}:{text}")

    def _end_processes(self, grace: float) -> None:
        if not self._keeper.ends(grace):
            self._kill_init()
            if not self._keeper.ends(_GRACE):
                self._keeper.kill()
                self._keeper.ends(_GRACE)
        # A keeper that was killed did not wait for the others.
        self._kill_init()
        if self._init is not None and not _ends(self._init, _GRACE):
            raise LabError(f"the lab's processes do not end, {_GRACE:g} s after SIGKILL", remedy="see dmesg")

    def _kill_init(self) -> None:
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
        else:
            self._keeper.kill()

    def _close_server(self) -> None:
        if self._own_server is not None:
            self._own_server.close()


def _ends(pidfd: int, seconds: float) -> bool:
    """Whether the process ends within ``seconds``."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _patience(request: Request[Any]) -> float:
    own: float | None = getattr(request, "timeout", None)
    return _PATIENCE.get(type(request), _DEFAULT_PATIENCE) if own is None else own + _GRACE


def _show_status(status: int) -> str:
    number = -status if status < 0 else status - 128
    names: dict[int, str] = {each.value: each.name for each in signal.Signals}
    return f"killed by {names[number]}" if number in names else f"exit status {status}"
