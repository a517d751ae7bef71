"""A frame on its way through a direction, with what the journal and the capture will want to know."""

from typing import Protocol, TypeAlias

from harness.core.port import Frame
from harness.link.verdicts import Verdicts

Item: TypeAlias = tuple[Frame, str, int]
"""The frame, what was done to it so far (for its comment), and when it entered. A tuple: there are many."""

Arrival: TypeAlias = tuple[int, Item]
"""When an item comes to the next stage, or leaves the last one."""


class EntryRule(Protocol):
    """Decides over frames as they enter, at once."""

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What goes on, in order."""


def noted(note: str, name: str) -> str:
    """``note`` with ``name`` added."""
    return f"{note}; {name}" if note else name
