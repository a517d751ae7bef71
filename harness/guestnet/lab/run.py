"""The lab process around the lab: its control socket, and the reasons to end.

It ends with the client's order, with the end of the control socket, or with a fault of a piece that a lab
can't do without; a guest is none of those.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from guestnet.core.errors import GuestnetError, LabError
from guestnet.lab.lab import Lab
from guestnet.lab.process.serve import ControlServer
from guestnet.lab.requests import protocol
from guestnet.lab.requests.request import Request
from guestnet.system.calls import keep_memory, run_soon
from guestnet.system.forked import Spawner

_KEPT: Final = 16 << 20
"""Octets of free memory that stay ours: what bulk data needs, again and again."""
_SLICE: Final = 100_000
"""Nanoseconds of a turn: a link's frames leave when they are due, also on a busy machine."""

_log = logging.getLogger(__name__)


def run_lab(control: socket.socket, init: socket.socket) -> NoReturn:
    """The lab, from its first request to its last; called in new namespaces, where ``init`` forks for it."""
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(_SinceNow("%(since)8.0f ms %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[log])
    keep_memory(_KEPT)
    run_soon(_SLICE)
    status = asyncio.run(_serve(control, Spawner(init)))
    # Everything is closed, and the kernel is quicker at the rest than the interpreter.
    logging.shutdown()
    os._exit(status)


class _SinceNow(logging.Formatter):
    """Knows ``since`` too: milliseconds since it was made. (``relativeCreated`` counts from an import.)"""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._began = time.time()

    def format(self, record: logging.LogRecord) -> str:
        record.since = (record.created - self._began) * 1000
        return super().format(record)


async def _serve(control: socket.socket, spawner: Spawner) -> int:
    return await _Frame(control, spawner).run()


class _Frame:
    """Before there is a lab, and around it: the control socket, and the reasons to end."""

    def __init__(self, control: socket.socket, spawner: Spawner) -> None:
        self._spawner = spawner
        self._lab: Lab | None = None
        self._over = asyncio.Event()
        self._reason = "the client ended"
        self._error: GuestnetError | None = None
        self._server = ControlServer(control, self._handle)

    async def run(self) -> int:
        """Until the end; the answer is the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._loop_fault)
        loop.add_signal_handler(signal.SIGTERM, self._end, "a signal (SIGTERM) told it to")
        serving = asyncio.create_task(self._server.serve(), name="control")
        over = asyncio.create_task(self._over.wait(), name="over")
        await asyncio.wait([serving, over], return_when=asyncio.FIRST_COMPLETED)
        if serving.done() and (error := serving.exception()) is not None:
            self._fault(error)
        for task in (serving, over):
            task.cancel()
        _log.info("the lab ends: %s", self._reason)
        await self._server.stop(self._error)
        if self._lab is not None:
            await self._lab.stop(self._reason)
        return 0 if self._error is None else 1

    def _end(self, reason: str) -> None:
        """Only the first reason counts."""
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    def _fault(self, error: BaseException) -> None:
        """A piece that a lab can't do without has failed."""
        if self._over.is_set():
            return
        if not isinstance(error, GuestnetError):
            _log.error("a part of the lab failed", exc_info=error)
            error = LabError(
                f"a part of the lab failed ({type(error).__name__}: {error})", remedy="see lab.log"
            )
        self._error = error
        self._end(str(error))

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nobody waited for what failed."""
        loop.default_exception_handler(context)
        self._fault(context.get("exception") or LabError(context["message"], remedy="see lab.log"))

    async def _handle(self, request: Request[Any]) -> object:
        if isinstance(request, protocol.Start):
            if self._lab is not None:
                raise LabError("the lab has been started already")
            self._lab = Lab(
                request.description, Path(request.artifacts), self._fault,
                spawner=self._spawner, proxy_python=request.proxy_python,
            )  # fmt: skip
            return await self._lab.start()
        if self._lab is None:
            raise LabError("the lab has not been started", remedy="send Start first")
        if isinstance(request, protocol.Stop):
            await self._lab.stop(request.reason)
            return None
        return await self._lab.handle(request)
