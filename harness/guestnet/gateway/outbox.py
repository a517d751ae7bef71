"""What one turn puts out, gathered in order until ``Gateway.handle`` returns it."""

from collections.abc import Sequence

from guestnet.core.events import Event as JournalEvent
from guestnet.core.port import Frame
from guestnet.frames.run import Run
from guestnet.frames.train import Train
from guestnet.gateway.commands import Command, Record, SendFrames


class Outbox:
    """Shared by all parts of one gateway."""

    __slots__ = ("_batches", "_commands")

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._batches: list[Run | Train | list[Frame]] = []

    def command(self, command: Command) -> None:
        """For the edge, after the commands before."""
        self._commands.append(command)

    def record(self, event: JournalEvent) -> None:
        """For the journal."""
        self._commands.append(Record(event))

    def frames(self, frames: Sequence[Frame]) -> None:
        """For the guests' ethernet."""
        if type(frames) is not list and isinstance(frames, (Run, Train)):  # the latter takes its time
            self._batches.append(frames)
        elif self._batches and isinstance(self._batches[-1], list):
            self._batches[-1] += frames
        else:
            self._batches.append(list(frames))

    def take(self) -> list[Command]:
        """Everything since the last call; the frames last."""
        commands, self._commands = self._commands, []
        if self._batches:
            commands += map(SendFrames, self._batches)
            self._batches = []
        return commands
