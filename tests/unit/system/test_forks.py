"""A fork server: what its processes get, how they end, and that nobody is left."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestnet.system import forks

SERVER = """
import os, socket, sys
from guestnet.system import forks

def run(message, descriptors):
    if message == b"raise":
        raise ValueError("as asked")
    if message == b"leave":
        sys.exit(7)
    if message == b"wait":
        os.read(descriptors[0], 1)
    if message == b"list":
        os.write(descriptors[0], " ".join(sorted(os.listdir("/proc/self/fd"), key=int)).encode())
    os.write(descriptors[0], message)
    os._exit(3)

control = socket.socket(fileno=int(sys.argv[1]))
forks.serve(control, int(sys.argv[2]), run)
"""


class Server:
    """A fork server as a process, and the pipe whose other end it waits for."""

    def __init__(self) -> None:
        self.control, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(30)
        until, self.until = os.pipe()
        with its_end:
            passed = [its_end.fileno(), until]
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, *map(str, passed)], pass_fds=passed, stderr=subprocess.PIPE
            )
        os.close(until)

    def close(self) -> str:
        """End it; what it and its processes said. A second call knows nothing more."""
        self.control.close()
        if self.process.stderr is None or self.process.stderr.closed:
            return ""
        _, said = self.process.communicate(timeout=30)
        if self.until >= 0:
            os.close(self.until)
        return said.decode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def ask(server: Server, message: bytes) -> tuple[forks.Child, int]:
    """The process, and the other end of the pipe that it has."""
    mine, its_end = socket.socketpair()
    with its_end:
        child = forks.order(server.control, message, [its_end.fileno()])
    return child, mine.detach()


def test_a_process_gets_its_order_and_its_descriptors_and_its_status_comes_back(server: Server) -> None:
    child, pipe = ask(server, b"hello")

    assert child.ends(10)
    assert os.read(pipe, 100) == b"hello"
    assert child.exit_status(10) == 3
    assert child.pid != server.process.pid
    child.close()
    os.close(pipe)


def test_several_run_at_a_time_and_each_has_its_own_end(server: Server) -> None:
    first, pipe = ask(server, b"wait")
    second, other = ask(server, b"leave")

    assert second.ends(10)
    assert second.exit_status(10) == 7
    assert not first.ends(0)
    os.write(pipe, b"!")
    assert first.ends(10)
    assert first.exit_status(10) == 3
    for child, descriptor in ((first, pipe), (second, other)):
        child.close()
        os.close(descriptor)


def test_a_process_that_fails_says_so_and_is_no_second_server(server: Server) -> None:
    child, pipe = ask(server, b"raise")

    assert child.exit_status(10) == 1
    assert "ValueError: as asked" in server.close()
    child.close()
    os.close(pipe)


def test_a_killed_process_is_told_by_its_signal(server: Server) -> None:
    child, pipe = ask(server, b"wait")

    child.kill()

    assert child.ends(10)
    assert child.exit_status(10) == -9
    child.kill()  # it has ended: nothing to do
    child.close()
    os.close(pipe)


def test_a_process_holds_nothing_of_the_server_or_of_others(server: Server) -> None:
    first, pipe = ask(server, b"wait")
    second, other = ask(server, b"list")

    assert second.ends(10)
    listed = os.read(other, 1000).removesuffix(b"list").split()
    # Standard streams, the end that the server waits for, its own pipe, and the folder that it lists.
    assert len(listed) == 6, listed
    os.write(pipe, b"!")
    assert first.ends(10)
    for child, descriptor in ((first, pipe), (second, other)):
        child.close()
        os.close(descriptor)


def test_without_a_server_an_order_is_an_error_and_its_process_has_an_unknown_status(server: Server) -> None:
    child, pipe = ask(server, b"wait")
    server.process.kill()
    server.process.wait(10)

    with pytest.raises(forks.ForkServerError):
        forks.order(server.control, b"hello", [pipe])

    os.write(pipe, b"!")
    assert child.ends(10)
    assert child.exit_status(10) is None
    child.close()
    os.close(pipe)


def test_it_ends_when_its_client_does_and_when_what_it_waits_for_does(server: Server) -> None:
    os.close(server.until)
    server.until = -1

    assert server.process.wait(10) == 0


def test_no_process_is_left_as_a_zombie(server: Server) -> None:
    children = [ask(server, b"hello") for _ in range(5)]
    for child, _ in children:
        assert child.exit_status(10) == 3

    kept = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()

    assert kept == []
    for child, pipe in children:
        child.close()
        os.close(pipe)
