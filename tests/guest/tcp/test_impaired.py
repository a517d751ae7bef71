"""A QEMU guest's TCP with its options off and on, through a cable that loses and holds up frames."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from guestnet.core.address import Mac
from guestnet.core.events import Event
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark
from guestnet.edge.clock import LabClock
from guestnet.guest import image, snapshot
from guestnet.guest.accelerator import choose
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Cable, Machine, find_qemu
from guestnet.guest.qemu import QemuGuest
from guestnet.journal.capturing import CaptureWriter
from guestnet.link.passed import DROPPED
from guestnet.link.settings import Uniform, impairments
from guestnet.stacks.base import StackOptions
from guestnet.stacks.builtin import BuiltinStack
from tests.support.bench import serving
from tests.support.expert import complaints

pytestmark = pytest.mark.guest

MAC = Mac.parse("52:54:00:65:00:01")
SIZE = 150_000
CASES: dict[str, dict[str, object]] = {
    "as it comes": {},
    "without options": {"tcp_sack": 0, "tcp_timestamps": 0, "tcp_window_scaling": 0, "tcp_dsack": 0},
    "reno with ECN": {"tcp_congestion_control": "reno", "tcp_ecn": 1, "tcp_timestamps": 0},
    "SACK alone": {"tcp_timestamps": 0, "tcp_window_scaling": 0, "tcp_dsack": 0, "tcp_mtu_probing": 2},
    "timestamps alone": {"tcp_sack": 0, "tcp_window_scaling": 0, "tcp_ecn": 1, "tcp_mtu_probing": 1},
}
AS_IT_COMES: dict[str, object] = {
    "tcp_sack": 1, "tcp_timestamps": 1, "tcp_window_scaling": 1, "tcp_dsack": 1, "tcp_ecn": 2,
    "tcp_mtu_probing": 0, "tcp_congestion_control": "cubic",
}  # fmt: skip


class Film:
    """A ``Recorder`` of frames alone."""

    def __init__(self, path: Path) -> None:
        self.writer = CaptureWriter(path, say=pytest.fail, ended=pytest.fail)
        self.lost: dict[Direction, int] = {"up": 0, "down": 0}

    def event(self, event: Event) -> None:
        """As of ``Recorder``."""

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        """As of ``Recorder``; what was dropped is counted."""
        if link == "cable" + DROPPED:
            self.lost[direction] += len(frames)
        else:
            self.writer.frames(link, direction, frames, now, comment, marks)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    await reader.read()


async def succeed(guest: QemuGuest, command: str) -> None:
    result = await guest.run(command, timeout=90)
    assert result.status == 0, result


async def exchange(guest: QemuGuest, port: int, changed: dict[str, object]) -> None:
    """``SIZE`` octets there and back at the same time, intact."""
    settings = " ".join(f"net.ipv4.{name}={value}" for name, value in (AS_IT_COMES | changed).items())
    files = "OPEN:/run/up,rdonly!!OPEN:/run/down,wronly,creat,trunc"
    await succeed(guest, f"sysctl -q -w {settings}")
    await succeed(guest, f"socat -t 60 {files} TCP:192.168.65.2:{port} && cmp /run/up /run/down")


def test_each_option_off_and_on_through_an_impaired_cable(tmp_path: Path) -> None:
    film = Film(tmp_path / "capture.pcapng")
    weather = impairments(loss=0.02, delay=Uniform("0ms", "3ms"), keep_order=False)

    async def main() -> None:
        clock = LabClock()
        stack = BuiltinStack(StackOptions(recorder=film, clock=clock, seed=1))
        await stack.start()
        try:
            plug = stack.plug("guest1", MAC, "cable")
            cable = Cable(descriptor=plug.fd)
            machine = msgspec.structs.replace(await a_machine(), cable=cable, mac=str(MAC))
            guest = await snapshot.start(machine, Cache())
            plug.close()
            async with guest, serving(echo) as port:
                await succeed(guest, "until [ -e /run/lease.env ]; do usleep 20000; done")
                await succeed(guest, f"head -c {SIZE} /dev/urandom >/run/up")
                await stack.cables.impair("cable", weather, None)
                for changed in CASES.values():
                    await exchange(guest, port, changed)
        finally:
            await stack.stop()
            film.writer.close(clock.now())

    asyncio.run(main())
    assert all(lost > 5 for lost in film.lost.values())
    assert complaints(tmp_path / "capture.pcapng") == ""


async def a_machine() -> Machine:
    cache = Cache()
    qemu, built = find_qemu(cache), image.build("tiny", cache)
    return Machine(built, qemu, await choose(cache, qemu, built), Cable(netdev="user"))
