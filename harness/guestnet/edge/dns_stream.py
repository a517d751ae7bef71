"""A DNS message on a TCP socket, for server and client alike."""

import asyncio
import socket
from typing import Final

from guestnet.wire.dns import framed, take

_PIECE: Final = 1 << 16


async def receive(sock: socket.socket, received: bytearray) -> bytes:
    """The next message; ``received`` keeps what came behind it. Raises OSError, and EOFError at the end."""
    loop = asyncio.get_running_loop()
    while (message := take(received)) is None:
        piece = await loop.sock_recv(sock, _PIECE)
        if not piece:
            raise EOFError
        received += piece
    return message


async def send(sock: socket.socket, message: bytes) -> None:
    """Return when the kernel has all of ``message``. Raises OSError."""
    await asyncio.get_running_loop().sock_sendall(sock, framed(message))
