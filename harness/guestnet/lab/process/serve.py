"""The lab's side of the protocol: many calls at a time, but not more than a bound."""

import asyncio
import logging
import socket
from typing import Final

from guestnet.core.errors import GuestnetError, LabError
from guestnet.lab.requests import protocol
from guestnet.lab.requests.handler import Handler, WithDescriptor
from guestnet.lab.requests.protocol import Answer, Call, Failure

_AT_ONCE: Final = 64
_READ_SIZE: Final = 1 << 18

_log = logging.getLogger(__name__)


class ControlServer:
    """Answers the calls of one client on ``control`` with what ``handle`` returns or raises.

    The control socket ends with the client, so its end is a reason to end the lab: `serve` returns then.
    """

    def __init__(self, control: socket.socket, handle: Handler) -> None:
        control.setblocking(False)
        self._control = control
        self._handle = handle
        self._sending = asyncio.Lock()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._ending: GuestnetError = LabError("the lab is ending")
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the client closes its end. Raises LabError when it can't be understood."""
        loop = asyncio.get_running_loop()
        buffer = bytearray()
        while True:
            try:
                data = await loop.sock_recv(self._control, _READ_SIZE)
            except ConnectionResetError:
                return
            if not data:
                return
            buffer += data
            for call in protocol.split(buffer, protocol.decode_call):
                await self._room.acquire()
                task = asyncio.create_task(
                    self._answer(call), name=f"{type(call.request).__name__} {call.number}"
                )
                self._tasks.add(task)
                task.add_done_callback(self._done)

    async def stop(self, error: GuestnetError | None) -> None:
        """Give up the calls that are under way; tell the client ``error``, when that is why the lab ends."""
        if error is not None:
            self._ending = error
            await self._send(protocol.failure_of(protocol.HELLO, error))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _answer(self, call: Call) -> None:
        try:
            result = await self._handle(call.request)
        except asyncio.CancelledError:
            await self._send(protocol.failure_of(call.number, self._ending))
            raise
        except GuestnetError as error:
            await self._send(protocol.failure_of(call.number, error))
            return
        except Exception as error:  # noqa: BLE001 - our bug: it goes to the log whole, and to the client in short
            _log.exception("%s failed", type(call.request).__name__)
            await self._send(protocol.failure_of(call.number, error))
            return
        if isinstance(result, WithDescriptor):
            with result.owner:
                await self._send(Answer(call.number, protocol.encode_result(result.result), 1), result.owner)
        else:
            await self._send(Answer(call.number, protocol.encode_result(result)))

    async def _send(self, message: Answer | Failure, passed: socket.socket | None = None) -> None:
        try:
            data = protocol.encode(message)
        except LabError as error:
            data = protocol.encode(protocol.failure_of(message.number, error))
        loop = asyncio.get_running_loop()
        try:
            async with self._sending:
                if passed is not None:
                    await self._writable()
                    sent = socket.send_fds(self._control, [data[:1]], [passed.fileno()])
                    data = data[sent:]
                await loop.sock_sendall(self._control, data)
        except (BrokenPipeError, ConnectionResetError):
            _log.info("the client is gone; %s was for it", type(message).__name__)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._control, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._control)
