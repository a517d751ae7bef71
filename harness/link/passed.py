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
    """A frame that did not get through, the rule that dropped it, and its packet id."""

    frame: Frame
    rule: str
    packet_id: int


class Mark(NamedTuple):
    """What marks frames in a capture, as ``Recorder.frames`` takes it: a comment, the packet id of each."""

    comment: str = ""
    packet_ids: Sequence[int] = ()


UNMARKED: Final = Mark()
ANSWER: Final = Mark("answer of the link")


class Passed(Struct, frozen=True):
    """``frames`` leave now at the other end, in this order; ``answers`` at the end where frames came in.

    ``dropped`` are for the capture alone: ``events`` tells the journal of them too. ``held`` and ``notes``,
    when they are not empty, tell of each frame how many nanoseconds it was held and what else was done to
    it; ``by`` names what held it, ``packet_ids`` are as of ``core.events.FrameDropped``.
    """

    frames: Sequence[Frame] = ()
    events: Sequence[Event] = ()
    dropped: Sequence[Dropped] = ()
    answers: Sequence[Frame] = ()
    held: Sequence[int] = ()
    notes: Sequence[str] = ()
    by: Sequence[str] = ()
    packet_ids: Sequence[int] = ()

    def groups(self) -> Iterator[tuple[Sequence[Frame], Mark]]:
        """The frames with what marks them in a capture, nothing for those that passed at once; in order.

        Frames that follow each other with the same comment come together.
        """
        if not self.held:
            if self.frames:
                yield self.frames, UNMARKED
            return
        told = zip(self.held, self.notes, self.by, self.frames, self.packet_ids, strict=True)
        for (held, note, by), group in groupby(told, key=itemgetter(0, 1, 2)):
            _, _, _, frames, packet_ids = zip(*group, strict=True)
            yield list(frames), Mark(_comment(held, note, by), packet_ids) if held or note else UNMARKED

    def lost(self) -> Iterator[tuple[Sequence[Frame], Mark]]:
        """What was dropped, with the rule: as of ``groups``."""
        for rule, group in groupby(self.dropped, key=itemgetter(1)):
            frames, _, packet_ids = zip(*group, strict=True)
            yield list(frames), Mark(rule, packet_ids)


def _comment(held: int, note: str, by: str) -> str:
    if not held:
        return note
    delayed = f"held {show_duration(held)}" + (f" by {by}" if by else "")
    return f"{note}; {delayed}" if note else delayed


NOTHING: Final = Passed()
