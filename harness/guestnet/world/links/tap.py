"""What passes on a link, for the capture, read beside it.

A link that carries nothing costs nothing. One that carries much wakes the lab once in a while, not with every
frame: times are the kernel's, so nobody sees the difference, and whoever wants to know all that has passed so
far calls `sweep`. Of bulk data that comes too quickly the capture has the beginnings and lengths of frames as
the kernel has them, before they are cut. What the ring can't hold at all is told of; the link carries it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction
from guestnet.edge.clock import LabClock
from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.journal.recording import FileRecorder
from guestnet.world.links.marks import Marks
from guestnet.world.links.ring import Arrival, Ring

SIZE: Final = 1600
"""Octets that a slot has room for at least; the few longer frames have a queue."""
SLOTS: Final = 512
_PAUSE: Final = 0.002
"""Seconds between two looks at a link that carries much."""
_LIMIT: Final = 4 * SLOTS
"""Frames of one look."""
_TOGETHER: Final = 20_000
"""Nanoseconds within which frames of one direction are written with one time."""


class Tap:
    """Of the link ``name``; "up" is what leaves by the device of ``ring``, which the tap owns from now on.

    ``keeps`` says how many octets of a frame the capture keeps: of those that are cut anyway, segments that
    the kernel has not cut yet stay whole. ``marks`` are of frames under way that will arrive here.
    """

    def __init__(
        self,
        name: str,
        ring: Ring,
        recorder: FileRecorder,
        clock: LabClock,
        keeps: Callable[[], int],
        marks: Marks | None = None,
    ) -> None:
        self._name = name
        self._ring = ring
        self._recorder = recorder
        self._clock = clock
        self._keeps = keeps
        self._marks = marks
        if keeps() <= SIZE:
            ring.keep_beginnings()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ring, self._on_readable)
        self._pause: asyncio.TimerHandle | None = None

    def sweep(self) -> int:
        """Write down all that has passed; how many frames the kernel had no room for since the last time."""
        if self._keeps() <= SIZE:
            self._ring.keep_beginnings()
        offset = self._clock.now() - time.time_ns()
        batch: list[Frame] = []
        since, direction = 0, False
        for arrival in self._ring.read(_LIMIT):
            if batch and (arrival.outgoing is not direction or arrival.at - since > _TOGETHER):
                self._write(direction, batch, since + offset)
                batch = []
            if not batch:
                since, direction = arrival.at, arrival.outgoing
            frame = self._frame(arrival)
            if frame is None or isinstance(frame, Train):
                self._write(direction, batch, since + offset)
                batch = []
            if frame is None:
                self._write_beginning(arrival, arrival.at + offset)
            elif isinstance(frame, Train):
                for part in frame.cut():
                    self._write(direction, part, arrival.at + offset)
            else:
                batch.append(frame)
        self._write(direction, batch, since + offset)
        return self._ring.missed()

    def close(self) -> None:
        """Stop looking. Idempotent."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._loop.remove_reader(self._ring)
        self._ring.close()

    def _frame(self, arrival: Arrival) -> Frame | Train | None:
        """None when only its beginning is there."""
        octets = arrival.octets
        frame = octets[arrival.lead :]
        if len(frame) < arrival.length:
            return None
        if len(frame) > self._keeps():
            return frame
        try:
            return virtio.receive(octets)
        except WireError:
            # A frame of a kind that we never offered to take uncut (UDP): as the kernel has it.
            return frame

    def _write(self, outgoing: bool, frames: Sequence[Frame], at: int) -> None:
        if frames:
            direction: Direction = "up" if outgoing else "down"
            marks = () if outgoing or self._marks is None else self._marks.take(frames)
            self._recorder.frames(self._name, direction, frames, min(at, self._clock.now()), marks=marks)

    def _write_beginning(self, arrival: Arrival, at: int) -> None:
        direction: Direction = "up" if arrival.outgoing else "down"
        octets = bytes(arrival.octets[arrival.lead :])
        self._recorder.beginning(self._name, direction, octets, arrival.length, min(at, self._clock.now()))

    def _on_readable(self) -> None:
        self._ring.forgive()
        self.sweep()
        self._loop.remove_reader(self._ring)
        self._pause = self._loop.call_later(_PAUSE, self._watch)

    def _watch(self) -> None:
        self._pause = None
        self._loop.add_reader(self._ring, self._on_readable)
