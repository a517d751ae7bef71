"""testinfra on a guest: ``lab.guest.host.file("/etc/hosts").contains("guest1")`` and all its other modules.

testinfra is synchronous and only ever runs shell commands; so a function that runs one is all it needs.
"""

from collections.abc import Callable
from typing import Any, Final

import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from guestnet.core.result import Ran

RunText = Callable[[str], Ran]
"""Runs a text in the guest's shell, to its end."""

_SIGNAL_BASE: Final = 128


class GuestBackend(BaseBackend):  # type: ignore[misc] # testinfra ships no types
    """Runs testinfra's commands with the function given."""

    NAME = "guestnet"

    def __init__(self, run: RunText, hostname: str) -> None:
        super().__init__(hostname)
        self._run_text = run
        # Asking the guest would cost two commands; its locale is C.UTF-8.
        self._encoding = "UTF-8"

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """testinfra's own verb: ``args`` are quoted into ``command`` where it says %s."""
        text = self.get_command(command, *args)
        ran = self._run_text(text)
        # testinfra knows only exit statuses; a shell tells signals like this.
        shown = _SIGNAL_BASE - ran.status if ran.status < 0 else ran.status
        return self.result(shown, self.encode(text), ran.stdout_bytes, ran.stderr_bytes)


def host_for(run: RunText, hostname: str = "guest") -> testinfra.host.Host:
    """A testinfra Host whose commands ``run`` runs."""
    backend = GuestBackend(run, hostname)
    host = testinfra.host.Host(backend)
    backend.set_host(host)
    return host
