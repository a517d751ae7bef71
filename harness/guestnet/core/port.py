"""The end of an ethernet cable, as everything that carries frames sees it."""

from collections.abc import Sequence
from typing import Protocol

Frame = bytes | bytearray | memoryview
"""An ethernet frame without its frame check sequence. Whoever gets one may keep it: nobody changes it."""


class Port(Protocol):
    """Takes frames towards a guest. Those from it reach the receiver that its maker was given, in batches."""

    name: str
    takes_trains: bool
    """Whether a ``wire.train`` given to ``send`` leaves as it is; else it would be cut there."""

    def send(self, frames: Sequence[Frame]) -> None:
        """Queue ``frames`` in order; never blocks. What its queue can't hold is dropped and journaled."""

    def close(self) -> None:
        """Let go of the cable. Sending afterwards is an error of the caller."""
