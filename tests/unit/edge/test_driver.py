"""The driver with real sockets on its cables: who gets which frames, and what is written down."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness.core.address import BROADCAST, Mac
from harness.core.events import FrameDropped
from harness.edge.clock import LabClock
from harness.edge.driver import Driver
from harness.edge.qemu_port import socket_pair
from harness.gateway.config import GatewayConfig
from harness.gateway.gateway import Gateway
from harness.wire import arp, ethernet
from harness.wire.ethernet import EtherType
from harness.wire.ipv4 import ip4
from tests.contract.bench import Notebook

CONFIG = GatewayConfig()
ONE = Mac.parse("52:54:00:65:00:01")
TWO = Mac.parse("52:54:00:65:00:02")


class Lan:
    """A driver with two cables; the test holds their other ends."""

    def __init__(self) -> None:
        self.notebook = Notebook()
        self.clock = LabClock()
        self.driver = Driver(
            Gateway(CONFIG), CONFIG.mac, recorder=self.notebook, clock=self.clock, resolv_conf=Path("none")
        )
        self.unplugged: list[str] = []
        self.one = self.plug("cable")
        self.two = self.plug("cable-guest2")

    def plug(self, link: str) -> socket.socket:
        ours, theirs = socket_pair()
        self.driver.attach_qemu(link, ours, self.unplugged.append)
        theirs.setblocking(False)
        return theirs

    async def read(self, cable: socket.socket) -> ethernet.Ethernet:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            length = int.from_bytes(await loop.sock_recv(cable, 4), "big")
            return ethernet.parse(await loop.sock_recv(cable, length))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 -- the driver tells by plain callbacks
                await asyncio.sleep(0)

    async def is_silent(self, cable: socket.socket) -> bool:
        """Nothing has come, after the loop did all that was ready."""
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            cable.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


def send(cable: socket.socket, frame: bytes) -> None:
    cable.send(len(frame).to_bytes(4, "big") + frame)


def who_has(address: str, source: Mac) -> bytes:
    request = arp.emit(arp.request(source, ip4("192.168.65.3"), ip4(address)))
    return ethernet.header(BROADCAST, source, EtherType.ARP) + request


def go(scenario: Callable[[Lan], Awaitable[None]]) -> None:
    async def run() -> None:
        lan = Lan()
        try:
            await scenario(lan)
        finally:
            await lan.driver.close()
            await lan.driver.close()
            lan.one.close()
            lan.two.close()

    asyncio.run(run())


def test_the_gateway_answers_the_guest_that_asked_and_both_ways_are_captured() -> None:
    async def scenario(lan: Lan) -> None:
        send(lan.one, who_has("192.168.65.1", ONE))
        answer = await lan.read(lan.one)
        assert (answer.destination, answer.source) == (ONE, CONFIG.mac)
        assert [entry for entry in lan.notebook.seen if entry[0] == "cable"] == [
            ("cable", "up", 1),
            ("cable", "down", 1),
        ]

    go(scenario)


def test_a_broadcast_reaches_the_other_guest_and_its_answer_comes_back() -> None:
    async def scenario(lan: Lan) -> None:
        send(lan.one, who_has("192.168.65.4", ONE))
        assert (await lan.read(lan.two)).source == ONE
        send(lan.two, ethernet.header(ONE, TWO, 0x88B5) + b"hello")
        assert bytes((await lan.read(lan.one)).payload) == b"hello"
        assert ("cable-guest2", "down", 1) in lan.notebook.seen

    go(scenario)


def test_a_cable_that_is_down_carries_nothing_and_says_so() -> None:
    async def scenario(lan: Lan) -> None:
        lan.driver.cables["cable"].set_up(False, lan.clock.now())
        send(lan.one, who_has("192.168.65.1", ONE))
        await lan.until(lambda: lan.notebook.noted(FrameDropped))
        assert await lan.is_silent(lan.one)
        assert "who-has 192.168.65.1" in lan.notebook.noted(FrameDropped)[0].frame

    go(scenario)


def test_a_guest_that_leaves_is_detached_and_the_other_goes_on() -> None:
    async def scenario(lan: Lan) -> None:
        lan.one.close()
        await lan.until(lambda: lan.unplugged)
        assert list(lan.driver.cables) == ["cable-guest2"]
        send(lan.two, who_has("192.168.65.1", TWO))
        assert (await lan.read(lan.two)).source == CONFIG.mac

    go(scenario)


def test_a_cable_plugged_in_again_replaces_the_former() -> None:
    async def scenario(lan: Lan) -> None:
        again = lan.plug("cable")
        assert lan.one.recv(1) == b""
        send(again, who_has("192.168.65.1", ONE))
        assert (await lan.read(again)).source == CONFIG.mac
        again.close()

    go(scenario)
