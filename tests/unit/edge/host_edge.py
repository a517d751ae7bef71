"""The executors of host sockets, on loopback, and what they told."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

import pytest

from guestnet.edge.host_ping import HostPing
from guestnet.edge.host_tcp import HostTcp
from guestnet.edge.host_udp import HostUdp
from guestnet.edge.poller import Poller
from guestnet.gateway import commands, events
from guestnet.wire.ipv4 import ip4
from guestnet.wire.ipv6 import ip6

LOOPBACK = ip4("127.0.0.1")


V = TypeVar("V")


def has_ipv6() -> bool:
    """Some containers have no ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


both_families = pytest.mark.parametrize(
    "loopback",
    [
        pytest.param("127.0.0.1", id="ipv4"),
        pytest.param(
            "::1", id="ipv6", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")
        ),
    ],
)


def octets(loopback: str) -> bytes:
    return ip4(loopback) if "." in loopback else ip6(loopback)


def datagram_socket(loopback: str) -> socket.socket:
    family = socket.AF_INET if "." in loopback else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.bind((loopback, 0))
    bound.settimeout(10)
    return bound


def opening(loopback: str, port: int = 0) -> commands.OpenDatagram:
    return commands.OpenDatagram(1, port, 4 if "." in loopback else 6)


class Edge:
    """The executors, and what they told."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []
        self.poller = Poller(lambda: None)
        self.tcp = HostTcp(self.poller, self.told.append)
        self.udp = HostUdp(self.poller, self.told.append)
        self.ping = HostPing(self.poller, self.told.append)

    async def heard(self, kind: type[V]) -> V:
        """The first event of ``kind``, taken off the list, as soon as it is there."""
        async with asyncio.timeout(10):
            while True:
                for index, event in enumerate(self.told):
                    if isinstance(event, kind):
                        del self.told[index]
                        return event
                await asyncio.sleep(0.001)

    async def open(self, server: socket.socket) -> socket.socket:
        """Flow 1 connected to ``server``; the accepted end."""
        self.tcp.connect(commands.Connect(1, LOOPBACK, server.getsockname()[1]))
        await self.heard(events.Connected)
        accepted, _ = server.accept()
        return accepted

    def close(self) -> None:
        for part in (self.tcp, self.udp, self.ping):
            part.close()
            assert len(part) == 0
        self.poller.close()


def go(scenario: Callable[[Edge, socket.socket], object]) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            edge = Edge()
            try:
                await scenario(edge, server)  # type: ignore[misc]
            finally:
                edge.close()

    asyncio.run(run())
