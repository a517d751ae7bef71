"""What every kind of guest can do; scenarios and the lab know guests only by this."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from guestnet.core.errors import GuestError
from guestnet.core.result import Ran

Command = str | Sequence[str]
"""A text is given to the guest's ``/bin/sh -c``; words are executed as they are."""


class Guest(Protocol):
    """A machine under test. All methods raise GuestError once the guest is gone, with the reason."""

    @property
    def hostname(self) -> str: ...

    @property
    def mac(self) -> str:
        """Of eth0, as ``52:54:00:65:00:01``."""

    @property
    def has_clock(self) -> bool:
        """Whether its wall clock is its own, and `set_clock` works."""

    @property
    def ended(self) -> "asyncio.Future[GuestError | None]":
        """Done as soon as the guest is gone: the reason, or None after stop()."""

    async def run(
        self,
        command: Command,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - the guest's process is killed when it passes
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command to its end. Raises GuestError when it takes more than ``timeout`` seconds."""

    async def read_file(self, path: str) -> bytes:
        """The content of a file of the guest. Raises GuestError when it can't be read."""

    async def write_file(self, path: str, content: bytes) -> None:
        """Make or replace a file of the guest. Raises GuestError when it can't be written."""

    async def reset(self) -> None:
        """Like the reset button; returns when the guest answers again."""

    async def pause(self) -> None:
        """Stop its time; what arrives meanwhile waits."""

    async def resume(self) -> None:
        """Let it go on after pause()."""

    async def set_clock(self, at: int) -> None:
        """Set its wall clock to ``at``, nanoseconds since 1970. Raises GuestError when not ``has_clock``."""

    async def set_link(self, up: bool) -> None:
        """Plug or pull the cable at the guest's end: it sees the carrier come and go."""

    async def stop(self) -> None:
        """End it at once and free everything it holds; more than one call does no harm."""
