"""What a link says about the frames that it was offered, or that it held until now."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from msgspec import Struct

from harness.core.events import Event
from harness.core.port import Frame
from harness.link.quantities import show_duration

DROPPED: Final = "-dropped"
"""After a link's name: the interface of a capture that holds what the link dropped."""


class Dropped(NamedTuple):
    """A frame that did not get through, and the rule that dropped it."""

    frame: Frame
    rule: str


class Passed(Struct, frozen=True):
    """``frames`` leave now at the other end, in this order; ``answers`` at the end where frames came in.

    ``dropped`` are for the capture alone: ``events`` tells the journal of them too. ``held`` and ``notes``,
    when they are not empty, tell of each frame how many nanoseconds it was held and what else was done to
    it; ``by`` names what held it.
    """

    frames: Sequence[Frame] = ()
    events: Sequence[Event] = ()
    dropped: Sequence[Dropped] = ()
    answers: Sequence[Frame] = ()
    held: Sequence[int] = ()
    notes: Sequence[str] = ()
    by: str = ""

    def groups(self) -> Iterator[tuple[Sequence[Frame], str]]:
        """The frames with the comment of each for a capture, "" for those that passed at once; in order.

        Frames that follow each other with the same comment come together.
        """
        if not self.held:
            if self.frames:
                yield self.frames, ""
            return
        told = zip(self.held, self.notes, self.frames, strict=True)
        for (held, note), group in groupby(told, key=itemgetter(0, 1)):
            yield [frame for _, _, frame in group], self._comment(held, note)

    def lost(self) -> Iterator[tuple[Sequence[Frame], str]]:
        """What was dropped, with the rule: as of ``groups``."""
        for rule, group in groupby(self.dropped, key=lambda one: one.rule):
            yield [one.frame for one in group], rule

    def _comment(self, held: int, note: str) -> str:
        if not held:
            return note
        delayed = f"held {show_duration(held)}" + (f" by {self.by}" if self.by else "")
        return f"{note}; {delayed}" if note else delayed


NOTHING: Final = Passed()
