"""The gateway and a fake guest in virtual time, with the edge played by the test: events in, commands out."""

import errno
from collections.abc import Callable
from typing import TypeVar

from guestnet.core.events import Event as JournalEvent
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.commands import Command
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.gateway import Gateway
from guestnet.wire.ipv4 import ip4
from tests.support.fake_guest import FakeGuest

START = 1_700_000_000 * SECOND
SERVER = ip4("203.0.113.10")
REFUSED = errno.ECONNREFUSED

C = TypeVar("C")
J = TypeVar("J", bound=JournalEvent)


class Bench:
    """Runs until nothing moves. ``takes`` says how many octets a host socket takes of a Send (None: all)."""

    def __init__(self, config: GatewayConfig | None = None, guest: FakeGuest | None = None) -> None:
        self.gateway = Gateway(config or GatewayConfig())
        self.guest = guest or FakeGuest()
        if not any(self.guest.address):
            self.guest.take_address(ip4("192.168.65.3"))
        self.now = START
        self.guest.now = START
        self.commands: list[Command] = []
        self.journal: list[JournalEvent] = []
        self.takes: Callable[[int], int] | None = None
        self.sent: dict[int, bytearray] = {}

    def tell(self, *happened: events.Event) -> None:
        """The edge reports; everything that follows from it happens."""
        self._handle([*happened])
        self.settle()

    def settle(self) -> None:
        """Carry frames between guest and gateway until both are silent."""
        self.guest.work(self.now)
        while frames := self.guest.take():
            self._handle([events.FramesReceived(frames)])
            self.guest.work(self.now)

    def advance(self, nanoseconds: int) -> None:
        """Let lab time pass; every timer in between goes off at its time."""
        until = self.now + nanoseconds
        while True:
            times = [at for at in (self.gateway.poll_at(), self.guest.poll_at()) if at is not None]
            at = min(times, default=until)
            if at > until:
                break
            self.now = max(self.now, at)
            self._handle([])
            self.settle()
            if not times or self.now >= until:
                break
        self.now = self.guest.now = until

    def take(self, kind: type[C]) -> C:
        """The first command of ``kind``, which is taken off the list."""
        for index, command in enumerate(self.commands):
            if isinstance(command, kind):
                del self.commands[index]
                return command
        raise AssertionError(f"no {kind.__name__} among {self.commands}")

    def has(self, kind: type[object]) -> bool:
        """Whether such a command was given and not yet taken."""
        return any(isinstance(command, kind) for command in self.commands)

    def noted(self, kind: type[J]) -> list[J]:
        """The journal's events of ``kind``."""
        return [event for event in self.journal if isinstance(event, kind)]

    def _handle(self, happened: list[events.Event]) -> None:
        while True:
            following: list[events.Event] = []
            for command in self.gateway.handle(happened, self.now):
                if isinstance(command, commands.SendFrames):
                    self.guest.receive(list(command.frames), self.now)
                elif isinstance(command, commands.Record):
                    self.journal.append(command.event)
                elif isinstance(command, commands.Send):
                    following.append(self._take_octets(command))
                else:
                    self.commands.append(command)
            if not following:
                break
            happened = following
        # A part that wants to be called must not be forgotten over turns in which it had no part.
        parts = (self.gateway.tcp, self.gateway.udp, self.gateway.icmp, self.gateway.local)
        wanted = [part.poll_at() for part in parts]
        at = self.gateway.poll_at()
        assert all(one is None or (at is not None and at <= one) for one in wanted)

    def _take_octets(self, command: commands.Send) -> events.Event:
        data = b"".join(command.data)
        self.sent.setdefault(command.flow, bytearray()).extend(data)
        return events.Sent(command.flow, len(data) if self.takes is None else self.takes(len(data)))
