"""The DNS64 as a server, on loopback: what it asks its own servers, and what its clients get."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.edge.dns_server import Asked, DnsServer, bind
from guestnet.wire.dns import octets
from guestnet.world.described.nat64 import Nat64
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.nat64.resolving import Resolving

UPSTREAM, OWN = "127.0.8.1", "127.0.8.2"
MANY = 60


class Here(Namespaces):
    """Every host is this machine."""

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        yield


class Upstream:
    """Has sixty A records of "many.example" and nothing else; says in a datagram only that it is too much."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.ids: list[int] = []
        self._server = DnsServer(self._answer, [bind(UPSTREAM, 0)])
        self.port = self._server.port

    async def _answer(self, asked: Asked) -> bytes:
        question = asked.query.question[0]
        kind = question.rdtype.name
        self.asked.append((kind, asked.stream))
        self.ids.append(asked.query.id)
        answer = dns.message.make_response(asked.query)
        if question.name.to_text() != "many.example.":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "A":
            values = [f"203.0.113.{number}" for number in range(MANY)]
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", *values))
        return octets(answer)

    async def close(self) -> None:
        await self._server.close()


def resolving(port: int, served: list[tuple[str, str, str]]) -> Resolving:
    nat64 = Nat64(host="box", dns64=(OWN,), resolvers=(UPSTREAM,))
    return Resolving("n", nat64, Here(), lambda *line: served.append(line), port=port)


@asynccontextmanager
async def dns64(served: list[tuple[str, str, str]]) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    own = resolving(upstream.port, served)
    own.run()
    try:
        async with asyncio.timeout(20):
            yield upstream
    finally:
        await own.close()
        await upstream.close()


def test_a_large_name_is_whole_over_tcp_though_upstream_says_nothing_in_a_datagram() -> None:
    async def scenario() -> None:
        served: list[tuple[str, str, str]] = []
        async with dns64(served) as upstream:
            query = dns.message.make_query("many.example", "AAAA")
            short = await dns.asyncquery.udp(query, OWN, port=upstream.port)
            whole = await dns.asyncquery.tcp(query, OWN, port=upstream.port)

            assert short.flags & dns.flags.TC
            assert not short.answer
            assert not whole.flags & dns.flags.TC
            addresses = {record.address for record in whole.answer[0]}
            assert addresses == {f"64:ff9b::cb00:71{number:02x}" for number in range(MANY)}
            assert upstream.asked == [("AAAA", False), ("A", False), ("A", True)] * 2
        assert [line[1:] for line in served] == [("AAAA many.example", "NOERROR")] * 2

    asyncio.run(scenario())


def test_what_does_not_exist_is_passed_on() -> None:
    async def scenario() -> None:
        served: list[tuple[str, str, str]] = []
        async with dns64(served) as upstream:
            query = dns.message.make_query("nothing.example", "AAAA")
            answer = await dns.asyncquery.udp(query, OWN, port=upstream.port)
            assert answer.rcode() == dns.rcode.NXDOMAIN
            assert upstream.asked == [("AAAA", False)]

    asyncio.run(scenario())


def test_servers_are_asked_under_ids_that_nobody_can_guess() -> None:
    async def scenario() -> None:
        async with dns64([]) as upstream:
            query = dns.message.make_query("nothing.example", "A", id=1)
            for _ in range(8):
                await dns.asyncquery.udp(query, OWN, port=upstream.port)
            steps = {after - before for before, after in zip(upstream.ids, upstream.ids[1:], strict=False)}
            assert len(steps) > 1

    asyncio.run(scenario())


def test_a_client_that_is_still_there_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        async with dns64([]) as upstream:
            reader, writer = await asyncio.open_connection(OWN, upstream.port)
            query = dns.message.make_query("many.example", "AAAA")
            await dns.asyncquery.udp(query, OWN, port=upstream.port)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_a_port_that_is_taken_is_told_with_the_place() -> None:
    taken = bind(OWN, 0)
    try:
        with pytest.raises(DescriptionError, match=r"nat64\.n: its DNS64 can't listen"):
            resolving(taken.datagrams.getsockname()[1], [])
    finally:
        taken.close()
