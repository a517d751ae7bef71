"""dnsmasq as a child of ours: what all of its command lines have in common."""

import shutil
from typing import Final

from guestnet.core.errors import EnvironmentMissing

STARTED: Final = "]: started, "
"""What dnsmasq says when it listens."""

# A plain user has no /sbin in the path in Debian, and there it is.
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def find_dnsmasq() -> str:
    """Path of the program. Raises EnvironmentMissing."""
    found = shutil.which("dnsmasq") or shutil.which("dnsmasq", path=_PATH)
    if found is None:
        raise EnvironmentMissing(
            "dnsmasq is not installed",
            remedy="install it: apt install dnsmasq-base, dnf install dnsmasq, or pacman -S dnsmasq",
        )
    return found


def command(*options: str, conf_file: str = "/dev/null") -> list[str]:
    """A command line with ``options``: it stays in the foreground and says everything on its output.

    It keeps its user and groups, of which a lab's user namespace has no others. --no-daemon would do so too,
    but it is for debugging: a TCP client is then served in the main process, and nobody else meanwhile. So
    each TCP client has a process of its own, in the process group of the first one. Raises
    EnvironmentMissing.
    """
    return [
        find_dnsmasq(), f"--conf-file={conf_file}", "--keep-in-foreground", "--user=", "--group=",
        "--pid-file=", "--log-facility=-", "--bind-interfaces", *options,
    ]  # fmt: skip
