"""A process of ours that is ordered about: one JSON object a line, orders in, reports out. Both ends.

Orders come by its standard input, whose end is the order to stop; reports go to its standard output. msgspec
is all that the child's end takes, so that it may be a Python that has nothing else of ours.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from guestnet.system.forked import Owned

R = TypeVar("R")
T = TypeVar("T")

LINE_LIMIT: Final = 1 << 20
"""Octets of a line: what a client may send to a portal, twice, with every octet written as an escape."""


class _Writes(Protocol):
    def write(self, data: bytes, /) -> None: ...


class Speaking(Owned, Protocol):
    """A process with pipes: asyncio's, or one that was forked."""

    @property
    def stdin(self) -> _Writes | None: ...

    @property
    def stdout(self) -> asyncio.StreamReader | None: ...


class Ordered(Generic[R]):
    """The parent's end of ``process``, started with ``LINE_LIMIT``; ``reports`` reads what it says."""

    def __init__(self, process: Speaking, reports: msgspec.json.Decoder[R]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._reports = reports

    def tell(self, order: msgspec.Struct) -> None:
        """Give an order."""
        self._stdin.write(msgspec.json.encode(order) + b"\n")

    async def report(self) -> R | None:
        """The next report; None when there comes no more. Raises msgspec.DecodeError."""
        line = await self._stdout.readline()
        return self._reports.decode(line) if line else None

    async def each(self) -> AsyncIterator[R]:
        """All reports until there comes no more. Raises msgspec.DecodeError."""
        while (report := await self.report()) is not None:
            yield report


class Lines:
    """The child's end: the orders on standard input."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def first(self, kind: type[T]) -> T:
        """The first order, which is a ``kind``. Raises msgspec.DecodeError."""
        return msgspec.json.decode(await self._reader.readline(), type=kind)

    async def end(self) -> None:
        """Wait for the order to stop."""
        await self._reader.read()

    async def each(self, decoder: msgspec.json.Decoder[T]) -> AsyncIterator[T]:
        """All orders, until the one to stop. Raises msgspec.DecodeError."""
        while line := await self._reader.readline():
            yield decoder.decode(line)


def report(what: msgspec.Struct) -> None:
    """In the child: say it to the parent."""
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


async def orders() -> Lines:
    """In the child, once: what it is told."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return Lines(reader)
