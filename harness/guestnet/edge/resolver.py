"""The laptop's resolver, for raw queries: what libc would ask, without its parsing.

A query goes as it is, only under an id of its own, to the nameservers of resolv.conf in their order, twice
around; UDP first, TCP when the answer says that it was truncated. An answer counts when it comes from the
server that was asked, has the id and repeats the question (RFC 5452 9.1). SERVFAIL, REFUSED and NOTIMP let
the next server try; the last one's answer is given when no other has a better one.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import dns.exception
import dns.rcode
import dns.resolver

from guestnet.edge import dns_stream, error_queue
from guestnet.gateway.commands import Resolve
from guestnet.gateway.events import Event, Resolved
from guestnet.wire.dns import LARGEST, PORT, is_answer, is_truncated, rcode_of, with_id

PER_SERVER: Final = 2.0
"""Seconds that one server has for one try."""
DEADLINE: Final = 10.0
"""Seconds for one query in all."""
_ROUNDS: Final = 2
_TRY_NEXT: Final = frozenset({dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP})


class Resolver:
    """Executes ``Resolve``; ``emit`` and then ``woken`` are called when the answer is there."""

    def __init__(
        self,
        resolv_conf: Path,
        emit: Callable[[Event], None],
        woken: Callable[[], None],
        *,
        port: int = PORT,
    ) -> None:
        """``port`` is that of all nameservers: a resolv.conf has no place for it."""
        self._path = resolv_conf
        self._emit = emit
        self._woken = woken
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._read_at: tuple[int, int, int] | None = None
        self._servers: list[str] = []

    @property
    def servers(self) -> list[str]:
        """The addresses of the nameservers; read again when the file has changed."""
        try:
            status = self._path.stat()
        except OSError:
            self._read_at, self._servers = None, []
            return []
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._read_at:
            self._read_at, self._servers = stamp, read_servers(self._path)
        return self._servers

    def resolve(self, command: Resolve) -> None:
        """Start to ask; never blocks."""
        task = asyncio.get_running_loop().create_task(
            self._answer(command, [(server, self._port) for server in self.servers])
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up all queries."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, command: Resolve, servers: list[tuple[str, int]]) -> None:
        answer = await ask(command.query, servers)
        self._emit(Resolved(command.token, answer))
        self._woken()


Opening = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]
"""Makes a socket, in whatever network the servers are to be asked from."""


async def ask(
    query: bytes, servers: Sequence[tuple[str, int]], opening: Opening = socket.socket
) -> bytes | None:
    """The answer of ``servers`` to ``query``, under another id; None if none came within `DEADLINE`."""
    last: list[bytes] = []
    try:
        async with asyncio.timeout(DEADLINE):
            return await _ask_all(query, servers, opening, last)
    except TimeoutError:
        return last[-1] if last else None


def read_servers(path: Path) -> list[str]:
    """The nameservers in a resolv.conf; none when it cannot be read."""
    config = dns.resolver.Resolver(configure=False)
    try:
        with path.open() as file:
            config.read_resolv_conf(file)
    except (OSError, UnicodeDecodeError, dns.exception.DNSException):
        return []
    return [str(server) for server in config.nameservers]


async def _ask_all(
    query: bytes, servers: Sequence[tuple[str, int]], opening: Opening, last: list[bytes]
) -> bytes | None:
    for _ in range(_ROUNDS):
        for server in servers:
            answer = await _ask(query, server, opening)
            if answer is None:
                continue
            if rcode_of(answer) not in _TRY_NEXT:
                return answer
            last.append(answer)
        if last:
            break
    return last[-1] if last else None


async def _ask(query: bytes, server: tuple[str, int], opening: Opening) -> bytes | None:
    """One server's answer; None when it has none within its time."""
    message = with_id(query, secrets.token_bytes(2))
    try:
        async with asyncio.timeout(PER_SERVER):
            answer = await _over_udp(message, server, opening)
            if is_truncated(answer):
                answer = await _over_tcp(message, server, opening)
            return answer
    except (OSError, EOFError, TimeoutError):
        return None


async def _over_udp(message: bytes, server: tuple[str, int], opening: Opening) -> bytes:
    loop = asyncio.get_running_loop()
    with opening(_family(server), socket.SOCK_DGRAM) as sock:
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


async def _over_tcp(message: bytes, server: tuple[str, int], opening: Opening) -> bytes:
    with opening(_family(server), socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, server)
        await dns_stream.send(sock, message)
        answer = await dns_stream.receive(sock, bytearray())
    if not is_answer(answer, message):
        raise EOFError
    return answer


def _family(server: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET
