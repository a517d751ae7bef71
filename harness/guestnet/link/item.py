"""A frame on its way through a direction, with what the journal and the capture will want to know."""

from typing import TypeAlias

from guestnet.core.port import Frame

Item: TypeAlias = tuple[Frame, str, int, int]
"""The frame, what was done to it so far (for its comment), when it entered, and its packet id as of
``core.events.FrameDropped``. A tuple: there are many."""

Arrival: TypeAlias = tuple[int, Item]
"""When an item comes to the next stage, or leaves the last one."""


def noted(note: str, name: str) -> str:
    """``note`` with ``name`` added."""
    return f"{note}; {name}" if note else name
