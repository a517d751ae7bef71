"""What every stack does for a guest, with real sockets on loopback. No QEMU, no root, no network."""

import asyncio
import hashlib
import random
import socket
from collections.abc import Coroutine
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.core.events import DhcpServed, DnsAnswered, FlowClosed, FlowOpened, FlowRefused
from guestnet.stacks.builtin import BuiltinStack
from guestnet.wire import icmp
from guestnet.wire.dhcp import MessageType
from guestnet.wire.ipv4 import ip4
from tests.support.bench import Bench, running, serving
from tests.support.fake_guest import GATEWAY, HOST, FakeGuest

STACKS = ["builtin"]
"""Those that a fake guest can be plugged into; the others need a QEMU around them."""
MEBIBYTE = 1 << 20


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def go(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(scenario)


def noise(size: int) -> bytes:
    return random.Random(4711).randbytes(size)


async def assert_answered_by(bench: Bench, name: str) -> None:
    """It is the stack that was asked for: its name, and its own ethernet address behind the gateway's."""
    assert bench.stack.name == name
    bench.guest.ping(GATEWAY)
    await bench.until(lambda: bench.guest.messages)
    if isinstance(bench.stack, BuiltinStack):
        assert bench.guest.arps[-1].sender_mac == bench.stack.config.mac
    bench.guest.messages.clear()


def test_it_is_the_stack_that_was_asked_for(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path) as bench:
            await assert_answered_by(bench, stack)
            assert ("cable", "up", 1) in bench.notebook.seen
            assert ("cable", "down", 1) in bench.notebook.seen

    go(scenario())


def test_a_guest_gets_a_lease(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path, leased=False, mtu=1400) as bench:
            await bench.lease()
            lease = bench.guest.leases[-1]
            assert lease.type == MessageType.ACK
            assert lease.yiaddr == ip4("192.168.65.3")
            assert lease.options.routers == lease.options.dns_servers == (GATEWAY,)
            assert lease.options.interface_mtu == 1400
            assert [event.kind for event in bench.notebook.noted(DhcpServed)] == ["OFFER", "ACK"]

    go(scenario())


@pytest.mark.parametrize("address", [GATEWAY, HOST])
def test_gateway_and_host_answer_pings(stack: str, tmp_path: Path, address: bytes) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path) as bench:
            bench.guest.ping(address, 5, b"hello" * 100)
            await bench.until(lambda: bench.guest.messages)
            ((source, message),) = bench.guest.messages
            assert source == address
            assert (message.type, message.identifier, message.sequence) == (icmp.Type.ECHO_REPLY, 77, 5)
            assert bytes(message.payload) == b"hello" * 100

    go(scenario())


def test_the_host_has_a_name(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path) as bench:
            query = dns.message.make_query("host.docker.internal", "A")
            bench.guest.send_datagram(GATEWAY, 53, query.to_wire())
            await bench.until(lambda: bench.guest.datagrams)
            ((source, datagram),) = bench.guest.datagrams
            assert (source, datagram.source_port) == (GATEWAY, 53)
            answer = dns.message.from_wire(bytes(datagram.payload))
            assert answer.id == query.id
            assert str(answer.answer[0][0]) == "192.168.65.2"

    go(scenario())


def test_without_a_resolver_names_are_servfail(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path) as bench:
            bench.guest.send_datagram(GATEWAY, 53, dns.message.make_query("shop.example", "A").to_wire())
            await bench.until(lambda: bench.guest.datagrams)
            answer = dns.message.from_wire(bytes(bench.guest.datagrams[0][1].payload))
            assert answer.rcode() == dns.rcode.SERVFAIL
            assert [event.source for event in bench.notebook.noted(DnsAnswered)] == ["host"]

    go(scenario())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("mtu", [1500, 65520])
def test_ten_mebibytes_go_there_and_back_intact(stack: str, tmp_path: Path, mtu: int) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path, mtu=mtu) as bench, serving(echo) as port:
            await assert_answered_by(bench, stack)
            sent = noise(10 * MEBIBYTE)
            stream = bench.guest.connect(HOST, port)
            stream.send(sent, then_shut=True)
            await bench.until(lambda: stream.has_ended, within=60)
            assert hashlib.sha256(stream.received).digest() == hashlib.sha256(sent).digest()
            await bench.until(lambda: bench.notebook.noted(FlowClosed))
            (opened,) = bench.notebook.noted(FlowOpened)
            (closed,) = bench.notebook.noted(FlowClosed)
            assert opened.remote == closed.remote == f"192.168.65.2:{port}"
            assert (closed.up, closed.down) == (10 * MEBIBYTE, 10 * MEBIBYTE)

    go(scenario())


def test_a_refused_connect_is_a_reset(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            async with running(stack, tmp_path) as bench:
                stream = bench.guest.connect(HOST, closed.getsockname()[1])
                await bench.until(lambda: stream.is_refused)
                (event,) = bench.notebook.noted(FlowRefused)
                assert (event.error, event.answer) == ("ECONNREFUSED", "rst")

    go(scenario())


def test_a_half_close_goes_through_both_ways(stack: str, tmp_path: Path) -> None:
    async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(-1)
        writer.write(hashlib.sha256(data).hexdigest().encode())
        writer.close()

    async def scenario() -> None:
        async with running(stack, tmp_path) as bench, serving(digest) as port:
            stream = bench.guest.connect(HOST, port)
            stream.send(b"all of it" * 1000, then_shut=True)
            await bench.until(lambda: stream.has_ended)
            assert stream.received.decode() == hashlib.sha256(b"all of it" * 1000).hexdigest()

    go(scenario())


def test_a_reset_of_the_server_is_a_reset_for_the_guest(stack: str, tmp_path: Path) -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.transport.abort()

    async def scenario() -> None:
        async with running(stack, tmp_path) as bench, serving(slam) as port:
            stream = bench.guest.connect(HOST, port)
            stream.send(b"knock" * 1000)
            await bench.until(lambda: stream.is_refused or stream.has_ended)
            stream.send(b"more")
            await bench.until(lambda: stream.is_refused)

    go(scenario())


def test_a_reset_of_the_guest_is_a_reset_for_the_server(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read(-1)
                seen.set_result("end of stream")
            except ConnectionResetError:
                seen.set_result("reset")
            writer.close()

        async with running(stack, tmp_path) as bench, serving(watch) as port:
            stream = bench.guest.connect(HOST, port)
            await bench.until(lambda: stream.is_established)
            stream.connection.abort()
            await bench.until(seen.done)
            assert seen.result() == "reset"

    go(scenario())


def test_datagrams_are_echoed_from_whom_they_were_sent_to(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            port = server.getsockname()[1]
            loop = asyncio.get_running_loop()
            async with running(stack, tmp_path) as bench:
                for size in (0, 1, 1472, 9000):
                    sent = noise(size)
                    bench.guest.send_datagram(HOST, port, sent)
                    received = asyncio.ensure_future(loop.sock_recvfrom(server, 65535))
                    await bench.until(received.done)
                    data, source = received.result()
                    assert data == sent
                    await loop.sock_sendto(server, data, source)
                    await bench.until(lambda: bench.guest.datagrams)
                    address, datagram = bench.guest.datagrams.pop()
                    assert (address, datagram.source_port, datagram.destination_port) == (HOST, port, 5000)
                    assert bytes(datagram.payload) == sent
                assert len(bench.notebook.noted(FlowOpened)) == 1

    go(scenario())


def test_a_closed_udp_port_is_told(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        async with running(stack, tmp_path) as bench:
            bench.guest.send_datagram(HOST, port, b"anybody?")
            await bench.until(lambda: bench.guest.messages)
            ((source, message),) = bench.guest.messages
            assert source == HOST
            assert (message.type, message.code) == (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PORT)
            assert int.from_bytes(message.payload[20:22], "big") == 5000
            assert int.from_bytes(message.payload[22:24], "big") == port

    go(scenario())


def test_a_slow_server_bounds_what_the_guest_may_send(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()
        total = 16 * MEBIBYTE
        count = 0

        async def reluctant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await go_on.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            while data := await reader.read(MEBIBYTE):
                count += len(data)
            writer.close()

        async with running(stack, tmp_path) as bench, serving(reluctant) as port:
            assert isinstance(bench.stack, BuiltinStack)
            stream = bench.guest.connect(HOST, port)
            stream.send(bytes(total), then_shut=True)
            before = -1
            while len(stream.unsent) != before:
                before = len(stream.unsent)
                with pytest.raises(AssertionError):
                    await bench.until(lambda: False, within=0.5)
            assert before > 0
            # Rounding the window to its scale's unit may let in a little more than the buffer.
            assert bench.stack.driver.tcp.queued <= bench.stack.config.limits.tcp_buffer + bench.guest.mtu
            go_on.set()
            await bench.until(lambda: count == total, within=60)

    go(scenario())


def test_a_slow_guest_bounds_what_is_read_from_the_server(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        total = 32 * MEBIBYTE
        written = 0

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            while written < total:
                writer.write(bytes(MEBIBYTE))
                await writer.drain()
                written += MEBIBYTE
            writer.close()

        async with running(stack, tmp_path) as bench, serving(pour) as port:
            stream = bench.guest.connect(HOST, port)
            stream.is_reading = False
            before = -1
            while written != before:
                before = written
                with pytest.raises(AssertionError):
                    await bench.until(lambda: False, within=0.5)
            assert before < total
            stream.is_reading = True
            await bench.until(lambda: stream.has_ended, within=60)
            assert len(stream.received) == total

    go(scenario())


def test_two_guests_get_two_addresses_and_reach_each_other(stack: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(stack, tmp_path) as bench:
            assert "guest-to-guest" in bench.stack.capabilities
            second = FakeGuest(mac=Mac.parse("52:54:00:65:00:02"), now=bench.guest.now)
            plug = bench.stack.plug("guest2", second.mac, "cable-guest2")
            assert plug.fd is not None
            with socket.socket(fileno=plug.fd) as cable:
                other = Bench(bench.stack, bench.notebook, second, bench.clock, cable)
                await other.lease()
                assert second.address != bench.guest.address
                second.ping(bench.guest.address)
                await other.until(lambda: True)
                await bench.until(
                    lambda: bench.guest.arps and bench.guest.arps[-1].target_ip == bench.guest.address
                )
                await other.until(lambda: True, within=5)

    go(scenario())


def test_an_unknown_stack_is_told_with_those_that_exist(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("vpnkit", tmp_path):
            pass

    with pytest.raises(DescriptionError, match=r"vpnkit.*builtin, kernel-nat, passt, slirp"):
        go(scenario())
