"""The client of a lab process: synchronous, with a deadline on everything."""

import socket
from pathlib import Path
from typing import Self

from harness.lab.description import LabDescription
from harness.lab.protocol import LabStatus, R, Request
from harness.world.description import World


class LabProcess:
    """A running lab, seen from outside.

    Threads may share it. It ends with `close`, with its context, or with this process, however that ends.
    """

    description: LabDescription
    world: World
    artifacts: Path
    started: LabStatus
    """What ran when the lab had started."""
    pid: int
    """Of the process in front of the lab, as this process sees it; the lab ends with it."""

    @classmethod
    def start(cls, description: LabDescription, artifacts: Path, *, deadline: float = 60.0) -> Self:
        """Start a lab that writes into the folder ``artifacts`` (made if need be), within ``deadline`` seconds.

        Raises DescriptionError, EnvironmentMissing, GuestError, or LabError with the end of lab.log.
        """
        raise NotImplementedError

    def call(self, request: Request[R], *, timeout: float | None = None) -> R:
        """The lab's response to ``request``, or the error that the lab raised.

        Raises LabError when none came within ``timeout`` seconds (when None: the request's own timeout and
        some grace, or 30 s), and at once when the lab ends.
        """
        raise NotImplementedError

    def console(self, guest: str) -> socket.socket:
        """The serial console of ``guest``, connected; the caller closes it."""
        raise NotImplementedError

    def close(self, *, grace: float = 3.0) -> None:
        """End the lab: in good order within ``grace`` seconds, else by force. A second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
