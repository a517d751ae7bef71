"""What the lab knows of a VPN's client: how it is, and who drives it at the moment."""

import asyncio
from typing import Literal

from harness.world.vpn.devices import Numbers
from harness.world.vpn.model import Vpn

Status = Literal["down", "up", "lost"]
"""Lost: it was up, the concentrator is dead, and the client tries on."""


class Client:
    """One VPN's. Whoever changes it holds ``turn``; ``established`` is what a connect waits for."""

    def __init__(self, name: str, vpn: Vpn, numbers: Numbers) -> None:
        self.name = name
        self.vpn = vpn
        self.numbers = numbers
        self.status: Status = "down"
        self.source = ""
        self.turn = asyncio.Lock()
        self.established: asyncio.Future[None] | None = None
