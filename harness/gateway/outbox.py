"""What one turn puts out, gathered in order until ``Gateway.handle`` returns it."""

from collections.abc import Sequence

from harness.core.events import Event as JournalEvent
from harness.core.port import Frame
from harness.gateway.commands import Command, Record, SendFrames


class Outbox:
    """Shared by all parts of one gateway."""

    __slots__ = ("_commands", "_frames")

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._frames: list[Frame] = []

    def command(self, command: Command) -> None:
        """For the edge, after the commands before."""
        self._commands.append(command)

    def record(self, event: JournalEvent) -> None:
        """For the journal."""
        self._commands.append(Record(event))

    def frames(self, frames: Sequence[Frame]) -> None:
        """For the guests' ethernet."""
        self._frames += frames

    def take(self) -> list[Command]:
        """Everything since the last call; the frames last, as one batch."""
        commands, self._commands = self._commands, []
        if self._frames:
            commands.append(SendFrames(self._frames))
            self._frames = []
        return commands
