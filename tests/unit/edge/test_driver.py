"""The driver with real sockets on its cables: who gets which frames, and what is written down."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from guestnet.core.address import BROADCAST, Mac
from guestnet.core.events import FrameDropped
from guestnet.core.time import HOUR
from guestnet.edge import driver as driver_module
from guestnet.edge.clock import LabClock
from guestnet.edge.driver import Driver
from guestnet.edge.qemu_port import socket_pair
from guestnet.frames import virtio
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.gateway import Gateway
from guestnet.gateway.short_way import ShortWay
from guestnet.link.settings import impairments
from guestnet.wire import arp, ethernet, icmp, ipv4, tcp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.frame import decode
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags, Segment
from tests.support.bench import Notebook
from tests.support.runs import undone

CONFIG = GatewayConfig()
ONE = Mac.parse("52:54:00:65:00:01")
TWO = Mac.parse("52:54:00:65:00:02")
THREE = Mac.parse("52:54:00:65:00:03")
A, B = ip4("192.168.65.5"), ip4("192.168.65.4")


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


def test_a_frame_that_comes_alone_is_looked_at_once_by_the_short_way() -> None:
    async def scenario(lan: Lan) -> None:
        send(lan.one, who_has("192.168.65.1", ONE))
        await lan.read(lan.one)
        echo = icmp.emit(icmp.echo_request(1, 1, b"once"))
        packet = Ipv4(ip4("192.168.65.3"), CONFIG.gateway, Protocol.ICMP, echo)
        with patch.object(ShortWay, "take", autospec=True, side_effect=ShortWay.take) as asked:
            send(lan.one, ethernet.header(CONFIG.mac, ONE, EtherType.IPV4) + ipv4.emit(packet))
            answer = icmp.parse(ipv4.parse((await lan.read(lan.one)).payload).payload)
        assert (answer.type, bytes(answer.payload)) == (icmp.Type.ECHO_REPLY, b"once")
        assert asked.call_count == 1
        assert lan.notebook.seen[-2:] == [("cable", "up", 1), ("cable", "down", 1)]

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
        lan.driver.cables["cable"].set_plugged(False, lan.clock.now())
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


@pytest.mark.parametrize("impaired", [True, False])
def test_a_large_frame_is_cut_where_somebody_needs_frames(
    monkeypatch: pytest.MonkeyPatch, impaired: bool
) -> None:
    """From a device with offloads to a QEMU guest; an impairment in between sees what a wire would carry."""

    async def scenario(lan: Lan) -> None:
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        monkeypatch.setattr(driver_module, "has_offloads", lambda fd: True)
        lan.driver.attach_tap("tap", ours.detach(), lan.unplugged.append)
        if impaired:
            lan.driver.cables["tap"].impair(impairments(mtu=9000), 0, "up")
        send(lan.two, who_has("192.168.65.9", TWO))  # the switch learns where it is
        await lan.until(lambda: lan.notebook.seen)
        segment = tcp.emit(Segment(1, 2, 3, 4, Flags.ACK, 5, bytes(range(200)) * 100), A, B)
        whole = ethernet.header(TWO, THREE, EtherType.IPV4) + ipv4.emit(Ipv4(A, B, Protocol.TCP, segment))
        kernel.send(undone(whole, 34, 16, virtio.Gso.TCPV4, 1000))

        arrived = [ethernet.emit(await lan.read(lan.two)) for _ in range(20)]
        assert all(decode(frame).error is None for frame in arrived)
        assert b"".join(frame[54:] for frame in arrived) == bytes(range(200)) * 100
        assert counts(lan, "tap", "up") == [20]
        assert counts(lan, "cable-guest2", "down")[-2:] == ([20] if impaired else [19, 1])
        kernel.close()

    go(scenario)


def counts(lan: Lan, link: str, direction: str) -> list[int]:
    """Of the batches that were captured there."""
    return [count for where, way, count in lan.notebook.seen if (where, way) == (link, direction)]


def test_what_a_jump_of_the_clock_makes_due_happens_at_once() -> None:
    async def scenario(lan: Lan) -> None:
        cable = lan.driver.cables["cable"]
        cable.impair(impairments(delay="8h"), lan.clock.now(), "up")
        send(lan.one, who_has("192.168.65.1", ONE))
        await lan.until(lambda: cable.poll_at() is not None)
        assert await lan.is_silent(lan.one)

        lan.clock.advance(8 * HOUR)
        assert (await lan.read(lan.one)).source == CONFIG.mac

        await lan.driver.close()
        lan.clock.advance(8 * HOUR)

    go(scenario)
