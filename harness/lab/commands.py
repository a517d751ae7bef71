"""Commands on the hosts of a world."""

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Sequence
from typing import Final, cast

from harness.core.errors import LabError
from harness.lab.protocol import RunResult
from harness.world.description import LAPTOP
from harness.world.namespaces import Namespaces

_SHELL: Final = "/bin/sh"
_OUTPUT_LIMIT: Final = 24 << 20
"""Bytes of either output; both fit into one message to the client."""


async def run_on(
    namespaces: Namespaces, host: str, command: str | Sequence[str], *, limit: float, sent: bytes = b""
) -> RunResult:
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
    began = time.monotonic()
    try:
        # Not asyncio's Process: the wait() of one whose output nobody reads to the end never ends.
        transport, running = await asyncio.get_running_loop().subprocess_exec(
            _Command, *enter, *arguments, env=environment, start_new_session=True
        )
    except OSError as error:
        raise LabError(
            f"{arguments[0]}: {error.strerror}", remedy=f"install it on this machine, {host} runs on it"
        ) from error
    well = False
    try:
        stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        stdin.write(sent)
        stdin.close()
        async with asyncio.timeout(limit):
            await running.over
        well = True
    except TimeoutError as error:
        raise LabError(
            f"on {host}, {shlex.join(arguments)!r} did not end within {limit:g} s",
            remedy="give it a longer timeout",
        ) from error
    finally:
        # What a command that ended well has left in the background may stay.
        if not well:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()
        await running.exited.wait()
    status = transport.get_returncode()
    assert status is not None, "it has exited"
    return RunResult(
        status=status,
        stdout=bytes(running.outputs[1]),
        stderr=bytes(running.outputs[2]),
        seconds=time.monotonic() - began,
    )


class _Command(asyncio.SubprocessProtocol):
    """A running command: ``over`` is done when it has exited and its outputs are closed, or are too long."""

    def __init__(self) -> None:
        self.outputs: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.exited = asyncio.Event()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if self.over.done():
            return
        self.outputs[fd] += data
        if len(self.outputs[fd]) > _OUTPUT_LIMIT:
            self.over.set_exception(
                LabError(
                    f"a command's output is longer than {_OUTPUT_LIMIT >> 20} MiB",
                    remedy="write it to a file, or cut it with head or tail",
                )
            )

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)
