"""Processes of a fork server (guestnet.system.forks), as asyncio has those that it starts itself."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, Self

from guestnet.system import forks

LIMIT: Final = 1 << 16
"""Octets of a line that a process may say, as asyncio has it where nothing else is said."""


class Owned(Protocol):
    """What an owner needs of a process; asyncio's have it too."""

    @property
    def pid(self) -> int:
        """Its PID."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, or None while it runs; the negative number of the signal that ended it."""

    def kill(self) -> None:
        """Send SIGKILL. Raises ProcessLookupError when it has ended."""

    async def wait(self) -> int:
        """Its exit status, when it has ended."""


class _Stream(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Forked:
    """A running process, whose standard input and output are ``stdin`` and ``stdout``. Made by `Spawner`."""

    def __init__(self, child: forks.Child, stdin: _Stream, stdout: _Stream) -> None:
        self.stdin = stdin.writer
        self.stdout = stdout.reader
        self.pid = child.pid
        self._streams = (stdin, stdout)
        self._child = child
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(child.pidfd, self._has_ended)

    @property
    def returncode(self) -> int | None:
        """As of `Owned`."""
        return self._ended.result() if self._ended.done() else None

    def kill(self) -> None:
        """As of `Owned`, but one that has ended is left alone."""
        if not self._ended.done():
            self._child.kill()

    async def wait(self) -> int:
        """As of `Owned`."""
        return await asyncio.shield(self._ended)

    def _has_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._child.pidfd)
        status = self._child.exit_status()
        self._child.close()
        for stream in self._streams:
            stream.writer.close()
        # Who made it has ended with a status unknown: then this process ends too.
        self._ended.set_result(-1 if status is None else status)


class Spawner:
    """Starts modules of this package as processes, by the fork server at the other end of ``server``."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    async def start(self, module: str, *, limit: int = LIMIT) -> Forked:
        """A process that runs ``module``'s ``main()``; ``limit`` as of asyncio's streams.

        Raises ForkServerError.
        """
        # Two: what one process reads without blocking, it must not write so (they share their flags).
        stdin, its_stdin = socket.socketpair()
        stdout, its_stdout = socket.socketpair()
        with its_stdin, its_stdout:
            try:
                child = forks.order(
                    self._server, module.encode(), [its_stdin.fileno(), its_stdout.fileno()]
                )
            except BaseException:
                stdin.close()
                stdout.close()
                raise
        opened = [await asyncio.open_connection(sock=mine, limit=limit) for mine in (stdin, stdout)]
        return Forked(child, *(_Stream(*streams) for streams in opened))

    def close(self) -> None:
        """Start nothing more."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def take_standard_streams(descriptors: Sequence[int]) -> None:
    """In the new process: let ``descriptors`` be standard input and output."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
