"""The DNS64 of a NAT64 as a server: on UDP and TCP port 53 of the host's addresses."""

import socket
from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rdatatype

from guestnet.core.errors import DescriptionError
from guestnet.edge.dns_server import Asked, DnsServer, Sockets, bind
from guestnet.edge.resolver import Resolver
from guestnet.wire.dns import PORT, failure, octets, read_answer
from guestnet.world.described.nat64 import Nat64
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.nat64 import dns64

Served = Callable[[str, str, str], None]
"""Called with client, question and outcome of each answer."""


class Resolving:
    """Its sockets are made with it, in the namespace of its host; ``run`` serves them.

    It asks its upstream servers from there, too; ``port`` is theirs and its own.
    """

    def __init__(
        self, name: str, nat64: Nat64, namespaces: Namespaces, served: Served, *, port: int = PORT
    ) -> None:
        """Raises DescriptionError when another server has the port."""
        self._nat64 = nat64
        self._namespaces = namespaces
        self._served = served
        self._port = port
        self._resolver: Resolver | None = None
        self._server: DnsServer | None = None
        self._sockets: list[Sockets] = []
        try:
            with namespaces.inside(nat64.host):
                for address in nat64.dns64:
                    self._sockets.append(bind(address, port))
        except OSError as error:
            self.close_sockets()
            raise DescriptionError(
                f"nat64.{name}: its DNS64 can't listen ({error.strerror})",
                remedy="give it an address that no server has",
            ) from error

    def run(self) -> None:
        """Answer from now on, under the running loop."""
        self._resolver = Resolver(opening=self._open, port=self._port)
        self._server = DnsServer(self._answer, self._sockets)

    async def close(self) -> None:
        """Stop, and let go of everything. Idempotent."""
        for ending in (self._server, self._resolver):
            if ending is not None:
                await ending.close()
        self.close_sockets()

    def close_sockets(self) -> None:
        """Of one that never ran."""
        while self._sockets:
            self._sockets.pop().close()

    async def _answer(self, asked: Asked) -> bytes:
        answer = await self._resolve(asked)
        question = asked.query.question[0]
        text = f"{dns.rdatatype.to_text(question.rdtype)} {question.name.to_text(omit_final_dot=True)}"
        self._served(asked.client, text, dns.rcode.to_text(answer.rcode()))
        return octets(answer)

    async def _resolve(self, asked: Asked) -> dns.message.Message:
        answer = await self._ask(asked.wire)
        if answer is None:
            return dns.message.from_wire(failure(asked.query, dns.rcode.SERVFAIL))
        if dns64.wants_ipv4(asked.query, answer):
            found = await self._ask(octets(dns64.for_ipv4(asked.query)))
            if found is not None:
                answer = dns64.synthesized(asked.query, answer, found, self._nat64.prefix)
        return answer

    async def _ask(self, query: bytes) -> dns.message.Message | None:
        assert self._resolver is not None
        answer = await self._resolver.ask(query, self._nat64.resolvers)
        return read_answer(answer) if answer is not None else None

    def _open(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        with self._namespaces.inside(self._nat64.host):
            return socket.socket(family, kind)
