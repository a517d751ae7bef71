"""A DNS server's sockets: queries of UDP and TCP clients, given to somebody who answers them."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import dns.exception
import dns.flags
import dns.message

from guestnet.core.errors import DescriptionError
from guestnet.edge.resolver import PORT

_AT_ONCE: Final = 512
"""Queries under way; more are not answered, and clients ask again."""
_BACKLOG: Final = 64
_SMALLEST: Final = 512
"""Octets of a UDP message that everybody takes (RFC 1035 section 4.2.1)."""
_IDLE: Final = 10.0
"""Seconds that a TCP client may be silent (RFC 7766 section 6.2.3)."""

Answering = Callable[[dns.message.Message, bytes], Awaitable[bytes]]
"""Gives the answer to a query, which comes parsed and as octets and has one question."""


class DnsServer:
    """Answers on UDP and TCP from its making on, under the running loop, until ``close``."""

    def __init__(self, answer: Answering, *, address: str, port: int = PORT) -> None:
        """``port`` 0 is any. Raises DescriptionError when somebody listens there already."""
        self._answering = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._datagrams.bind((address, port))
            self._streams.bind(self._datagrams.getsockname())
            self._streams.listen(_BACKLOG)
        except OSError as error:
            self._datagrams.close()
            self._streams.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise DescriptionError(
                f"a resolver can't listen on {address} port {port}, somebody does already",
                remedy="give the server there another address",
            ) from error
        self.port: int = self._datagrams.getsockname()[1]
        self._own(self._serve_datagrams())
        self._own(self._serve_streams())

    async def close(self) -> None:
        """Give up everything. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._datagrams.close()
        self._streams.close()

    def _own(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_datagrams(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                query, client = await loop.sock_recvfrom(self._datagrams, 65535)
            except OSError:  # an ICMP error for an earlier answer
                continue
            if len(self._tasks) < _AT_ONCE:
                self._own(self._answer_datagram(query, client))

    async def _answer_datagram(self, query: bytes, client: tuple[str, int]) -> None:
        answer = await self._answer(query)
        if answer is not None:
            with contextlib.suppress(OSError):  # the client is gone
                self._datagrams.sendto(_fitting(query, answer), client)

    async def _serve_streams(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            stream, _ = await loop.sock_accept(self._streams)
            if len(self._tasks) < _AT_ONCE:
                self._own(self._answer_stream(stream))
            else:
                stream.close()

    async def _answer_stream(self, stream: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=stream)
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    query = await reader.readexactly(length)
                answer = await self._answer(query)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            writer.close()

    async def _answer(self, query: bytes) -> bytes | None:
        """None to what is no query."""
        try:
            asked = dns.message.from_wire(query, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return None
        if len(asked.question) != 1 or asked.flags & dns.flags.QR:
            return None
        answer = await self._answering(asked, query)
        return query[:2] + answer[2:]


def _fitting(query: bytes, answer: bytes) -> bytes:
    """``answer`` when the client takes it over UDP, else one that says to come again over TCP."""
    if len(answer) <= _SMALLEST:
        return answer
    asked = dns.message.from_wire(query, ignore_trailing=True)
    if asked.edns >= 0 and len(answer) <= asked.payload:
        return answer
    truncated = dns.message.make_response(asked, recursion_available=True)
    truncated.flags |= dns.flags.TC
    return truncated.to_wire()
