"""A stack with its real edge on loopback, and a fake guest on the other end of its cable."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from guestnet.core.events import Event
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark
from guestnet.core.time import SECOND
from guestnet.edge.clock import LabClock
from guestnet.stacks.base import Stack, StackOptions
from guestnet.stacks.registry import open_stack
from guestnet.wire.dhcp import MessageType
from tests.support.fake_guest import GATEWAY, MAC, FakeGuest

E = TypeVar("E", bound=Event)

DEADLINE = 20.0
"""Seconds; generous, because the machine may be busy. Nothing asserts on speed."""


class Notebook:
    """A ``Recorder`` that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.seen: list[tuple[str, Direction, int]] = []
        self.comments: list[tuple[str, Direction, str]] = []

    def event(self, event: Event) -> None:
        """As of ``Recorder``."""
        self.events.append(event)

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        """As of ``Recorder``; only the count is kept, and the comment if there is one."""
        self.seen.append((link, direction, len(frames)))
        told = dict.fromkeys([comment, *[own for own, _ in marks]])
        self.comments += [(link, direction, one) for one in told if one]

    def noted(self, kind: type[E]) -> list[E]:
        """The events of ``kind``."""
        return [event for event in self.events if isinstance(event, kind)]


class Bench:
    """``until`` runs both sides: the stack by the loop, the guest by the test."""

    def __init__(
        self, stack: Stack, notebook: Notebook, guest: FakeGuest, clock: LabClock, cable: socket.socket
    ) -> None:
        self.stack = stack
        self.notebook = notebook
        self.guest = guest
        self.clock = clock
        self._cable = cable
        self._buffer = bytearray()
        cable.setblocking(False)

    async def until(self, condition: Callable[[], object], within: float = DEADLINE) -> None:
        """Run the guest until ``condition`` holds. Raises AssertionError when it does not in time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            self.guest.work(self.clock.now())
            while frames := self.guest.take():
                octets = b"".join(struct.pack("!I", len(frame)) + frame for frame in frames)
                await asyncio.wait_for(loop.sock_sendall(self._cable, octets), within)
            if condition():
                return
            assert loop.time() < end, (
                f"not within {within} s; the journal ends with {self.notebook.events[-3:]}"
            )
            poll_at = self.guest.poll_at()
            pause = 0.1 if poll_at is None else max(0, min(poll_at - self.clock.now(), SECOND // 10)) / SECOND
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._read(), pause + 0.001)

    async def _read(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._cable, 1 << 20)
        if not data:
            raise EOFError("the stack closed the cable")
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[4:end]))
            del self._buffer[:end]
        self.guest.receive(frames, self.clock.now())

    async def lease(self) -> None:
        """Take an address by DHCP."""
        self.guest.send_dhcp(MessageType.DISCOVER)
        await self.until(lambda: self.guest.leases)
        offer = self.guest.leases[-1]
        self.guest.send_dhcp(MessageType.REQUEST, requested_address=offer.yiaddr, server_identifier=GATEWAY)
        await self.until(lambda: self.guest.leases[-1].type == MessageType.ACK)
        self.guest.take_address(self.guest.leases[-1].yiaddr)


@contextlib.asynccontextmanager
async def running(
    name: str, tmp_path: Path, *, mtu: int = 1500, resolv_conf: str = "", leased: bool = True
) -> AsyncIterator[Bench]:
    """A bench with the stack called ``name``; afterwards nothing of it may be left."""
    before = open_descriptors()
    tasks = asyncio.all_tasks()
    path = tmp_path / "resolv.conf"
    path.write_text(resolv_conf)
    notebook, clock = Notebook(), LabClock()
    stack = open_stack(
        name,
        StackOptions(recorder=notebook, clock=clock, seed=1, mtu=mtu, resolv_conf=path, artifacts=tmp_path),
    )
    await stack.start()
    plug = stack.plug("guest1", MAC, "cable")
    assert plug.fd is not None
    made = FakeGuest(mtu=mtu, now=clock.now())
    with socket.socket(fileno=os.dup(plug.fd)) as cable:
        plug.close()
        bench = Bench(stack, notebook, made, clock, cable)
        try:
            if leased:
                await bench.lease()
            yield bench
        finally:
            await stack.stop()
    assert asyncio.all_tasks() == tasks
    assert open_descriptors() == before


def open_descriptors() -> dict[int, str]:
    """Number and target of every descriptor of this process."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found[int(entry.name)] = entry.readlink().name
    return found


@contextlib.asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    address: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """A TCP server on the laptop's loopback; its port. Its connections end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(reader, writer)
        except asyncio.CancelledError:
            pass  # the bench is over
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, address, 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)
