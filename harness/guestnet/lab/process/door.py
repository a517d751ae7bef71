"""A lab of one process, open to others: a unix socket in the lab's folder.

The process that has the lab keeps a `Door` open beside it. Who comes in is told what lab it is, and then
sends the requests of the lab's protocol and gets their answers, as if the lab were its own; only starting,
stopping and consoles stay with the owner. The socket is for the user who runs the lab, nobody else.
"""

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol, Self, cast

import msgspec

from guestnet.core.errors import GuestnetError, LabError
from guestnet.lab.requests import protocol
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import HELLO, Answer, AnyRequest, Call, Failure, LabStatus
from guestnet.lab.requests.request import R, Request

NAME: Final = "door"
"""Of the socket, in the lab's folder."""

VISITORS: Final = 8
"""At a time; another one waits."""

_OWNERS_ALONE: Final = (protocol.Start, protocol.Stop, protocol.OpenConsole)
_GRACE: Final = 10.0
_LONGEST: Final = 200.0
_READ_SIZE: Final = 1 << 20


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a visitor is told first."""

    description: LabDescription
    artifacts: str
    status: LabStatus
    pid: int


class Owned(Protocol):
    """What is needed of `guestnet.lab.process.client.LabProcess`."""

    description: LabDescription
    artifacts: Path
    pid: int

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """The lab's response to ``request``."""


class Door:
    """Open in the folder of ``lab`` until ``close``. Raises LabError when there is one already."""

    def __init__(self, lab: Owned) -> None:
        self._lab = lab
        self._path = lab.artifacts / NAME
        self._rooms = threading.BoundedSemaphore(VISITORS)
        self._lock = threading.Lock()
        self._inside: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_open = True
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            _forget_dead(self._path)
            with _short(self._path) as name:
                self._listening.bind(name)
            self._path.chmod(0o600)
            self._listening.listen(VISITORS)
        except OSError as error:
            self._listening.close()
            raise LabError(
                f"{self._path} can't be made ({error.strerror})",
                remedy="give another folder",
            ) from error
        self._porter = threading.Thread(target=self._admit, name="door", daemon=True)
        self._porter.start()

    def close(self) -> None:
        """Send everybody out, and wait until they are. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        self._listening.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for visitor in self._inside:
                with contextlib.suppress(OSError):
                    visitor.shutdown(socket.SHUT_RDWR)
        self._porter.join()
        for thread in self._threads:
            thread.join()
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _admit(self) -> None:
        while True:
            try:
                visitor, _ = self._listening.accept()
            except OSError:
                return
            self._rooms.acquire()
            with self._lock:
                if not self._is_open:
                    visitor.close()
                    return
                self._inside.add(visitor)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(target=self._serve, args=(visitor,), name="visitor", daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, visitor: socket.socket) -> None:
        # Whoever leaves in the middle, or speaks another language, is not heard any further.
        with visitor, contextlib.suppress(OSError, GuestnetError):
            lab = self._lab
            hello = Hello(
                description=lab.description,
                artifacts=str(lab.artifacts),
                status=lab.call(protocol.Status()),
                pid=lab.pid,
            )
            visitor.sendall(protocol.encode(Answer(HELLO, protocol.encode_result(hello))))
            buffer = bytearray()
            while data := visitor.recv(_READ_SIZE):
                buffer += data
                for call in protocol.split(buffer, protocol.decode_call):
                    visitor.sendall(protocol.encode(self._answer(call)))
        with self._lock:
            self._inside.discard(visitor)
        self._rooms.release()

    def _answer(self, call: Call) -> Answer | Failure:
        request = cast(Request[Any], call.request)
        try:
            if isinstance(request, _OWNERS_ALONE):
                raise LabError(f"{type(request).__name__} is for the owner of the lab")
            return Answer(call.number, protocol.encode_result(self._lab.call(request)))
        except GuestnetError as error:
            return protocol.failure_of(call.number, error)


class Visit:
    """The lab whose artifacts are in ``folder``, through its door: as a `LabProcess`, for `Lab`.

    Ends with ``close``, and the lab goes on. Raises LabError when there is no lab, or it has no door.
    """

    def __init__(self, folder: Path) -> None:
        self._numbers = itertools.count(HELLO + 1)
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_GRACE)
            with _short(folder / NAME) as name:
                self._socket.connect(name)
            reply = self._receive()
        except OSError as error:
            self._socket.close()
            raise LabError(
                f"no lab is open in {folder} ({error.strerror or error})",
                remedy="give the folder that guestnet shell says, while it runs",
            ) from error
        if not isinstance(reply, Answer):
            raise protocol.error_of(reply)
        hello = msgspec.msgpack.decode(reply.result, type=Hello)
        self.description = hello.description
        self.artifacts = Path(hello.artifacts)
        self.started = hello.status
        self.pid = hello.pid

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """As of `LabProcess`."""
        with self._lock:
            number = next(self._numbers)
            own: float | None = getattr(request, "timeout", None)
            self._socket.settimeout(timeout or (_LONGEST if own is None else own + 2 * _GRACE))
            try:
                self._socket.sendall(protocol.encode(Call(number, cast(AnyRequest, request))))
                reply = self._receive()
                while reply.number != number:  # too late for whoever asked before
                    reply = self._receive()
            except TimeoutError as error:
                raise LabError(
                    f"the lab did not answer {type(request).__name__} in time", remedy="ask again"
                ) from error
            except OSError as error:
                raise LabError(f"the lab is gone ({error.strerror or error})") from error
        if isinstance(reply, Failure):
            raise protocol.error_of(reply)
        return protocol.decode_result(request, reply)

    def close(self, *, grace: float = 0.0) -> None:
        """Leave; the lab goes on."""
        self._socket.close()

    def _receive(self) -> Answer | Failure:
        while True:
            for reply in protocol.split(self._buffer, protocol.decode_reply):
                return reply
            data = self._socket.recv(_READ_SIZE)
            if not data:
                raise ConnectionResetError(0, "the door was closed")
            self._buffer += data


def _forget_dead(path: Path) -> None:
    """Remove the socket of an owner who was killed."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe, _short(path) as name:
        try:
            probe.connect(name)
        except ConnectionRefusedError:
            path.unlink()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of ``path`` that fits into a socket's address, which has room for 107 octets (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
