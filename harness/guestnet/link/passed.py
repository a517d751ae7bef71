"""What a link says about the frames that it was offered, or that it held until now."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from guestnet.core.events import Event
from guestnet.core.port import Frame
from guestnet.core.recorder import Mark
from guestnet.link.quantities import show_duration

ANSWER: Final = "answer of the link"
"""What marks an answer in a capture."""
DROPPED: Final = "-dropped"
"""After a link's name: the interface of a capture that holds what the link dropped."""


class Dropped(NamedTuple):
    """A frame that did not get through, the rule that dropped it, and its packet id."""

    frame: Frame
    rule: str
    packet_id: int


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

    def marks(self) -> list[Mark]:
        """What marks each frame in a capture: ("", 0) those that passed at once, or no marks when all did."""
        fates = list(zip(self.held, self.notes, self.by, strict=True))
        if fates and fates.count(fates[0]) == len(fates) and any(fates[0][:2]):
            comment = _comment(*fates[0])
            return [(comment, packet_id) for packet_id in self.packet_ids]
        marks: list[Mark] = []
        held, note, by, comment = 0, "", "", ""
        for (its_held, its_note, its_by), packet_id in zip(fates, self.packet_ids, strict=True):
            if not its_held and not its_note:
                marks.append(("", 0))
                continue
            if its_held != held or its_note != note or its_by != by:
                held, note, by = its_held, its_note, its_by
                comment = _comment(held, note, by)
            marks.append((comment, packet_id))
        return marks

    def lost(self) -> tuple[list[Frame], list[Mark]]:
        """What was dropped, with the rules: as of ``marks``."""
        return [one[0] for one in self.dropped], [one[1:] for one in self.dropped]


def _comment(held: int, note: str, by: str) -> str:
    if not held:
        return note
    delayed = f"held {show_duration(held)}" + (f" by {by}" if by else "")
    return f"{note}; {delayed}" if note else delayed


NOTHING: Final = Passed()
