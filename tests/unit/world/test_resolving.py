"""What resolv.conf says and whom the stub resolver asks, with DNS servers of the test's own on loopback."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.laptop.resolving import ALL, LaptopResolver
from guestnet.world.laptop.stub import Stub

UPLINK, CORP, LAB = "127.0.9.1", "127.0.9.2", "127.0.9.3"
STUB = "127.0.9.53"
BIG = "x" * 250


class Server(asyncio.DatagramProtocol):
    """Answers every question with its own address; "big" with much text."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(self.answer(data), addr)

    def answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text()
        self.asked.append(name)
        answer = dns.message.make_response(query)
        records = [self.address]
        rdtype = "TXT" if name.startswith("big") else "A"
        if name.startswith("big"):
            records = [f'"{number}{BIG}"' for number in range(4)]
        answer.answer.append(_records(name, rdtype, records))
        return answer.to_wire()

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = self.answer(await reader.readexactly(length))
        writer.write(len(answer).to_bytes(2, "big") + answer)
        await writer.drain()
        writer.close()


def _same(server: Server) -> Server:
    return server


def _records(name: str, rdtype: str, records: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, 60, "IN", rdtype, records)


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[tuple[dict[str, Server], int]]:
    loop = asyncio.get_running_loop()
    running: dict[str, Server] = {}
    streams = []
    port = 0
    for address in (UPLINK, CORP, LAB):
        server = running[address] = Server(address)
        listening = await asyncio.start_server(server.stream, address, port)
        streams.append(listening)
        port = listening.sockets[0].getsockname()[1]
        await loop.create_datagram_endpoint(partial(_same, server), local_addr=(address, port))
    try:
        yield running, port
    finally:
        for server in running.values():
            server.transport.close()
        for stream in streams:
            stream.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def resolver(path: Path) -> AsyncIterator[tuple[LaptopResolver, dict[str, Server]]]:
    await asyncio.to_thread(path.write_text, f"nameserver {UPLINK}\n")
    async with servers() as (running, port):
        made = LaptopResolver(path, [UPLINK], address=STUB, port=0, servers_port=port)
        try:
            yield made, running
        finally:
            await made.close()


async def ask(made: LaptopResolver, name: str, *, tcp: bool = False) -> dns.message.Message:
    assert made.stub is not None
    verb = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    query = dns.message.make_query(name, "TXT" if name.startswith("big") else "A", use_edns=False)
    return await verb(query, STUB, port=made.stub.port, timeout=10)


async def address(made: LaptopResolver, name: str) -> str:
    return str((await ask(made, name)).answer[0][0])


def named(path: Path) -> list[str]:
    return [line.split()[1] for line in path.read_text().splitlines() if line.startswith("nameserver ")]


def test_without_a_vpn_the_file_names_the_uplinks_servers(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_uplink(["192.0.2.1", "2001:db8::1"])
            assert named(path) == ["192.0.2.1", "2001:db8::1"]
            made.set_uplink([])
            assert named(path) == []
            assert made.stub is None

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_who_wants_to_know_is_told_what_the_file_names_when_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {UPLINK}\n")
    told: list[tuple[str, ...]] = []
    made = LaptopResolver(path, [UPLINK], on_change=told.append)
    made.set_uplink([UPLINK])
    assert told == []
    made.set_vpn("corp", [CORP], [ALL])
    made.set_uplink(["192.0.2.1"])
    made.clear_vpn("corp")
    assert told == [(CORP,), ("192.0.2.1",)]


def test_a_vpn_that_resolves_everything_takes_their_place_until_it_is_gone(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn("corp", [CORP], [ALL])
            assert named(path) == [CORP]
            made.set_uplink(["192.0.2.1"])
            assert named(path) == [CORP]
            made.clear_vpn("corp")
            assert named(path) == ["192.0.2.1"]
            assert made.stub is None

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_of_two_vpns_the_one_that_came_last_resolves(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn("one", ["192.0.2.1"], [ALL])
            made.set_vpn("two", ["192.0.2.2"], [ALL])
            assert named(path) == ["192.0.2.2"]
            made.set_vpn("one", ["192.0.2.1"], [ALL])
            assert named(path) == ["192.0.2.1"]

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_zones_go_to_the_vpn_and_all_else_to_the_uplink(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, running):
            made.set_vpn("corp", [CORP], ["corp.example", "10.in-addr.arpa"])
            made.set_vpn("lab", [LAB], ["lab.corp.example"])
            assert named(path) == [STUB]

            assert await address(made, "registry.corp.example") == CORP
            assert await address(made, "CORP.example") == CORP
            assert await address(made, "x.lab.corp.example") == LAB
            assert await address(made, "notcorp.example") == UPLINK
            assert running[UPLINK].asked == ["notcorp.example."]

            made.clear_vpn("lab")
            assert await address(made, "x.lab.corp.example") == CORP
            made.clear_vpn("corp")
            assert named(path) == [UPLINK]

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_a_vpns_zone_keeps_its_server_when_the_uplink_changes_and_its_death_is_servfail(
    tmp_path: Path,
) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn("corp", [CORP], ["corp.example"])
            made.set_uplink([])
            assert await address(made, "registry.corp.example") == CORP
            assert (await ask(made, "shop.example")).rcode() == dns.rcode.SERVFAIL

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_routed_names_are_seen_before_the_client_has_them(tmp_path: Path) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def see(name: str, addresses: Sequence[str]) -> None:
        seen.append((name, list(addresses)))

    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn(
                "corp", [CORP], ["corp.example"], routed=["git.corp.example", "saas.example"],
                seen=see,
            )  # fmt: skip
            assert await address(made, "Saas.example") == UPLINK
            assert seen == [("saas.example", [UPLINK])]
            assert await address(made, "eu.git.corp.example") == CORP
            assert seen[1:] == [("eu.git.corp.example", [CORP])]
            await address(made, "wiki.corp.example")
            assert len(seen) == 2

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_an_answer_too_long_for_udp_is_truncated_and_whole_over_tcp(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn("corp", [CORP], ["corp.example"])
            short = await ask(made, "big.corp.example")
            assert short.flags & dns.flags.TC
            assert not short.answer
            whole = await ask(made, "big.corp.example", tcp=True)
            assert len(whole.answer[0]) == 4

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_each_rewrite_is_told_by_the_files_size(tmp_path: Path) -> None:
    """Readers compare size and time of change, and two changes may come in one tick of the clock."""

    async def act() -> None:
        async with resolver(path) as (made, _):
            sizes = [path.stat().st_size]
            inode = path.stat().st_ino
            for _ in range(20):
                for servers in (["192.0.2.1", "192.0.2.2"], [], ["192.0.2.3"]):
                    made.set_uplink(servers)
                    sizes.append(path.stat().st_size)
                    assert named(path) == servers
            assert sizes == sorted(set(sizes))
            made.set_uplink(["192.0.2.3"])
            assert path.stat().st_size == sizes[-1], "nothing has changed"
            assert path.stat().st_ino == inode

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_garbage_is_not_answered_and_harms_nobody(tmp_path: Path) -> None:
    async def act() -> None:
        async with resolver(path) as (made, _):
            made.set_vpn("corp", [CORP], ["corp.example"])
            assert made.stub is not None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                for junk in (b"", b"\0", b"\xff" * 40, bytes(12)):
                    client.sendto(junk, (STUB, made.stub.port))
                assert await address(made, "registry.corp.example") == CORP

    path = tmp_path / "resolv.conf"
    asyncio.run(act())


def test_a_stub_where_somebody_listens_says_so() -> None:
    async def act() -> None:
        first = Stub(address=STUB, port=0)
        try:
            with pytest.raises(DescriptionError, match="Address already in use"):
                Stub(address=STUB, port=first.port)
        finally:
            await first.close()

    asyncio.run(act())
