"""What can be impaired, as whoever does it sees it: a number of links, by their names."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from guestnet.core.recorder import Direction
from guestnet.link.settings import Impairments, Schedule

Settings: TypeAlias = tuple[Impairments, Impairments]
"""Of "up" and of "down"."""


class Impairable(Protocol):
    """Links that share an owner: those of the world, or the cables of a stack.

    Every method raises DescriptionError when there is no link of that ``name``, or nobody at its end.
    """

    def settings(self, name: str) -> Settings:
        """What is set now."""

    async def impair(self, name: str, settings: Impairments, direction: Direction | None) -> None:
        """Set what ``settings`` sets in ``direction`` or both; all else stays."""

    async def put(self, name: str, settings: Settings) -> None:
        """Let exactly ``settings`` be set."""

    async def clear(self, name: str, settings: Sequence[str], direction: Direction | None) -> None:
        """Take back ``settings``, or all and the schedule when there are none, in ``direction`` or both."""

    async def schedule(self, name: str, schedule: Schedule | None) -> None:
        """Follow ``schedule`` from now on, in place of the former one; None: no longer."""
