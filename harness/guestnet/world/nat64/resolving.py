"""The DNS64 of a NAT64 as a server: on UDP and TCP port 53 of the host's addresses."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from guestnet.core.errors import DescriptionError
from guestnet.edge.resolver import PORT
from guestnet.world.described.nat64 import Nat64
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.nat64 import dns64

_PER_SERVER: Final = 2.0
_AT_ONCE: Final = 256
"""Queries under way; more are not answered, and clients ask again."""
_LARGEST: Final = 65535
_SMALLEST: Final = 512
_IDLE: Final = 10.0

Served = Callable[[str, str, str], None]
"""Called with client, question and outcome of each answer."""


class Resolving:
    """Sockets are made with it, in the namespace of its host; ``run`` serves them."""

    def __init__(self, name: str, nat64: Nat64, namespaces: Namespaces, served: Served) -> None:
        """Raises DescriptionError when another server has the port."""
        self._prefix = nat64.prefix
        self._upstream = [(address, PORT) for address in nat64.resolvers]
        self._served = served
        self._sockets: list[socket.socket] = []
        self._streams: list[asyncio.Server] = []
        self._readers: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[tuple[int, str], asyncio.Future[bytes]] = {}
        self._next_id = 1
        try:
            with namespaces.inside(nat64.host):
                self._datagrams = [self._bind(each, socket.SOCK_DGRAM) for each in nat64.dns64]
                self._listening = [self._bind(each, socket.SOCK_STREAM) for each in nat64.dns64]
                self._asking = {
                    family: self._open(family, socket.SOCK_DGRAM)
                    for family in {_family(address) for address in nat64.resolvers}
                }
        except OSError as error:
            self.close_sockets()
            raise DescriptionError(
                f"nat64.{name}: its DNS64 can't listen ({error.strerror})",
                remedy="give it an address that no server has",
            ) from error

    async def run(self) -> None:
        """Answer from now on, under the running loop."""
        for sock in self._asking.values():
            self._read(sock, self._answered)
        for sock in self._datagrams:
            self._read(sock, self._asked)
        for sock in self._listening:
            self._streams.append(await asyncio.start_server(self._stream, sock=sock))

    async def close(self) -> None:
        """Stop, and let go of everything. Idempotent."""
        loop = asyncio.get_running_loop()
        for reader in self._readers:
            loop.remove_reader(reader)
        self._readers.clear()
        for server in self._streams:
            server.close()
        self._streams.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close_sockets()

    def close_sockets(self) -> None:
        """Of one that never ran."""
        while self._sockets:
            self._sockets.pop().close()

    def _read(self, sock: socket.socket, then: Callable[[socket.socket, bytes, Any], None]) -> None:
        def readable() -> None:
            with contextlib.suppress(OSError):  # nothing there, or an ICMP error for an earlier answer
                then(sock, *sock.recvfrom(_LARGEST))

        asyncio.get_running_loop().add_reader(sock, readable)
        self._readers.append(sock.fileno())

    def _bind(self, address: str, kind: socket.SocketKind) -> socket.socket:
        sock = self._open(_family(address), kind)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, PORT))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        return sock

    def _open(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        sock = socket.socket(family, kind)
        self._sockets.append(sock)
        sock.setblocking(False)
        return sock

    def _asked(self, sock: socket.socket, wire: bytes, client: Any) -> None:
        if len(self._tasks) >= _AT_ONCE:
            return

        async def answer() -> None:
            response = await self._answer(wire, f"[{client[0]}]:{client[1]}")
            if response is not None:
                limit = max(_SMALLEST, response.request_payload or _SMALLEST)
                with contextlib.suppress(OSError, dns.exception.DNSException):
                    sock.sendto(_within(response, limit), client)

        task = asyncio.create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = "[{}]:{}".format(*writer.get_extra_info("peername")[:2])
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    response = await self._answer(await reader.readexactly(length), client)
                if response is None:
                    break
                wire = response.to_wire()
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        writer.close()

    async def _answer(self, wire: bytes, client: str) -> dns.message.Message | None:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        response = await self._resolve(query)
        if query.question:
            asked = query.question[0]
            text = f"{dns.rdatatype.to_text(asked.rdtype)} {asked.name.to_text(omit_final_dot=True)}"
            self._served(client, text, dns.rcode.to_text(response.rcode()))
        return response

    async def _resolve(self, query: dns.message.Message) -> dns.message.Message:
        answer = await self._ask(query)
        if answer is None:
            response = dns.message.make_response(query, recursion_available=True)
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if dns64.wants_ipv4(query, answer):
            found = await self._ask(dns64.for_ipv4(query))
            if found is not None:
                answer = dns64.synthesized(query, answer, found, self._prefix)
        answer.id = query.id
        return answer

    async def _ask(self, query: dns.message.Message) -> dns.message.Message | None:
        for address, port in self._upstream:
            number, self._next_id = self._next_id, self._next_id % 0xFFFF + 1
            wire = number.to_bytes(2, "big") + query.to_wire()[2:]
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._waiting[number, address] = future
            try:
                async with asyncio.timeout(_PER_SERVER):
                    self._asking[_family(address)].sendto(wire, (address, port))
                    return dns.message.from_wire(await future)
            except (OSError, TimeoutError, dns.exception.DNSException):
                continue
            finally:
                del self._waiting[number, address]
        return None

    def _answered(self, sock: socket.socket, wire: bytes, server: Any) -> None:
        waiting = self._waiting.get((int.from_bytes(wire[:2], "big"), server[0]))
        if waiting is not None and not waiting.done():
            waiting.set_result(wire)


def _within(response: dns.message.Message, limit: int) -> bytes:
    """On the wire; truncated when it is longer than ``limit`` octets."""
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = dns.message.make_response(dns.message.make_query(response.question[0].name, "AAAA"))
        short.id, short.flags = response.id, response.flags | dns.flags.TC
        short.question = response.question
        return short.to_wire()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
