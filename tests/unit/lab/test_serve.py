"""The lab's side of the control socket, with handlers of the test's own."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from guestnet.core.errors import GuestError, LabError
from guestnet.lab.process.serve import ControlServer
from guestnet.lab.requests import protocol
from guestnet.lab.requests.handler import WithDescriptor
from guestnet.lab.requests.protocol import Answer, Call, Failure


class Client:
    """The other end, in the same loop."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._buffer = bytearray()
        self._replies: list[Answer | Failure] = []

    async def send(self, number: int, request: protocol.AnyRequest) -> None:
        await asyncio.get_running_loop().sock_sendall(self._end, protocol.encode(Call(number, request)))

    async def reply(self) -> Answer | Failure:
        while not self._replies:
            data = await asyncio.get_running_loop().sock_recv(self._end, 1 << 16)
            assert data, "the lab has closed its end"
            self._buffer += data
            self._replies += protocol.split(self._buffer, protocol.decode_reply)
        return self._replies.pop(0)


Handle = Callable[[Any], Awaitable[object]]
Scenario = Callable[[Client, ControlServer, socket.socket], Awaitable[None]]


def run(handle: Handle, scenario: Scenario) -> None:
    async def frame() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            server = ControlServer(ours, handle)
            serving = asyncio.create_task(server.serve())
            try:
                await scenario(Client(theirs), server, theirs)
            finally:
                theirs.close()
                await server.stop(None)
                await serving

    asyncio.run(frame())


def test_a_slow_request_does_not_hold_up_a_quick_one() -> None:
    gate = asyncio.Event()

    async def handle(request: Any) -> object:
        if isinstance(request, protocol.Run):
            await gate.wait()
        return 7

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        await client.send(1, protocol.Run(guest="g", command="sleep"))
        await client.send(2, protocol.Now())
        first = await client.reply()
        gate.set()
        second = await client.reply()

        assert (first.number, second.number) == (2, 1)

    run(handle, scenario)


def test_errors_of_ours_and_bugs_are_answers(caplog: pytest.LogCaptureFixture) -> None:
    async def handle(request: Any) -> object:
        if isinstance(request, protocol.Now):
            raise GuestError("it is gone", remedy="start another")
        raise ZeroDivisionError("a bug")

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        await client.send(1, protocol.Now())
        assert await client.reply() == Failure(1, "GuestError", "it is gone", "start another")
        await client.send(2, protocol.Status())
        bug = await client.reply()
        assert isinstance(bug, Failure)
        assert (bug.error, "ZeroDivisionError: a bug" in bug.message) == ("LabError", True)

    run(handle, scenario)
    assert "Traceback" in caplog.text


def test_what_is_under_way_at_the_end_fails_with_the_reason() -> None:
    async def handle(request: Any) -> object:
        await asyncio.Event().wait()
        return None

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        await client.send(1, protocol.Now())
        await client.send(2, protocol.Now())
        await asyncio.sleep(0.01)
        await server.stop(LabError("the world broke"))
        replies = [await client.reply() for _ in range(3)]

        assert {reply.number for reply in replies} == {protocol.HELLO, 1, 2}
        assert {reply.message for reply in replies if isinstance(reply, Failure)} == {"the world broke"}

    run(handle, scenario)


def test_a_result_that_is_too_long_to_send_is_an_error() -> None:
    async def handle(request: Any) -> object:
        return bytes(protocol.MESSAGE_LIMIT)

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        await client.send(1, protocol.ReadFile(guest="g", path="/"))
        reply = await client.reply()

        assert isinstance(reply, Failure)
        assert "too long" in reply.message

    run(handle, scenario)


def test_a_descriptor_comes_with_its_answer() -> None:
    lent, kept = socket.socketpair()

    async def handle(request: Any) -> object:
        return WithDescriptor(None, lent)

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        await client.send(1, protocol.OpenConsole(guest="g"))
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(end, readable.set)
        await readable.wait()
        asyncio.get_running_loop().remove_reader(end)
        data, descriptors, _, _ = socket.recv_fds(end, 1, 1)
        assert len(data) == 1
        with socket.socket(fileno=descriptors[0]) as received, kept:
            kept.send(b"through")
            assert received.recv(100) == b"through"

    run(handle, scenario)
    assert lent.fileno() == -1


def test_bytes_that_make_no_sense_end_the_service() -> None:
    async def handle(request: Any) -> object:
        raise AssertionError("nothing was asked")

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"\0\0\0\1\xc1")
            with pytest.raises(LabError, match="do not understand"):
                await ControlServer(ours, handle).serve()

    asyncio.run(scenario())


def test_no_more_than_a_bound_is_worked_on_at_once() -> None:
    running = 0
    most = 0
    gate = asyncio.Event()

    async def handle(request: Any) -> object:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return 0

    async def scenario(client: Client, server: ControlServer, end: socket.socket) -> None:
        for number in range(1, 201):
            await client.send(number, protocol.Now())
        await asyncio.sleep(0.05)
        gate.set()
        numbers = {(await client.reply()).number for _ in range(200)}

        assert numbers == set(range(1, 201))

    run(handle, scenario)
    assert 1 < most < 100
