"""What a stack with IPv6 does for a guest, with real sockets on ::1. No QEMU, no root, no network."""

import asyncio
import hashlib
import socket
from collections.abc import Coroutine
from pathlib import Path

import pytest

from guestnet.core.events import FlowOpened, FlowRefused
from guestnet.wire import icmpv6, ndp
from guestnet.wire.ipv6 import ip6
from tests.contract.test_stack import MEBIBYTE, echo, noise
from tests.support.bench import Bench, running, serving
from tests.support.fake_guest import GUEST6, HOST6


def has_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_loopback(), reason="there is no ::1 here")


def go(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(scenario)


async def discover(bench: Bench) -> ndp.RouterAdvertisement:
    """Ask for a router, and take an address of what it advertises."""
    bench.guest.take_address(ip6("fe80::5054:ff:fe65:1"))
    bench.guest.solicit_router()
    await bench.until(lambda: bench.guest.discovered)
    told = bench.guest.discovered[0]
    assert isinstance(told, ndp.RouterAdvertisement)
    assert told.options.prefixes[0].prefix == GUEST6[:8] + bytes(8)
    bench.guest.take_address(GUEST6)
    return told


@pytest.mark.parametrize("mtu", [1500, 65520])
def test_octets_go_there_and_back_intact(tmp_path: Path, mtu: int) -> None:
    async def scenario() -> None:
        async with (
            running("builtin", tmp_path, mtu=mtu, leased=False) as bench,
            serving(echo, "::1") as port,
        ):
            assert (await discover(bench)).options.mtu == mtu
            sent = noise(3 * MEBIBYTE)
            stream = bench.guest.connect(HOST6, port)
            stream.send(sent, then_shut=True)
            await bench.until(lambda: stream.has_ended, within=60)
            assert hashlib.sha256(stream.received).digest() == hashlib.sha256(sent).digest()
            (opened,) = bench.notebook.noted(FlowOpened)
            assert opened.remote == f"[fd65:6775:6573:7400::2]:{port}"

    go(scenario())


def test_datagrams_come_back_and_errors_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("builtin", tmp_path, leased=False) as bench:
            await discover(bench)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
                server.bind(("::1", 0))
                server.setblocking(False)
                port = server.getsockname()[1]
                for size in (5, 4000):
                    bench.guest.send_datagram(HOST6, port, noise(size))
                    data, sender = await _heard(bench, server)
                    assert data == noise(size)
                    server.sendto(data[::-1], sender)
                    await bench.until(lambda: bench.guest.datagrams)
                    source, datagram = bench.guest.datagrams.pop()
                    assert (source, datagram.source_port) == (HOST6, port)
                    assert datagram.payload == noise(size)[::-1]
            bench.guest.send_datagram(HOST6, port, b"nobody is there any more")
            await bench.until(lambda: bench.guest.messages)
            _, message = bench.guest.messages[0]
            assert isinstance(message, icmpv6.Icmpv6)
            assert (message.type, message.code) == (1, icmpv6.Unreachable.PORT)
            assert [event.error for event in bench.notebook.noted(FlowRefused)] == ["ECONNREFUSED"]

    go(scenario())


async def _heard(bench: Bench, server: socket.socket) -> tuple[bytes, tuple[str, int]]:
    heard: list[tuple[bytes, tuple[str, int]]] = []

    def receive() -> bool:
        try:
            heard.append(server.recvfrom(65535))
        except BlockingIOError:
            return False
        return True

    await bench.until(receive)
    return heard[0]


def test_a_refused_connect_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("builtin", tmp_path, leased=False) as bench:
            await discover(bench)
            async with serving(echo, "::1") as port:
                pass
            stream = bench.guest.connect(HOST6, port)
            await bench.until(lambda: stream.is_refused)

    go(scenario())
