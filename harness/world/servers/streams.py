"""Echo over TCP and UDP (RFC 862), and a server that answers only after the client's half-close."""

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

from harness.world.servers.http import Log

_PIECE: Final = 1 << 16
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

    return await _serve(name, listening, log, echo)


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

    return await _serve(name, listening, log, answer)


async def serve_udp_echo(name: str, bound: socket.socket, log: Log) -> asyncio.DatagramTransport:
    """Send every datagram back to where it came from; the log has the first one of each client."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _UdpEcho(name, log), sock=bound)
    return transport


class _UdpEcho(asyncio.DatagramProtocol):
    def __init__(self, name: str, log: Log) -> None:
        self._name = name
        self._log = log
        self._known: dict[Address, None] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._transport.sendto(data, addr)
        if addr not in self._known:
            self._known[addr] = None
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._log(self._name, show(addr), "udp", f"{len(data)} bytes")


def show(address: Address) -> str:
    """Address and port as text."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


async def _serve(name: str, listening: socket.socket, log: Log, answer: Answer) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = show(writer.get_extra_info("peername"))
        try:
            status = f"{await answer(reader, writer)} bytes"
        except (ConnectionError, TimeoutError) as error:
            status = type(error).__name__
        writer.close()
        log(name, client, "tcp", status)

    return await asyncio.start_server(handle, sock=listening)
