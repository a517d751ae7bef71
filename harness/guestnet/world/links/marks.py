"""What was done to frames, from where an impaired tunnel lets them go to where they are captured.

Between devices that are not each other's peers, what comes down is captured as it arrives, after whatever
carries the tunnel; the engine has let it go at the other end. A frame is known again by its octets.
"""

from collections.abc import Sequence
from typing import Final

from guestnet.core.port import Frame
from guestnet.core.recorder import Mark

_LIMIT: Final = 4096
"""Frames under way that are known; of more the oldest give way, as do in the end those that were lost."""
_NONE: Final[Mark] = ("", 0)


class Marks:
    """Of frames that are under way."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, list[Mark]] = {}

    def put(self, frames: Sequence[Frame], comment: str, marks: Sequence[Mark]) -> None:
        """``frames`` begin their way, with ``marks`` or all with ``comment``."""
        for index, frame in enumerate(frames):
            mark = marks[index] if marks else (comment, 0)
            if mark == _NONE:
                continue
            self._under_way.setdefault(bytes(frame), []).append(mark)
            if len(self._under_way) > _LIMIT:
                del self._under_way[next(iter(self._under_way))]

    def take(self, frames: Sequence[Frame]) -> Sequence[Mark]:
        """Those of ``frames``, which have arrived; none when none of them is known."""
        if not self._under_way:
            return ()
        return [self._take(bytes(frame)) for frame in frames]

    def _take(self, frame: bytes) -> Mark:
        marks = self._under_way.get(frame)
        if marks is None:
            return _NONE
        if len(marks) == 1:
            del self._under_way[frame]
        return marks.pop(0)
