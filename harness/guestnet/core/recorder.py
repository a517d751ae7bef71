"""Where events and frames are written down. The edge holds one; the pure core returns events instead."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from guestnet.core.events import Event
from guestnet.core.port import Frame

Direction = Literal["up", "down"]
"""Of a frame on a link: "up" is away from the guest, "down" is towards it."""

Mark: TypeAlias = tuple[str, int]
"""Of a frame in the capture: a comment that names its verdict, and the packet id that the journal has for it;
"" and 0 for one that has neither."""


class Recorder(Protocol):
    """The journal and the capture of one lab. Writing is buffered and never fails because a disk is slow."""

    def event(self, event: Event) -> None:
        """Append ``event`` to the journal."""

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        """Append ``frames``, seen on ``link`` at ``now``, to the capture.

        ``comment`` goes to all; ``marks``, if there are any, in its place to each its own.
        """
