"""The tunnel process as a process of the lab: started, ordered about, listened to, ended."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from guestnet.core.errors import LabError
from guestnet.system.forked import Forked, Spawner
from guestnet.world.vpn.messages import Changed, Failed, Open, Opened, Order, Report

_START_TIMEOUT: Final = 15.0


class TunnelProcess:
    """``on_change`` gets what clients tell; ``on_end`` a reason when the process ends that was not told
    to."""

    def __init__(
        self, spawner: Spawner, on_change: Callable[[Changed], None], on_end: Callable[[str], None]
    ) -> None:
        self._spawner = spawner
        self._on_change = on_change
        self._on_end = on_end
        self._process: Forked | None = None
        self._reading: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process, when it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def prepare(self) -> None:
        """Start it: that needs no world."""
        self._process = await self._spawner.start("guestnet.world.vpn.tunnels")

    async def open(self, orders: list[Open]) -> None:
        """Make these tunnels. Raises LabError naming the one that can't be."""
        process = self._process
        assert process is not None
        decoder = msgspec.json.Decoder[Report](Report)
        for order in orders:
            self.tell(order)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                for order in orders:
                    line = await process.stdout.readline()
                    answer = decoder.decode(line) if line else Failed(order.name, "the process ended")
                    if not isinstance(answer, Opened):
                        reason = answer.reason if isinstance(answer, Failed) else answer.news
                        raise LabError(f"vpns.{answer.name} can't start: {reason}", remedy="see lab.log")
        except TimeoutError as error:
            raise LabError(
                f"the tunnels were not there within {_START_TIMEOUT:.0f} s", remedy="see lab.log"
            ) from error
        self._reading = asyncio.create_task(self._read(process, decoder), name="tunnels")

    def tell(self, order: Order) -> None:
        """Give an order; what comes of it is told by ``on_change``."""
        if self._process is None:
            raise LabError("the tunnel process was not started")
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def stop(self) -> None:
        """End it and wait. Idempotent."""
        self._stopping = True
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, process: Forked, decoder: msgspec.json.Decoder[Report]) -> None:
        while line := await process.stdout.readline():
            report = decoder.decode(line)
            if isinstance(report, Changed):
                self._on_change(report)
        status = await process.wait()
        if not self._stopping:
            self._on_end(f"the tunnel process ended with status {status}")
