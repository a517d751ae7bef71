"""The server process: ``python -P -m harness.world.servers``, started by harness.world.servers.running.

One process serves every host of the world: a socket stays in the network namespace that it was made in.
"""

import asyncio
import gc
import os
import socket
import sys
from ipaddress import ip_address

import msgspec

from harness.system.calls import CLONE_NEWNET, setns
from harness.world.servers.http import serve_http
from harness.world.servers.messages import Failed, Order, Orders, Ready, Report, Request
from harness.world.servers.streams import UdpEcho, serve_half_close, serve_tcp_echo

_BACKLOG = 512


def _report(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def _log(server: str, client: str, request: str, status: str) -> None:
    _report(Request(server, client, request, status))


def _bind(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    bound = socket.socket(family, kind)
    if kind is socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, port))
    if kind is socket.SOCK_STREAM:
        bound.listen(_BACKLOG)
    bound.setblocking(False)
    return bound


async def _start(order: Order, address: str) -> object:
    """The server running on one of its addresses, to be kept."""
    namespace = os.open(order.namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(namespace, CLONE_NEWNET)
    finally:
        os.close(namespace)
    stream = _bind(address, order.port, socket.SOCK_STREAM)
    if order.kind == "http":
        return serve_http(order.name, stream, _log)
    if order.kind == "half-close":
        return await serve_half_close(order.name, stream, _log)
    datagram = _bind(address, order.port, socket.SOCK_DGRAM)
    return await serve_tcp_echo(order.name, stream, _log), UdpEcho(order.name, datagram, _log)


async def _main() -> int:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    servers = []
    for order in msgspec.json.decode(await orders.readline(), type=Orders).servers:
        for address in order.addresses:
            try:
                servers.append(await _start(order, address))
            except OSError as error:
                _report(Failed(order.name, f"{address} port {order.port}: {error.strerror}"))
                return 1
    gc.freeze()
    _report(Ready())
    await orders.read()
    return 0


sys.exit(asyncio.run(_main()))
