"""A stub resolver at 127.0.0.53, as systemd-resolved is one: each zone has servers of its own.

It forwards queries as they are and keeps nothing, so that a change is seen by the next query. A zone holds
its name and everything below it, and the longest one decides. What a name resolves to can be looked at before
the client gets the answer (`Zone.seen`): that is how clients route by name.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import dns.rcode
import dns.rdatatype

from guestnet.edge.dns_server import Asked, DnsServer, bind_resolver
from guestnet.edge.resolver import Resolver
from guestnet.services.dns.zones import Zones
from guestnet.wire.dns import PORT, failure, read_answer

ADDRESS: Final = "127.0.0.53"

Seen = Callable[[str, Sequence[str]], Awaitable[None]]
"""Gets a name, without its last dot, and the addresses that it resolves to; the client waits for it."""


class Zone(NamedTuple):
    """Where queries for ``name`` ("." for all) and everything below it go; ``seen`` gets the addresses."""

    name: str
    servers: tuple[str, ...]
    seen: Seen | None = None


class Stub:
    """Answers on UDP and TCP port 53 from its making on, under the running loop, until ``close``."""

    def __init__(self, *, address: str = ADDRESS, port: int = PORT, servers_port: int = PORT) -> None:
        """Raises DescriptionError when a server of the world listens there already."""
        self._zones: Zones[Zone] = Zones({})
        self._server = DnsServer(self._answer, [bind_resolver(address, port)])
        self._resolver = Resolver(port=servers_port)
        self.port = self._server.port

    def set_zones(self, zones: Sequence[Zone]) -> None:
        """From the next query on."""
        self._zones = Zones({zone.name: zone for zone in zones})

    async def close(self) -> None:
        """Give up everything."""
        await self._server.close()
        await self._resolver.close()

    async def _answer(self, asked: Asked) -> bytes:
        name = asked.query.question[0].name
        zone = self._zones.of(name)
        answer = await self._resolver.ask(asked.wire, zone.servers) if zone is not None else None
        if zone is None or answer is None:
            return failure(asked.query, dns.rcode.SERVFAIL)
        if zone.seen is not None and (addresses := _addresses(answer)):
            await zone.seen(name.to_text(omit_final_dot=True).lower(), addresses)
        return answer


def _addresses(wire: bytes) -> list[str]:
    answer = read_answer(wire)
    sets = answer.answer if answer is not None else []
    return [
        record.address
        for records in sets
        if records.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for record in records
    ]
