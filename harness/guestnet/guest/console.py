"""A guest's serial console: kept in a file, watched for a kernel panic, lent to whoever wants to type."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

_KEPT: Final = 64 * 1024
_CHUNK: Final = 16 * 1024
_PANIC: Final = re.compile(rb"(?:\[ *[\d.]+\] )?Kernel panic - not syncing[^\r\n]*")
_PANIC_END: Final = b"---[ end Kernel panic"
_PANIC_SETTLES: Final = 1.0
_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Console:
    """The host's end of the console. It always reads, because a full pipe would stop the guest."""

    def __init__(self, channel: socket.socket, log: Path | None, on_panic: Callable[[str], None]) -> None:
        """``channel`` is a connected stream socket, the console's from now on. Everything is appended to the
        file ``log``; ``on_panic`` is called once with the panic's text."""
        channel.setblocking(False)
        self._channel = channel
        self._file = log.open("ab", buffering=0) if log is not None else None
        self._on_panic = on_panic
        self._recent = bytearray()
        self._listeners: list[Callable[[bytes], None]] = []
        self._panic_timer: asyncio.TimerHandle | None = None
        self._panicked = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(channel, self._readable)

    @property
    def panicked(self) -> bool:
        return self._panicked

    def recent(self, lines: int = 15) -> str:
        """The last ``lines`` lines, without the escape sequences for terminals."""
        text = _ESCAPES.sub(b"", bytes(self._recent)).decode(errors="replace").replace("\r", "")
        return "\n".join([line for line in text.split("\n") if line.strip()][-lines:])

    def panic(self) -> str:
        """The panic's text from its first line on, or "" when there was none."""
        match = _PANIC.search(self._recent)
        return self._recent[match.start() :].decode(errors="replace").replace("\r", "") if match else ""

    def listen(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Call ``listener`` with every output from now on; gives the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def type(self, data: bytes) -> None:
        """Send keystrokes."""
        await self._loop.sock_sendall(self._channel, data)

    def close(self) -> None:
        """Read what is still there and close; more than one call does no harm."""
        if self._channel.fileno() >= 0:
            self._readable()
        self._close()

    def _close(self) -> None:
        if self._panic_timer is not None:
            self._panic_timer.cancel()
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel)
            self._channel.close()
        if self._file is not None:
            self._file.close()

    def _readable(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            data = self._channel.recv(_CHUNK)
            if not data:
                self._close()
        if not data:
            return
        if self._file is not None:
            self._file.write(data)
        self._recent += data
        del self._recent[:-_KEPT]
        self._watch()
        for listener in list(self._listeners):
            listener(data)

    def _watch(self) -> None:
        if self._panicked:
            return
        if self._panic_timer is None and _PANIC.search(self._recent):
            self._panic_timer = self._loop.call_later(_PANIC_SETTLES, self._say_panic)
        if self._panic_timer is not None and _PANIC_END in self._recent:
            self._panic_timer.cancel()
            self._say_panic()

    def _say_panic(self) -> None:
        self._panicked = True
        self._on_panic(self.panic())
