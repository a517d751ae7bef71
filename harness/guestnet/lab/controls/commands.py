"""Commands on the hosts of a world."""

import errno
import os
import shlex
from collections.abc import Sequence
from typing import Final

import msgspec

from guestnet.core.errors import LabError
from guestnet.core.result import Ran
from guestnet.guest.command import TooMuchOutput, run_to_end
from guestnet.world.described.model import LAPTOP
from guestnet.world.kernel.namespaces import Namespaces

_SHELL: Final = "/bin/sh"
_OUTPUT_LIMIT: Final = 24 << 20
"""Bytes of either output; both fit into one message to the client."""


async def run_on(
    namespaces: Namespaces, host: str, command: str | Sequence[str], *, limit: float, sent: bytes = b""
) -> Ran:
    """Run ``command`` on ``host`` with ``sent`` as standard input; a text goes to a shell.

    It has ended when it has exited and nobody holds its outputs any more. Raises LabError when there is no
    such host or program, after ``limit`` seconds, or at too much output; its process group is ended then.
    """
    if host not in namespaces.hosts:
        raise LabError(f"there is no host {host!r}", remedy="give one of " + ", ".join(namespaces.hosts))
    arguments = [_SHELL, "-c", command] if isinstance(command, str) else list(command)
    if not arguments:
        raise LabError("the command is empty", remedy="give a program and its arguments")
    enter = [] if host == LAPTOP else ["nsenter", f"--net={namespaces.path(host)}", "--"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        ran = await run_to_end(
            [*enter, *arguments], limit=limit, stdin=sent, environment=environment, output_limit=_OUTPUT_LIMIT
        )
    except TimeoutError as error:
        raise LabError(
            f"on {host}, {shlex.join(arguments)!r} did not end within {limit:g} s",
            remedy="give it a longer timeout",
        ) from error
    except OSError as error:
        remedy = f"install it on this machine, {host} runs on it"
        if error.errno == errno.E2BIG:
            remedy = "give what is long as standard input"
        raise LabError(f"{arguments[0]}: {error.strerror}", remedy=remedy) from error
    except TooMuchOutput as error:
        raise LabError(
            f"a command's output is longer than {_OUTPUT_LIMIT >> 20} MiB",
            remedy="write it to a file, or cut it with head or tail",
        ) from error
    return msgspec.structs.replace(ran, command=show(command))


def show(command: str | Sequence[str]) -> str:
    """``command`` as it would be typed."""
    return command if isinstance(command, str) else shlex.join(command)
