"""A guest's console lent to the client: a socket that shows what the guest prints and types what is sent."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Final, Protocol

from guestnet.core.errors import GuestError

_CHUNK: Final = 4096

_log = logging.getLogger(__name__)


class Console(Protocol):
    """`guestnet.guest.console.Console`, or `guestnet.guest.terminal.Terminal`."""

    def listen(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Call ``listener`` with every output from now on; gives the function that ends it."""

    async def type(self, data: bytes) -> None:
        """Send keystrokes."""


def lend_console(console: Console, ended: "asyncio.Future[GuestError | None]") -> socket.socket:
    """The client's end; it closes when the guest has ended.

    What the client does not read in time is lost to it: a slow terminal must not stop the guest.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    _Loan(console, ours, ended)
    return theirs


class _Loan:
    def __init__(
        self, console: Console, ours: socket.socket, ended: "asyncio.Future[GuestError | None]"
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._console = console
        self._ours = ours
        self._ended = ended
        self._typing: asyncio.Task[None] | None = None
        self._end_listening = console.listen(self._show)
        ended.add_done_callback(self._close)
        self._loop.add_reader(ours, self._readable)

    def _readable(self) -> None:
        try:
            keys = self._ours.recv(_CHUNK)
        except ConnectionResetError:
            keys = b""
        if not keys:
            self._close()
            return
        # One batch at a time: the rest waits in the socket.
        self._loop.remove_reader(self._ours)
        self._typing = asyncio.create_task(self._type(keys), name="console keys")

    async def _type(self, keys: bytes) -> None:
        try:
            await self._console.type(keys)
        except OSError as error:
            _log.info("keys for a console that is no more (%s)", error)
        if self._ours.fileno() >= 0:
            self._loop.add_reader(self._ours, self._readable)

    def _show(self, output: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self._ours.send(output)
            except (BrokenPipeError, ConnectionResetError):
                self._close()

    def _close(self, _: object = None) -> None:
        if self._ours.fileno() >= 0:
            self._loop.remove_reader(self._ours)
            self._ended.remove_done_callback(self._close)
            self._end_listening()
            self._ours.close()
            if self._typing is not None:
                self._typing.cancel()
