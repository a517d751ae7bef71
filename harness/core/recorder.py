"""Where events and frames are written down. The edge holds one; the pure core returns events instead."""

from collections.abc import Sequence
from typing import Literal, Protocol

from harness.core.events import Event
from harness.core.port import Frame

Direction = Literal["up", "down"]
"""Of a frame on a link: "up" is away from the guest, "down" is towards it."""


class Recorder(Protocol):
    """The journal and the capture of one lab. Writing is buffered and never fails because a disk is slow."""

    def event(self, event: Event) -> None:
        """Append ``event`` to the journal."""

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", packet_ids: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """Append ``frames``, seen on ``link`` at ``now``, to the capture; ``comment`` names their verdict.

        ``packet_ids``, if there are any, are those that the journal names each of them by.
        """
