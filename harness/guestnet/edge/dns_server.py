"""A DNS server's sockets: queries of UDP and TCP clients, given to somebody who answers them.

Everything is bounded: queries of datagrams under way (more are not answered, and their clients ask again) and
TCP clients. Of these the one that has been silent for longest gives way to a newcomer; the queries of one are
answered one after the other, so that who reads no answers asks no more questions.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final, NamedTuple

import dns.message
from msgspec import Struct

from guestnet.core.errors import DescriptionError
from guestnet.edge import dns_stream
from guestnet.edge.host_tcp import show_address
from guestnet.wire.dns import LARGEST, PORT, fitted, read_query, udp_limit

QUERIES: Final = 512
"""Queries in datagrams under way at once."""
STREAMS: Final = 64
"""TCP clients at once."""
_BACKLOG: Final = 64
_KINDS: Final = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_TRIES: Final = 8
_IDLE: Final = 10.0
"""Seconds that a TCP client may be silent, or not read (RFC 7766 section 6.2.3)."""
_PAUSE: Final = 0.1
"""Seconds before the next accept() when one failed: without descriptors they all do."""


class Asked(Struct, frozen=True):
    """A query, parsed and as octets; ``client`` is "ip:port", and ``stream`` tells that it came over TCP."""

    query: dns.message.Message
    wire: bytes
    client: str
    stream: bool


Answering = Callable[[Asked], Awaitable[bytes | None]]
"""Gives the answer to a query that has one question, under any id and of any length; None for no answer."""


class Sockets(NamedTuple):
    """Two sockets of the same address and port."""

    datagrams: socket.socket
    streams: socket.socket

    def close(self) -> None:
        """Both."""
        self.datagrams.close()
        self.streams.close()


def bind(address: str, port: int = PORT) -> Sockets:
    """Sockets for a server at ``address``, in the calling thread's network; ``port`` 0 is any.

    Raises OSError.
    """
    for _ in range(_TRIES if port == 0 else 0):
        # What is free for datagrams need not be so for streams.
        with contextlib.suppress(OSError):
            return _bind(address, port)
    return _bind(address, port)


def _bind(address: str, port: int) -> Sockets:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockets = Sockets(*(socket.socket(family, kind | socket.SOCK_NONBLOCK) for kind in _KINDS))
    try:
        sockets.streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sockets.datagrams.bind((address, port))
        sockets.streams.bind(sockets.datagrams.getsockname())
        sockets.streams.listen(_BACKLOG)
    except OSError:
        sockets.close()
        raise
    return sockets


def bind_resolver(address: str, port: int = PORT) -> Sockets:
    """As ``bind``; raises DescriptionError when somebody in the laptop has the port already."""
    try:
        return bind(address, port)
    except OSError as error:
        raise DescriptionError(
            f"a resolver can't listen on {address} port {port} ({error.strerror})",
            remedy="give the server there another address",
        ) from error


class DnsServer:
    """Answers on ``sockets``, now its own, from its making on, under the running loop, until ``close``."""

    def __init__(
        self,
        answer: Answering,
        sockets: Sequence[Sockets],
        *,
        queries: int = QUERIES,
        streams: int = STREAMS,
    ) -> None:
        self._answering = answer
        self._sockets = sockets
        self._most_queries = queries
        self._most_streams = streams
        self._listening: set[asyncio.Task[None]] = set()
        self._queries: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.Task[None], None] = {}
        """Of the streams those that wait for a query, who does for longest first."""
        for datagrams, listening in sockets:
            _own(self._listening, self._serve_datagrams(datagrams))
            _own(self._listening, self._serve_streams(listening))

    @property
    def port(self) -> int:
        """Of its first address."""
        port: int = self._sockets[0].datagrams.getsockname()[1]
        return port

    async def close(self) -> None:
        """Give up everything. Idempotent."""
        tasks = [*self._listening, *self._queries, *self._streams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sockets in self._sockets:
            sockets.close()

    async def _serve_datagrams(self, datagrams: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                wire, client = await loop.sock_recvfrom(datagrams, LARGEST)
            except OSError:  # an ICMP error for an earlier answer
                continue
            if len(self._queries) < self._most_queries:
                _own(self._queries, self._answer_datagram(datagrams, wire, client))

    async def _answer_datagram(self, datagrams: socket.socket, wire: bytes, client: tuple[str, int]) -> None:
        answer = await self._answer(wire, client, stream=False)
        if answer is not None:
            with contextlib.suppress(OSError):  # the client is gone
                datagrams.sendto(answer, client)

    async def _serve_streams(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                stream, client = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            if len(self._streams) >= self._most_streams and not self._one_gives_way():
                stream.close()
                continue
            _own(self._streams, self._answer_stream(stream, client))

    def _one_gives_way(self) -> bool:
        silent = next(iter(self._silent), None)
        if silent is None:
            return False
        del self._silent[silent]
        silent.cancel()
        return True

    async def _answer_stream(self, stream: socket.socket, client: tuple[str, int]) -> None:
        received = bytearray()
        with stream, contextlib.suppress(OSError, EOFError, TimeoutError):  # it has done, is gone or too slow
            while True:
                wire = await self._next(stream, received)
                answer = await self._answer(wire, client, stream=True)
                if answer is None:
                    return
                async with asyncio.timeout(_IDLE):
                    await dns_stream.send(stream, answer)

    async def _next(self, stream: socket.socket, received: bytearray) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        self._silent[task] = None
        try:
            async with asyncio.timeout(_IDLE):
                return await dns_stream.receive(stream, received)
        finally:
            self._silent.pop(task, None)

    async def _answer(self, wire: bytes, client: tuple[str, int], *, stream: bool) -> bytes | None:
        query = read_query(wire)
        if query is None or isinstance(query, bytes):
            return query
        answer = await self._answering(Asked(query, wire, show_address(client), stream))
        return answer and fitted(answer, query, LARGEST if stream else udp_limit(query))


def _own(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
