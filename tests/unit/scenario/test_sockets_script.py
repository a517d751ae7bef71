"""sockets.pl against real sockets on the loopback interface."""

import hashlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from importlib.resources import files

import pytest

from guestnet.scenario.reading import Told
from guestnet.system.programs import require

SCRIPT = files("guestnet.scenario").joinpath("sockets.pl").read_bytes()
WAIT = 10.0


def tell(
    verb: str, port: int, data: bytes = b"", *, host: str = "127.0.0.1", wait: float = WAIT, family: int = 4
) -> tuple[bytes, Told]:
    done = subprocess.run(
        [require("perl"), "-Mstrict", "-Mwarnings=FATAL,all", "-",
         verb, host, str(port), f"{wait:g}", str(family)],
        input=SCRIPT + b"__END__\n" + data, capture_output=True, check=True, timeout=WAIT * 3,
    )  # fmt: skip
    return done.stdout, Told(done.stderr.decode())


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Starts a TCP server for one connection; its port."""
    threads: list[threading.Thread] = []

    def start(talk: Callable[[socket.socket], None]) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(WAIT)

        def run() -> None:
            with listening, closing(listening.accept()[0]) as connection:
                talk(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listening.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def digest(connection: socket.socket) -> None:
    """As the half-close server of a world."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    connection.sendall(f"{len(received)} {hashlib.sha256(received).hexdigest()}\n".encode())


def test_a_connect_tells_both_ends(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    peers: list[tuple[str, int]] = []
    port = serve(lambda connection: peers.append(connection.getpeername()))

    _, told = tell("connect", port)

    assert told.error == ""
    assert told.remote == ("127.0.0.1", port)
    assert told.local is not None
    assert told.local.port > 0


def test_a_refused_connect() -> None:
    _, told = tell("connect", closed_port())

    assert told.error == "ECONNREFUSED"
    assert 0 <= told.seconds < WAIT


def test_a_connect_that_nobody_answers() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # they fill the queue, so that the next SYN is dropped
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        _, told = tell("connect", port, wait=0.3)
        for one in waiting:
            one.close()

    assert told.error == "GAVE_UP"
    assert told.local is not None
    assert told.seconds >= 0.3


def test_a_name_that_nobody_knows() -> None:
    _, told = tell("connect", 1, host="no-such-host.invalid")

    assert told.error == "UNRESOLVED"
    assert told.detail


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_half_close_carries_everything(
    serve: Callable[[Callable[[socket.socket], None]], int], size: int
) -> None:
    payload = bytes(range(251)) * (size // 251) + b"x" * (size % 251)

    reply, told = tell("half-close", serve(digest), payload)

    assert (told.error, told.sent) == ("", size)
    assert reply.decode() == f"{len(payload)} {hashlib.sha256(payload).hexdigest()}\n"


def test_a_server_that_ends_first_gets_the_rest_all_the_same(
    serve: Callable[[Callable[[socket.socket], None]], int],
) -> None:
    got: Future[bytes] = Future()

    def end_and_read(connection: socket.socket) -> None:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        got.set_result(b"".join(iter(lambda: connection.recv(65536), b"")))

    payload = b"x" * 9_000_000

    reply, told = tell("half-close", serve(end_and_read), payload)

    assert (reply, told.error, told.sent) == (b"bye", "", len(payload))
    assert got.result(WAIT) == payload


def test_a_half_close_tells_how_much_was_sent(
    serve: Callable[[Callable[[socket.socket], None]], int],
) -> None:
    def take_none(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1, socket.MSG_PEEK)
        done.wait(WAIT)

    done = threading.Event()
    _, told = tell("half-close", serve(take_none), b"x" * 50_000_000, wait=0.5)
    done.set()

    assert told.error == "GAVE_UP"
    assert 0 < told.sent < 50_000_000


def test_a_half_close_that_is_reset(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    _, told = tell("half-close", serve(reset), b"hello")

    assert told.error == "ECONNRESET"


def test_a_datagram_and_its_echo() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(WAIT)

        def echo() -> None:
            data, client = server.recvfrom(65535)
            server.sendto(data[::-1], client)

        thread = threading.Thread(target=echo)
        thread.start()
        reply, told = tell("udp", server.getsockname()[1], b"\0hello\xff")
        thread.join()

    assert (reply, told.error) == (b"\xffolleh\0", "")


def test_a_datagram_to_a_closed_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    assert tell("udp", port, b"x")[1].error == "ECONNREFUSED"
    assert tell("udp-send", port, b"x")[1].error == ""


def test_addresses_of_either_family() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        six, any_family = (tell("connect", port, host="::1", family=family)[1] for family in (6, 0))

    assert (six.error, any_family.error) == ("", "")
    assert str(six.remote) == f"[::1]:{port}"
    assert six.local is not None
    assert six.local.address == "::1"


@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "0::0001", "::ffff:127.0.0.1", "localhost"])
def test_an_address_may_be_written_in_many_ways(host: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listening:
        listening.bind(("::", 0))
        listening.listen()
        _, told = tell("connect", listening.getsockname()[1], host=host, family=0)

    assert told.error == ""


@pytest.mark.parametrize("host", ["2001:db8::1::2", "1:2:3", ":::", "1:2:3:4:5:6:7:8:9", "12345::"])
def test_what_is_no_address_is_not_taken_for_one(host: str) -> None:
    assert tell("connect", 1, host=host, family=6)[1].error == "UNRESOLVED"
