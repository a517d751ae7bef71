"""The laptop's resolver against nameservers on loopback."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.time import SECOND
from guestnet.edge.resolv_conf import ResolvConf, read_servers
from guestnet.edge.resolver import Resolver
from guestnet.services.dns import forwarding

Answer = Callable[[bytes], bytes | None]


class Nameserver(asyncio.DatagramProtocol):
    """Answers by a function; UDP and TCP on one port. ``asked`` are the queries over UDP."""

    def __init__(self, udp: Answer, tcp: Answer) -> None:
        self.udp, self.tcp = udp, tcp
        self.asked: list[bytes] = []
        self.was_asked = asyncio.Event()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        self.was_asked.set()
        answer = self.udp(data)
        if answer is not None and self.transport is not None:
            self.transport.sendto(answer, addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = self.tcp(await reader.readexactly(length))
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()
        await writer.wait_closed()


def good(query: bytes, address: str = "192.0.2.1") -> bytes:
    message = dns.message.from_wire(query)
    answer = dns.message.make_response(message)
    answer.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "A", address))
    return answer.to_wire()


def failing(query: bytes, rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(query))
    answer.set_rcode(rcode)
    return answer.to_wire()


def truncated(query: bytes) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(query))
    answer.flags |= dns.flags.TC
    return answer.to_wire()


def silent(query: bytes) -> bytes | None:
    return None


@asynccontextmanager
async def nameserver(
    udp: Answer, tcp: Answer = silent, *, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[int, Nameserver]]:
    """A server on ``address``, and its port."""
    made = Nameserver(udp, tcp)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, (address, port))
    port = transport.get_extra_info("sockname")[1]
    server = await asyncio.start_server(made.serve_stream, address, port)
    try:
        yield port, made
    finally:
        transport.close()
        server.close()
        await server.wait_closed()


async def resolve(port: int, count: int = 1) -> tuple[dns.message.Message, bytes | None]:
    """Ask for shop.example: nameservers are 127.0.0.1, 127.0.0.2, …, all on ``port``."""
    resolver = Resolver(port=port)
    query = dns.message.make_query("shop.example", "A")
    try:
        async with asyncio.timeout(20):
            servers = [f"127.0.0.{number + 1}" for number in range(count)]
            return query, await resolver.ask(query.to_wire(), servers)
    finally:
        await resolver.close()


def test_a_query_is_forwarded_under_another_id_and_the_answer_comes_back_raw() -> None:
    async def scenario() -> None:
        async with nameserver(good) as (port, server):
            query, answer = await resolve(port)
            assert server.asked[0][2:] == query.to_wire()[2:]
            assert answer is not None
            assert answer == good(server.asked[0])

    asyncio.run(scenario())


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    async def scenario() -> None:
        async with nameserver(truncated, good) as (port, _):
            _, answer = await resolve(port)
            assert answer is not None
            assert str(dns.message.from_wire(answer).answer[0][0]) == "192.0.2.1"

    asyncio.run(scenario())


@pytest.mark.parametrize("first", [failing, lambda query: failing(query, dns.rcode.REFUSED), silent])
def test_the_next_server_is_asked_when_the_first_does_not_help(
    first: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PER_SERVER", SECOND // 5)

    async def scenario() -> None:
        async with nameserver(first) as (port, _), nameserver(good, address="127.0.0.2", port=port):
            _, answer = await resolve(port, 2)
            assert answer is not None
            assert dns.message.from_wire(answer).rcode() == dns.rcode.NOERROR

    asyncio.run(scenario())


def test_nxdomain_is_an_answer() -> None:
    async def scenario() -> None:
        missing = lambda query: failing(query, dns.rcode.NXDOMAIN)  # noqa: E731
        async with (
            nameserver(missing) as (port, _),
            nameserver(good, address="127.0.0.2", port=port) as (_, other),
        ):
            _, answer = await resolve(port, 2)
            assert answer is not None
            assert dns.message.from_wire(answer).rcode() == dns.rcode.NXDOMAIN
            assert other.asked == []

    asyncio.run(scenario())


def test_the_last_failure_is_given_when_there_is_nothing_better() -> None:
    async def scenario() -> None:
        async with nameserver(failing) as (port, _):
            _, answer = await resolve(port)
            assert answer is not None
            assert dns.message.from_wire(answer).rcode() == dns.rcode.SERVFAIL

    asyncio.run(scenario())


def test_answers_to_something_else_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "PER_SERVER", SECOND // 10)

    def forged(query: bytes) -> bytes:
        other = dns.message.make_query("evil.example", "A")
        other.id = int.from_bytes(query[:2], "big")
        return good(other.to_wire(), "6.6.6.6")

    async def scenario() -> None:
        async with nameserver(forged) as (port, _):
            _, answer = await resolve(port)
            assert answer is None

    asyncio.run(scenario())


def test_a_closed_port_is_no_answer() -> None:
    async def scenario() -> None:
        async with nameserver(good) as (port, _):
            pass
        _, answer = await resolve(port)
        assert answer is None

    asyncio.run(scenario())


def test_closing_gives_up_what_is_asked() -> None:
    async def scenario() -> None:
        async with nameserver(silent) as (port, server):
            before = asyncio.all_tasks()
            resolver = Resolver(port=port)
            query = dns.message.make_query("x.example", "A").to_wire()
            asking = asyncio.create_task(resolver.ask(query, ["127.0.0.1"]))
            async with asyncio.timeout(20):
                await server.was_asked.wait()
                await resolver.close()
                assert await asking is None
            assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_who_no_longer_waits_leaves_no_socket_behind() -> None:
    async def scenario() -> None:
        async with nameserver(silent) as (port, server):
            before = asyncio.all_tasks()
            resolver = Resolver(port=port)
            query = dns.message.make_query("x.example", "A").to_wire()
            asking = asyncio.create_task(resolver.ask(query, ["127.0.0.1"]))
            async with asyncio.timeout(20):
                await server.was_asked.wait()
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                for _ in range(5):
                    await asyncio.sleep(0)
                assert asyncio.all_tasks() == before
            await resolver.close()

    asyncio.run(scenario())


# --- resolv.conf ---


def test_nameservers_are_read_in_order_and_comments_are_not(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# hotel\nsearch lan\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions edns0\n")
    assert read_servers(path) == ["192.0.2.53", "2001:db8::53"]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"nameserver\n"])
def test_a_file_without_nameservers_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "resolv.conf"
    if content is not None:
        path.write_bytes(content)
    assert read_servers(path) == []


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    asker = ResolvConf(path)
    assert asker.servers == ["192.0.2.1"]
    path.write_text("nameserver 192.0.2.2\n")
    os.utime(path, ns=(1, 1))
    assert asker.servers == ["192.0.2.2"]
    path.unlink()
    assert asker.servers == []
