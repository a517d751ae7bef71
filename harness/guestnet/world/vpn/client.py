"""What the lab knows of a VPN's client: how it is, and who drives it at the moment."""

import asyncio
from typing import Final, NamedTuple

from guestnet.world.described.vpn import Status, Vpn

_FIRST_MARK: Final = 51820
_FIRST_PRIORITY: Final = 30000


class Numbers(NamedTuple):
    """What belongs to the ``number``-th VPN of a world, counted from 0."""

    number: int

    @property
    def mark(self) -> int:
        """Of the tunnel's datagrams; the table of routes has the same number."""
        return _FIRST_MARK + self.number

    @property
    def priority(self) -> int:
        """Of the first of two rules."""
        return _FIRST_PRIORITY + 2 * self.number


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

    @property
    def is_trying(self) -> bool:
        """Whether it is to be up, and is not."""
        return self.status in ("connecting", "lost")
