"""Sockets that bring queries to DNS servers, one each: what `guestnet.services.dns.forwarding` says to ask.

A query goes under an id of its own. An answer counts when it comes from the server that was asked, has the id
and repeats the question (RFC 5452 section 9.1); what else comes is passed over, and the wait goes on.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable

from guestnet.edge import dns_stream, error_queue
from guestnet.gateway.commands import AskServer, ForgetServer
from guestnet.gateway.events import Event, ServerAnswered, ServerFailed
from guestnet.wire.dns import LARGEST, PORT, is_answer, with_id

Opening = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]
"""Makes a socket, in whatever network the servers are to be asked from."""


class DnsClient:
    """Executes ``AskServer`` and ``ForgetServer``; ``emit`` and then ``woken`` are called with what comes."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        woken: Callable[[], None],
        *,
        opening: Opening = socket.socket,
        port: int = PORT,
    ) -> None:
        """``port`` is that of all servers: a resolv.conf has no place for it."""
        self._emit = emit
        self._woken = woken
        self._opening = opening
        self._port = port
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def ask(self, command: AskServer) -> None:
        """Start to ask; never blocks."""
        token = command.token
        task = self._tasks[token] = asyncio.get_running_loop().create_task(self._ask(command))
        task.add_done_callback(lambda _: self._tasks.pop(token))

    def forget(self, command: ForgetServer) -> None:
        """Close the socket, if it is there."""
        task = self._tasks.get(command.token)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Close all sockets."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, command: AskServer) -> None:
        message = with_id(command.query, secrets.token_bytes(2))
        over = self._over_tcp if command.stream else self._over_udp
        try:
            event: Event = ServerAnswered(command.token, await over(message, (command.server, self._port)))
        except (OSError, EOFError):
            event = ServerFailed(command.token)
        self._emit(event)
        self._woken()

    async def _over_udp(self, message: bytes, server: tuple[str, int]) -> bytes:
        loop = asyncio.get_running_loop()
        with self._opening(_family(server), socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            # Connected: the kernel drops what others send, and tells when the port is closed; with the error
            # queue also when there is no way to the host, or nobody there.
            error_queue.enable(sock)
            sock.connect(server)
            await loop.sock_sendall(sock, message)
            while True:
                answer = await loop.sock_recv(sock, LARGEST)
                if is_answer(answer, message):
                    return answer

    async def _over_tcp(self, message: bytes, server: tuple[str, int]) -> bytes:
        with self._opening(_family(server), socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, server)
            await dns_stream.send(sock, message)
            answer = await dns_stream.receive(sock, bytearray())
        if not is_answer(answer, message):
            raise EOFError
        return answer


def _family(server: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET
