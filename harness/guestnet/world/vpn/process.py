"""The tunnel process as a process of the lab: started, ordered about, listened to, ended."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from guestnet.core.errors import LabError
from guestnet.system.children import Children
from guestnet.system.forked import Spawner
from guestnet.system.orders import LINE_LIMIT, Ordered
from guestnet.world.vpn.messages import Changed, Failed, Open, Opened, Order, Report

_START_TIMEOUT: Final = 15.0
_NAME: Final = "tunnels"


class TunnelProcess:
    """``on_change`` gets what clients tell; ``on_end`` a reason when the process ends that was not told
    to."""

    def __init__(
        self, spawner: Spawner, on_change: Callable[[Changed], None], on_end: Callable[[str], None]
    ) -> None:
        self._spawner = spawner
        self._on_change = on_change
        self._children = Children(on_end)
        self._tunnels: Ordered[Report] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Of the process, when it runs."""
        return self._children.pids

    async def prepare(self) -> None:
        """Start it: that needs no world."""
        process = await self._spawner.start("guestnet.world.vpn.tunnels", limit=LINE_LIMIT)
        self._children.own(_NAME, process)
        self._tunnels = Ordered(process, msgspec.json.Decoder[Report](Report))

    async def open(self, orders: list[Open]) -> None:
        """Make these tunnels. Raises LabError naming the one that can't be."""
        tunnels = self._tunnels
        assert tunnels is not None
        for order in orders:
            tunnels.tell(order)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                for order in orders:
                    answer = await tunnels.report() or Failed(order.name, "the process ended")
                    if not isinstance(answer, Opened):
                        reason = answer.reason if isinstance(answer, Failed) else answer.news
                        raise LabError(f"vpns.{answer.name} can't start: {reason}", remedy="see lab.log")
        except TimeoutError as error:
            raise LabError(
                f"the tunnels were not there within {_START_TIMEOUT:.0f} s", remedy="see lab.log"
            ) from error
        self._children.follow(_NAME, tunnels.process, self._read(tunnels))

    def tell(self, order: Order) -> None:
        """Give an order; what comes of it is told by ``on_change``."""
        if self._tunnels is None:
            raise LabError("the tunnel process was not started")
        self._tunnels.tell(order)

    async def stop(self) -> None:
        """End it and wait. Idempotent."""
        await self._children.stop()

    async def _read(self, tunnels: Ordered[Report]) -> None:
        async for report in tunnels.each():
            if isinstance(report, Changed):
                self._on_change(report)
