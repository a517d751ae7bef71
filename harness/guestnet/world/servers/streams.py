"""Echo over TCP and UDP (RFC 862), and a server that answers only after the client's half-close."""

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from guestnet.core.endpoint import show_endpoint
from guestnet.world.servers.access import Log

_PIECE: Final = 1 << 16
_BATCH: Final = 64
"""Datagrams in a row, before TCP gets its turn."""
_REMEMBERED: Final = 4096

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int]]
"""Serves one connection; returns how many bytes the client sent."""

Address = tuple[str, int] | tuple[str, int, int, int]


async def serve_tcp_echo(name: str, listening: socket.socket, log: Log) -> asyncio.Server:
    """Send everything back; after the client's FIN, ours."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        size = 0
        while piece := await reader.read(_PIECE):
            size += len(piece)
            writer.write(piece)
            await writer.drain()
        return size

    return await serve(name, listening, log, echo)


async def serve_half_close(name: str, listening: socket.socket, log: Log) -> asyncio.Server:
    """Read to the end, then answer with ``SIZE SHA256`` and a line feed, and close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        sha256 = hashlib.sha256()
        size = 0
        while piece := await reader.read(_PIECE):
            sha256.update(piece)
            size += len(piece)
        writer.write(f"{size} {sha256.hexdigest()}\n".encode())
        await writer.drain()
        return size

    return await serve(name, listening, log, answer)


class UdpEcho:
    """Sends every datagram back to where it came from; the log has the first one of each client.

    On the socket itself: asyncio's transports can't send an empty datagram before Python 3.13.
    """

    def __init__(self, name: str, bound: socket.socket, log: Log) -> None:
        self._name = name
        self._socket = bound
        self._log = log
        self._known: dict[Address, None] = {}
        asyncio.get_running_loop().add_reader(bound, self._readable)

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                data, address = self._socket.recvfrom(_PIECE)
                self._socket.sendto(data, address)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer, or a client that can't be answered
                continue
            if address not in self._known:
                self._known[address] = None
                if len(self._known) > _REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._log(self._name, show(address), "udp", f"{len(data)} bytes")


def show(address: Address) -> str:
    """Address and port as text."""
    return show_endpoint(address[0], address[1])


async def serve(name: str, listening: socket.socket, log: Log, answer: Answer) -> asyncio.Server:
    """Serve each connection by ``answer``; the log has it when it is over."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = show(writer.get_extra_info("peername"))
        try:
            status = f"{await answer(reader, writer)} bytes"
        except OSError as error:
            status = type(error).__name__
        writer.close()
        log(name, client, "tcp", status)

    return await asyncio.start_server(handle, sock=listening)
