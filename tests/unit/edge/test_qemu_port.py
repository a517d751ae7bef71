"""QEMU's framing over a socketpair: batches, partial reads, bounds, ends."""

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence

import pytest

from guestnet.core.port import Frame
from guestnet.edge.qemu_port import BULK, READ_BUFFER, QemuPort, socket_pair
from guestnet.frames.run import Run


class Ends:
    """A port and the socket that plays QEMU."""

    def __init__(self, **options: int) -> None:
        ours, self.qemu = socket_pair()
        self.qemu.setblocking(False)
        self.batches: list[list[bytes]] = []
        self.kept: list[Frame] = []
        self.runs: list[Run] = []
        self.dropped: list[tuple[int, str]] = []
        self.closed: list[str] = []
        self.port = QemuPort(
            "cable", ours, receive=self._receive, dropped=self._drop, closed=self.closed.append, **options
        )
        # As small as on a machine with the usual net.core.wmem_max.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)

    @property
    def frames(self) -> list[bytes]:
        return [frame for batch in self.batches for frame in batch]

    def _receive(self, batches: Sequence[Sequence[Frame]]) -> None:
        frames = [frame for batch in batches for frame in batch]
        self.runs += [batch for batch in batches if isinstance(batch, Run)]
        self.batches.append([bytes(frame) for frame in frames])
        self.kept += frames

    def _drop(self, frames: Sequence[Frame], rule: str) -> None:
        self.dropped.append((len(frames), rule))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 -- the port tells by plain callbacks
                await asyncio.sleep(0.001)

    async def got(self, count: int) -> None:
        await self.until(lambda: len(self.frames) == count)

    async def read(self, count: int) -> bytes:
        """What QEMU reads."""
        data = b""
        async with asyncio.timeout(10):
            while len(data) < count:
                data += await asyncio.get_running_loop().sock_recv(self.qemu, count - len(data))
        return data

    def close(self) -> None:
        self.port.close()
        self.qemu.close()


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack("!I", len(frame)) + frame for frame in frames)


def go(scenario: Callable[[Ends], Awaitable[None]], **options: int) -> None:
    async def run() -> None:
        ends = Ends(**options)
        try:
            await scenario(ends)
        finally:
            ends.close()

    asyncio.run(run())


def test_all_frames_of_one_read_are_one_batch() -> None:
    async def scenario(ends: Ends) -> None:
        ends.qemu.send(framed(b"one", b"", b"three"))
        await ends.until(lambda: ends.batches)
        assert ends.batches == [[b"one", b"", b"three"]]

    go(scenario)


def test_frames_that_are_alike_come_as_runs_between_the_others() -> None:
    async def scenario(ends: Ends) -> None:
        rng = random.Random(8)
        alike = [b"e" * 14 + rng.randbytes(86) for _ in range(20)]
        other = b"f" * 14 + rng.randbytes(86)
        sent = [b"first", *alike[:9], other, *alike[9:], *[b"tiny"] * 20]
        ends.qemu.send(framed(*sent))
        await ends.until(lambda: len(ends.frames) == len(sent))
        assert ends.frames == sent
        assert [len(batch) for batch in ends.runs] == [9, 11]

    go(scenario)


def test_a_frame_in_pieces_is_put_together() -> None:
    async def scenario(ends: Ends) -> None:
        octets = framed(b"a" * 100, b"b" * 200)
        for at in range(0, len(octets), 37):
            ends.qemu.send(octets[at : at + 37])
            await asyncio.sleep(0)
        await ends.until(lambda: len(ends.frames) == 2)
        assert ends.frames == [b"a" * 100, b"b" * 200]

    go(scenario)


def test_a_stream_longer_than_the_buffer_arrives_whole_and_kept_frames_stay_as_they_were() -> None:
    async def scenario(ends: Ends) -> None:
        rng = random.Random(7)
        sent = [rng.randbytes(rng.choice([60, 1514, 9000, 65534])) for _ in range(300)]
        assert sum(map(len, sent)) > 4 * READ_BUFFER
        writing = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(ends.qemu, framed(*sent)))
        await ends.until(lambda: len(ends.frames) == len(sent))
        await writing
        assert ends.frames == sent
        assert [bytes(frame) for frame in ends.kept] == sent

    go(scenario)


def test_after_bulk_a_single_frame_comes_all_the_same() -> None:
    """Also when nothing more follows, and again and again."""

    async def scenario(ends: Ends) -> None:
        bulk, single = [bytes([7]) * 1514] * (2 * BULK // 1514), b"alone" * 20
        for turn in range(1, 4):
            ends.qemu.send(framed(*bulk))
            await ends.got(turn * (len(bulk) + 1) - 1)
            ends.qemu.send(framed(single))
            await ends.got(turn * (len(bulk) + 1))
        assert ends.frames == [*bulk, single] * 3

    go(scenario)


def test_a_qemu_that_leaves_in_the_midst_of_bulk_is_noticed() -> None:
    async def scenario(ends: Ends) -> None:
        ends.qemu.send(framed(*[bytes(1514)] * (2 * BULK // 1514)))
        await ends.until(lambda: ends.frames)
        ends.qemu.close()
        await ends.until(lambda: ends.closed)
        assert ends.closed == ["the other end closed the cable"]

    go(scenario)


def test_a_port_closed_in_the_midst_of_bulk_gives_nothing_more() -> None:
    async def scenario(ends: Ends) -> None:
        bulk = framed(*[bytes(1514)] * (2 * BULK // 1514))
        ends.qemu.send(bulk)
        await ends.until(lambda: ends.frames)
        ends.port.close()
        count = len(ends.frames)
        with pytest.raises(BrokenPipeError):
            ends.qemu.send(bulk)
        await asyncio.sleep(0)
        assert (len(ends.frames), ends.closed) == (count, [])

    go(scenario)


def test_frames_are_sent_with_their_length() -> None:
    async def scenario(ends: Ends) -> None:
        frames = [bytes([number % 256]) * (number + 1) for number in range(1500)]
        ends.port.send(frames)
        expected = framed(*frames)
        assert await ends.read(len(expected)) == expected

    go(scenario)


def test_what_the_socket_does_not_take_is_sent_later_in_order() -> None:
    async def scenario(ends: Ends) -> None:
        frames = [bytes([number % 256]) * 1514 for number in range(2000)]
        ends.port.send(frames[:1000])
        ends.port.send(frames[1000:])
        assert ends.port.queued > 0
        expected = framed(*frames)
        assert await ends.read(len(expected)) == expected
        await ends.until(lambda: ends.port.queued == 0)
        assert ends.dropped == []

    go(scenario)


def test_what_the_queue_cannot_hold_is_dropped_and_told_and_the_stream_stays_whole() -> None:
    async def scenario(ends: Ends) -> None:
        frames = [number.to_bytes(4, "big") * 375 for number in range(2000)]
        ends.port.send(frames)
        ((count, rule),) = ends.dropped
        assert rule == "queue full"
        assert ends.port.queued <= 100_000
        kept = frames[: len(frames) - count]
        assert await ends.read(len(framed(*kept))) == framed(*kept)
        ends.port.send([b"after"])
        assert await ends.read(9) == framed(b"after")

    go(scenario, queue_limit=100_000)


def test_the_end_of_the_cable_is_told_once() -> None:
    async def scenario(ends: Ends) -> None:
        ends.qemu.send(framed(b"last"))
        ends.qemu.close()
        await ends.until(lambda: ends.closed)
        assert ends.frames == [b"last"]
        assert ends.closed == ["the other end closed the cable"]

    go(scenario)


def test_who_does_not_speak_the_framing_is_cut_off() -> None:
    async def scenario(ends: Ends) -> None:
        ends.qemu.send(b"GET / HTTP/1.1\r\n\r\n")
        await ends.until(lambda: ends.closed)
        assert "framing" in ends.closed[0]
        assert ends.frames == []

    go(scenario)


def test_a_cable_that_broke_while_sending_is_told() -> None:
    async def scenario(ends: Ends) -> None:
        ends.qemu.close()
        ends.port.send([b"x"])
        await ends.until(lambda: ends.closed)
        assert len(ends.closed) == 1
        ends.port.close()

    go(scenario)


def test_a_port_needs_a_running_loop() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError):
        QemuPort("cable", ours, receive=lambda _: None, dropped=lambda *_: None, closed=lambda _: None)
