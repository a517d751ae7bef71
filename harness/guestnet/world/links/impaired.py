"""A link of the world while something is wrong with it: frames in, the link's engine, frames out.

Frames are offered with the times at which they left their host, so that what is held leaves when it should,
however late we looked; only our own lateness at the end of a delay is seen. They are captured as they come
out, as on a guest's cable; what the link drops is captured on an interface of its own.
"""

import asyncio
import errno
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark, Recorder
from guestnet.edge.clock import LabClock
from guestnet.link.link import DIRECTIONS, Link
from guestnet.link.passed import ANSWER, DROPPED, Passed
from guestnet.link.verdicts import dropped
from guestnet.world.links.diversion import Diversion
from guestnet.world.links.marks import Marks
from guestnet.world.links.ring import Ring, Sender

_LIMIT: Final = 256
"""Frames of one turn: then others have theirs."""
_TOGETHER: Final = 50_000
"""Nanoseconds within which frames are offered as one batch, if nothing would tell."""
_LOST: Final = {
    errno.ENETDOWN: "interface down",
    errno.ENXIO: "interface gone",
    errno.ENODEV: "interface gone",
    errno.EMSGSIZE: "longer than the interface's MTU",
    errno.ENOBUFS: "interface full",
    errno.EAGAIN: "interface full",
    # What WireGuard's interface answers (wg_xmit of drivers/net/wireguard/device.c).
    errno.ENOKEY: "no peer of the interface has the address",
    errno.EDESTADDRREQ: "the interface's peer is nowhere",
    errno.EPROTONOSUPPORT: "not IP",
}
"""Why a frame that the link let through could not be sent."""


class ImpairedLink:
    """Between the two sides of ``diversion``, the first of them at the laptop's end; ``link`` is its engine.

    ``rearm`` is called when the link may want to be called earlier than it has said. What gets through is
    captured here, unless it is told of in ``arriving``: then what goes down is captured where it arrives.
    """

    def __init__(
        self,
        link: Link,
        diversion: Diversion,
        recorder: Recorder,
        clock: LabClock,
        rearm: Callable[[], None],
        arriving: Marks | None = None,
    ) -> None:
        self.link = link
        self.diversion = diversion
        self._recorder = recorder
        self._clock = clock
        self._rearm = rearm
        self._arriving = arriving
        self._loop = asyncio.get_running_loop()
        near, far = diversion.sides
        self._rings: dict[Direction, Ring] = {"up": near.ring, "down": far.ring}
        self._senders: dict[Direction, Sender] = {"up": near.sender, "down": far.sender}
        self._last = {"up": 0, "down": 0}
        for direction in DIRECTIONS:
            self._loop.add_reader(self._rings[direction], self._on_readable, direction)

    def sweep(self) -> None:
        """Take in all that has come so far."""
        for direction in DIRECTIONS:
            self._read(direction)

    def due(self) -> None:
        """Send what is due."""
        # What came before goes in before.
        self.sweep()
        now = self._clock.now()
        for direction in DIRECTIONS:
            self._carry(direction, self.link.due(direction, now), now)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is set, held or still to be told."""
        link = self.link
        return not any(link.is_impaired(direction) for direction in DIRECTIONS) and link.poll_at() is None

    def missed(self) -> int:
        """How many frames since the last call were lost for want of room, by no rule."""
        return sum(ring.missed() for ring in self._rings.values())

    def close(self) -> None:
        """Stop reading; ring and sender are the diversion's."""
        for ring in self._rings.values():
            self._loop.remove_reader(ring)

    def _on_readable(self, direction: Direction) -> None:
        self._rings[direction].forgive()
        self._read(direction)
        self._rearm()

    def _read(self, direction: Direction) -> None:
        for frames, at in self._batches(direction):
            self._carry(direction, self.link.offer(direction, frames, at), at)

    def _batches(self, direction: Direction) -> Iterator[tuple[list[Frame], int]]:
        """Frames that came at about the same time, with that time on the lab's clock."""
        offset = self._clock.now() - time.time_ns()
        frames: list[Frame] = []
        first = 0
        for arrival in self._rings[direction].read(_LIMIT):
            if frames and arrival.at - first > _TOGETHER:
                yield frames, self._at(direction, first + offset)
                frames = []
            if not frames:
                first = arrival.at
            frames.append(arrival.octets)
        if frames:
            yield frames, self._at(direction, first + offset)

    def _at(self, direction: Direction, at: int) -> int:
        """``at``, but never back and never in the future, whatever is done to the machine's clock."""
        at = self._last[direction] = max(min(at, self._clock.now()), self._last[direction])
        return at

    def _carry(self, direction: Direction, passed: Passed, now: int) -> None:
        if passed.frames:
            self._send(direction, passed.frames, now, marks=passed.marks())
        if passed.answers:
            self._send("down" if direction == "up" else "up", passed.answers, now, ANSWER)
        if passed.dropped:
            frames, marks = passed.lost()
            self._recorder.frames(self.link.name + DROPPED, direction, frames, now, marks=marks)
        for event in passed.events:
            self._recorder.event(event)

    def _send(
        self,
        direction: Direction,
        frames: Sequence[Frame],
        now: int,
        comment: str = "",
        marks: Sequence[Mark] = (),
    ) -> None:
        send = self._senders[direction].send
        for index, frame in enumerate(frames):
            try:
                send(frame)
            except OSError as error:
                self._lose(direction, frames[index:], error, now)
                frames, marks = frames[:index], marks[:index]
                break
        if direction == "down" and self._arriving is not None:
            self._arriving.put(frames, comment, marks)
        elif frames:
            self._recorder.frames(self.link.name, direction, frames, now, comment, marks)

    def _lose(self, direction: Direction, frames: Sequence[Frame], error: OSError, now: int) -> None:
        if error.errno not in _LOST:
            raise error
        rule = _LOST[error.errno]
        for event in dropped(self.link.name, rule, frames, now):
            self._recorder.event(event)
        self._recorder.frames(self.link.name + DROPPED, direction, frames, now, rule)
