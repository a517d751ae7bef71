"""Servers that fail on purpose: one never answers, one resets, one is not even heard of.

Of the other two, "refuse" is nothing at all (the kernel answers with an RST or ICMP port unreachable), and
"prohibit" a rule of nftables, made in the lab.
"""

import asyncio
import ctypes
import fcntl
import socket
import struct
import termios
from typing import Final

from guestnet.world.servers.access import Log
from guestnet.world.servers.content import blocks
from guestnet.world.servers.streams import Answer, serve

_PIECE: Final = 1 << 16
_SO_ATTACH_FILTER: Final = 26
"""socket(7); include/uapi/asm-generic/socket.h."""
_BPF_RET_K: Final = 0x06
_SENT_CHECK: Final = 0.005
_SENT_WITHIN: Final = 30.0
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time: close() sends an RST (socket(7), SO_LINGER; RFC 9293 section 3.10.4)."""


async def serve_tarpit(name: str, listening: socket.socket, log: Log) -> asyncio.Server:
    """Take everything, answer nothing, and keep the connection as long as the client does."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        size = 0
        while piece := await reader.read(_PIECE):
            size += len(piece)
        return size

    return await serve(name, listening, log, swallow)


async def serve_reset(name: str, listening: socket.socket, log: Log, octets: int) -> asyncio.Server:
    """Wait for the client's first octets, send ``octets`` of content, then an RST."""
    return await serve(name, listening, log, _resetting(octets))


def _resetting(octets: int) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        asked = await reader.read(_PIECE)
        for block in blocks(octets):
            writer.write(block)
            await writer.drain()
        reset_when_sent(writer.get_extra_info("socket"))
        await wait_until_sent(writer.get_extra_info("socket"))
        writer.transport.abort()
        return len(asked)

    return answer


def reset_when_sent(connected: socket.socket) -> None:
    """The end of ``connected`` is to be an RST. What is still in its send buffer then is lost."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


async def wait_until_sent(connected: socket.socket) -> None:
    """Until the other side has acknowledged everything (tcp(7), SIOCOUTQ), or is gone, or for half a
    minute."""
    for _ in range(round(_SENT_WITHIN / _SENT_CHECK)):
        if connected.fileno() < 0:
            return
        (unsent,) = struct.unpack("i", fcntl.ioctl(connected, termios.TIOCOUTQ, bytes(4)))
        if not unsent:
            return
        await asyncio.sleep(_SENT_CHECK)


def deafen(sock: socket.socket) -> None:
    """Let the kernel drop all that comes for ``sock``, as if nobody had ever heard it: no RST, no ICMP."""
    drop = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RET_K, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(drop))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
