"""The DNS server's sockets, on loopback: datagrams, streams, bounds, and that nothing is left of it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.edge import dns_stream
from guestnet.edge.dns_server import Answering, Asked, DnsServer, bind, bind_resolver
from guestnet.wire.dns import octets

MANY = 60
QUERY = dns.message.make_query("many.example", "A")


async def many(asked: Asked) -> bytes | None:
    """Sixty addresses: 992 octets."""
    answer = dns.message.make_response(asked.query)
    values = [f"10.0.0.{number}" for number in range(MANY)]
    answer.answer.append(dns.rrset.from_text(asked.query.question[0].name, 60, "IN", "A", *values))
    return octets(answer)


@asynccontextmanager
async def serving(
    answer: Answering, address: str = "127.0.0.1", *, queries: int = 8, streams: int = 2
) -> AsyncIterator[DnsServer]:
    server = DnsServer(answer, [bind(address, 0)], queries=queries, streams=streams)
    try:
        async with asyncio.timeout(20):
            yield server
    finally:
        await server.close()


async def connected(server: DnsServer) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    return sock


async def exchange(stream: socket.socket) -> dns.message.Message:
    await dns_stream.send(stream, QUERY.to_wire())
    return dns.message.from_wire(await dns_stream.receive(stream, bytearray()))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_long_answer_is_cut_in_a_datagram_and_whole_on_a_stream(address: str) -> None:
    async def scenario() -> None:
        clients = []

        async def answer(asked: Asked) -> bytes | None:
            clients.append((asked.client, asked.stream))
            return await many(asked)

        async with serving(answer, address) as server:
            short = await dns.asyncquery.udp(QUERY, address, port=server.port)
            assert short.flags & dns.flags.TC
            assert not short.answer
            roomy = dns.message.make_query("many.example", "A", use_edns=0, payload=1232)
            assert len((await dns.asyncquery.udp(roomy, address, port=server.port)).answer[0]) == MANY
            assert len((await dns.asyncquery.tcp(QUERY, address, port=server.port)).answer[0]) == MANY
        assert [stream for _, stream in clients] == [False, False, True]
        assert all(client.startswith(f"[{address}]:" if ":" in address else address) for client, _ in clients)

    asyncio.run(scenario())


def test_what_can_not_be_read_is_refused_and_answers_are_not_answered() -> None:
    async def scenario() -> None:
        async with serving(many) as server:
            stream = await connected(server)
            with stream:
                await dns_stream.send(stream, QUERY.to_wire()[:-1])
                refused = dns.message.from_wire(await dns_stream.receive(stream, bytearray()))
                assert (refused.id, refused.rcode()) == (QUERY.id, dns.rcode.FORMERR)
                await dns_stream.send(stream, octets(dns.message.make_response(QUERY)))
                with pytest.raises(EOFError):
                    await dns_stream.receive(stream, bytearray())

    asyncio.run(scenario())


def test_more_queries_than_may_be_under_way_are_not_answered() -> None:
    async def scenario() -> None:
        go = asyncio.Event()
        asked = asyncio.Semaphore(0)
        count = 0

        async def slow(query: Asked) -> bytes | None:
            nonlocal count
            count += 1
            asked.release()
            await go.wait()
            return await many(query)

        async with serving(slow, queries=2) as server:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.connect(("127.0.0.1", server.port))
                for _ in range(2):
                    sock.send(QUERY.to_wire())
                    await asked.acquire()
                sock.send(QUERY.to_wire())
                # A TCP client is not kept out by them, and comes after the third datagram.
                with await connected(server) as stream:
                    await dns_stream.send(stream, QUERY.to_wire())
                    await asked.acquire()
                    assert count == 3
                    go.set()
                    await dns_stream.receive(stream, bytearray())
                for _ in range(2):
                    assert (await loop.sock_recv(sock, 65535))[:2] == QUERY.to_wire()[:2]
                # Now there is room again.
                sock.send(QUERY.to_wire())
                assert await loop.sock_recv(sock, 65535)
                assert count == 4

    asyncio.run(scenario())


def test_of_tcp_clients_the_one_that_is_silent_for_longest_gives_way() -> None:
    async def scenario() -> None:
        async with serving(many, streams=2) as server:
            with await connected(server) as first, await connected(server) as second:
                await exchange(first)
                await exchange(second)
                await exchange(first)
                with await connected(server) as third:
                    assert len((await exchange(third)).answer[0]) == MANY
                    assert await asyncio.get_running_loop().sock_recv(second, 1) == b""
                    assert len((await exchange(first)).answer[0]) == MANY

    asyncio.run(scenario())


def test_a_tcp_client_whose_query_is_under_way_does_not_give_way() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def slow(query: Asked) -> bytes | None:
            await go.wait()
            return await many(query)

        async with serving(slow, streams=1) as server:
            with await connected(server) as first:
                waiting = asyncio.create_task(exchange(first))
                await asyncio.sleep(0)
                with await connected(server) as second, pytest.raises((EOFError, OSError)):
                    await exchange(second)
                go.set()
                assert len((await waiting).answer[0]) == MANY

    asyncio.run(scenario())


def test_closing_ends_clients_and_tasks() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        never = asyncio.Event()
        asked = asyncio.Event()

        async def silent(query: Asked) -> bytes | None:
            asked.set()
            await never.wait()
            return None

        async with serving(silent) as server:
            with await connected(server) as idle, await connected(server) as busy:
                await dns_stream.send(busy, QUERY.to_wire())
                await asked.wait()
                await server.close()
                assert asyncio.all_tasks() == before
                for stream in (idle, busy):
                    assert await asyncio.get_running_loop().sock_recv(stream, 1) == b""

    asyncio.run(scenario())


def test_a_port_that_somebody_has_is_told() -> None:
    taken = bind("127.0.0.1", 0)
    try:
        port = taken.datagrams.getsockname()[1]
        with pytest.raises(DescriptionError, match=f"127.0.0.1 port {port}"):
            bind_resolver("127.0.0.1", port)
    finally:
        taken.close()
