"""A console lent to a client, with a guest's end that is a socket of the test's."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from guestnet.core.errors import GuestError
from guestnet.guest.console import Console
from guestnet.lab.controls.console import lend_console

Ended = asyncio.Future[GuestError | None]
Scenario = Callable[[socket.socket, socket.socket, Ended], Awaitable[None]]


def run(scenario: Scenario) -> None:
    """``scenario`` gets the guest's end of the console, the client's end of the loan, the guest's `ended`."""

    async def frame() -> None:
        guest, channel = socket.socketpair()
        guest.setblocking(False)
        console = Console(channel, None, lambda text: None)
        ended: Ended = asyncio.get_running_loop().create_future()
        with guest, lend_console(console, ended) as client:
            client.setblocking(False)
            try:
                await asyncio.wait_for(scenario(guest, client, ended), 10)
            finally:
                if not ended.done():
                    ended.set_result(None)
                await asyncio.sleep(0)
                console.close()

    asyncio.run(frame())


async def receive(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await asyncio.get_running_loop().sock_recv(end, size - len(data))
        if not piece:
            break
        data += piece
    return data


def test_keys_go_in_and_output_comes_out() -> None:
    async def scenario(guest: socket.socket, client: socket.socket, ended: Ended) -> None:
        client.send(b"ls\r")
        assert await receive(guest, 3) == b"ls\r"
        guest.send(b"etc usr\n")
        assert await receive(client, 8) == b"etc usr\n"

    run(scenario)


def test_many_keys_arrive_in_order() -> None:
    keys = bytes(range(256)) * 400

    async def scenario(guest: socket.socket, client: socket.socket, ended: Ended) -> None:
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(client, keys))
        assert await receive(guest, len(keys)) == keys
        await sending

    run(scenario)


def test_the_loan_ends_with_the_guest() -> None:
    async def scenario(guest: socket.socket, client: socket.socket, ended: Ended) -> None:
        ended.set_result(GuestError("it panicked"))
        assert await receive(client, 1) == b""

    run(scenario)


def test_a_client_that_reads_nothing_does_not_stop_the_guest() -> None:
    async def scenario(guest: socket.socket, client: socket.socket, ended: Ended) -> None:
        for _ in range(200):
            await asyncio.get_running_loop().sock_sendall(guest, bytes(65536))

    run(scenario)


def test_a_client_that_goes_away_leaves_the_console_to_the_next() -> None:
    async def scenario(guest: socket.socket, client: socket.socket, ended: Ended) -> None:
        client.close()
        for _ in range(3):
            guest.send(b"still running\n")
            await asyncio.sleep(0.01)

    run(scenario)
