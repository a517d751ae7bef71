"""Commands on the hosts of a world."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from typing import Final

from harness.core.errors import LabError
from harness.lab.protocol import RunResult
from harness.world.description import LAPTOP
from harness.world.namespaces import Namespaces

_SHELL: Final = "/bin/sh"


async def run_on(
    namespaces: Namespaces, host: str, command: str | Sequence[str], *, limit: float, sent: bytes = b""
) -> RunResult:
    """Run ``command`` on ``host`` with ``sent`` as standard input; a text goes to a shell.

    Raises LabError when there is no such host or program, or after ``limit`` seconds; what the command
    started in its process group is ended then.
    """
    if host not in namespaces.hosts:
        raise LabError(f"there is no host {host!r}", remedy="give one of " + ", ".join(namespaces.hosts))
    arguments = [_SHELL, "-c", command] if isinstance(command, str) else list(command)
    if not arguments:
        raise LabError("the command is empty", remedy="give a program and its arguments")
    enter = [] if host == LAPTOP else ["nsenter", f"--net={namespaces.path(host)}", "--"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    began = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *enter, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
        )
    except OSError as error:
        raise LabError(
            f"{arguments[0]}: {error.strerror}", remedy=f"install it on this machine, {host} runs on it"
        ) from error
    try:
        async with asyncio.timeout(limit):
            stdout, stderr = await process.communicate(sent)
    except TimeoutError as error:
        raise LabError(
            f"on {host}, {' '.join(arguments)!r} did not end within {limit:g} s",
            remedy="give it a longer timeout",
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return RunResult(status=_status(process), stdout=stdout, stderr=stderr, seconds=time.monotonic() - began)


def _status(process: asyncio.subprocess.Process) -> int:
    assert process.returncode is not None, "communicate() waits for the end"
    return process.returncode
