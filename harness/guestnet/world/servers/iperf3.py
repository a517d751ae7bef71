"""iperf3 as a server: its command line and what it says."""

import re
from typing import Final

from guestnet.core.endpoint import show_endpoint
from guestnet.system.programs import require

STARTED: Final = "Server listening on"
_ACCEPTED: Final = re.compile(r"Accepted connection from (\S+), port (\d+)")


def command(address: str, port: int) -> list[str]:
    """Serve one test after the other."""
    return [str(require("iperf3")), "--server", "--bind", address, "--port", str(port), "--forceflush"]


def client(line: str) -> str | None:
    """The client whose test ``line`` says to begin."""
    accepted = _ACCEPTED.search(line)
    if accepted is None:
        return None
    return show_endpoint(*accepted.groups())
