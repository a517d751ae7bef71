"""dnsmasq as a child of ours: what all of its command lines have in common."""

from typing import Final

from guestnet.system.programs import require

STARTED: Final = "]: started, "
"""What dnsmasq says when it listens."""


def command(*options: str, conf_file: str = "/dev/null") -> list[str]:
    """A command line with ``options``: it stays in the foreground and says everything on its output.

    It keeps its user and groups, of which a lab's user namespace has no others. --no-daemon would do so too,
    but it is for debugging: a TCP client is then served in the main process, and nobody else meanwhile. So
    each TCP client has a process of its own, in the process group of the first one. Raises
    EnvironmentMissing.
    """
    return [
        str(require("dnsmasq")), f"--conf-file={conf_file}", "--keep-in-foreground", "--user=", "--group=",
        "--pid-file=", "--log-facility=-", "--bind-interfaces", *options,
    ]  # fmt: skip
