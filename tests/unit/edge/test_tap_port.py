"""The TAP port on a socketpair that keeps frames apart, as a TAP does."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from guestnet.core.port import Frame
from guestnet.edge.tap_port import BATCH, QUEUE_LIMIT, TapPort


class Ends:
    def __init__(self, queue_limit: int = QUEUE_LIMIT) -> None:
        ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.kernel.setblocking(False)
        self.batches: list[list[bytes]] = []
        self.dropped: list[tuple[int, str]] = []
        self.closed: list[str] = []
        self.port = TapPort(
            "cable",
            ours.detach(),
            offloads=False,
            receive=lambda batches: self.batches.extend(
                [bytes(frame) for frame in frames] for frames in batches
            ),
            dropped=self._drop,
            closed=self.closed.append,
            queue_limit=queue_limit,
        )

    def _drop(self, frames: Sequence[Frame], rule: str) -> None:
        self.dropped.append((len(frames), rule))

    def read_all(self) -> list[bytes]:
        frames = []
        try:
            while True:
                frames.append(self.kernel.recv(70000))
        except BlockingIOError:
            return frames

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 -- the port tells by plain callbacks
                await asyncio.sleep(0.001)


def test_what_waits_is_one_batch_up_to_a_bound() -> None:
    async def scenario() -> None:
        ends = Ends()
        # A socketpair holds fewer datagrams than a TAP device would.
        for number in range(5):
            ends.kernel.send(bytes([number]) * 60)
        await ends.until(lambda: ends.batches)
        assert ends.batches == [[bytes([number]) * 60 for number in range(5)]]
        assert len(ends.batches[0]) <= BATCH
        ends.port.close()
        ends.kernel.close()

    asyncio.run(scenario())


def test_each_frame_is_one_write_and_those_that_have_to_wait_keep_their_order() -> None:
    async def scenario() -> None:
        ends = Ends()
        frames = [number.to_bytes(4, "big") * 100 for number in range(500)]
        ends.port.send(frames[:300])
        ends.port.send(frames[300:])
        assert ends.port.queued > 0
        seen: list[bytes] = []

        def all_seen() -> bool:
            seen.extend(ends.read_all())
            return len(seen) == len(frames)

        await ends.until(all_seen)
        assert seen == frames
        assert ends.port.queued == 0
        ends.port.close()
        ends.kernel.close()

    asyncio.run(scenario())


def test_what_the_queue_cannot_hold_is_dropped_and_told() -> None:
    async def scenario() -> None:
        ends = Ends(queue_limit=10_000)
        ends.port.send([bytes(1000)] * 500)
        assert ends.port.queued <= 10_000
        ((count, rule),) = ends.dropped
        assert rule == "queue full"
        assert 0 < count < 500
        ends.port.close()
        ends.kernel.close()

    asyncio.run(scenario())


def test_a_device_that_is_gone_drops_frames_and_is_told_of() -> None:
    async def scenario() -> None:
        ends = Ends()
        ends.kernel.close()
        ends.port.send([b"x" * 60])
        assert ends.dropped[0][0] == 1
        ends.port.close()
        ends.port.close()

    asyncio.run(scenario())
