"""Run a program of this machine to its end, bounded in time and output."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from guestnet.core.result import Ran

OUTPUT_LIMIT: Final = 16 << 20
"""Octets of either output: as much as a QEMU guest's agent carries."""


class TooMuchOutput(Exception):
    """A command printed more than the limit; it was killed."""


async def run_to_end(
    words: Sequence[str],
    *,
    limit: float,
    stdin: bytes,
    environment: Mapping[str, str],
    descriptors: Sequence[int] = (),
    started: Callable[[int], None] = lambda group: None,
    output_limit: int = OUTPUT_LIMIT,
) -> Ran:
    """Run ``words``; it has ended when it has exited and nobody holds its outputs any more.

    It leads a session and a process group of its own, whose number ``started`` gets; ``descriptors`` are
    passed on. The group is killed when ``limit`` seconds have passed (TimeoutError), at too much output
    (TooMuchOutput), and when the caller is cancelled. Raises OSError when the program does not start.
    """
    began = time.monotonic()
    # Not asyncio's Process: the wait() of one whose output nobody reads to the end never ends.
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _Command(output_limit),
            *words,
            env=environment,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    )
    try:
        transport, running = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio would wait for ever for a command that is given up before its pipes are connected.
        with contextlib.suppress(OSError):
            await _end(*await starting)
        raise
    started(transport.get_pid())
    well = False
    try:
        pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        pipe.write(stdin)
        pipe.close()
        async with asyncio.timeout(limit):
            await running.over
        well = True
    finally:
        # What a command that ended well has left in the background may stay.
        await _end(transport, running, kill=not well)
    status = transport.get_returncode()
    assert status is not None, "it has exited"
    stdout, stderr = (bytes(running.outputs[number]) for number in (1, 2))
    return Ran(status=status, stdout_bytes=stdout, stderr_bytes=stderr, seconds=time.monotonic() - began)


async def _end(transport: asyncio.SubprocessTransport, running: "_Command", *, kill: bool = True) -> None:
    if kill:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()
    await running.exited.wait()


class _Command(asyncio.SubprocessProtocol):
    """A running command: ``over`` is done when it has exited and its outputs are closed, or are too long."""

    def __init__(self, output_limit: int) -> None:
        self._output_limit = output_limit
        self.outputs: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.exited = asyncio.Event()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if self.over.done():
            return
        self.outputs[fd] += data
        if len(self.outputs[fd]) > self._output_limit:
            self.over.set_exception(TooMuchOutput)

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)
