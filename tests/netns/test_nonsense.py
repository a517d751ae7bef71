"""What guests may send to the world's servers without harm to anybody: nonsense, too much, and half of it."""

import sys
from collections.abc import Iterator
from textwrap import dedent

import dns.message
import pytest

from guestnet.core.events import Served
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab

pytestmark = pytest.mark.netns

AWAY = "import socket, sys\ns = socket.create_connection(({to!r}, {port}), 10)\ns.settimeout(10)\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    description = LabDescription(scenario="nonsense", seed=1, guests=0, profile="hotel-wifi")
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def portal(lab: Lab) -> Iterator[Lab]:
    """Of the one lab; it has to answer after each test as before it."""
    lab.portal.set(forge=True, redirect=302, session=0.0)
    yield lab
    answer = lab.laptop.fetch("http://shop.example/")
    assert (answer.status, answer.error) == (302, "")
    assert lab.laptop.run(["getent", "ahostsv4", "shop.example"]).stdout.startswith("10.40.0.1 ")


def say(lab: Lab, program: str, to: str = "10.40.0.1", port: int = 80) -> bytes:
    """What ``program`` prints, whose ``s`` is connected to the portal."""
    whole = AWAY.format(to=to, port=port) + dedent(program)
    return lab.laptop.run([sys.executable, "-"], check=True, input=whole).stdout_bytes


@pytest.mark.parametrize(
    "message",
    [
        dns.message.make_response(dns.message.make_query("shop.example", "A")).to_wire(),
        dns.message.make_query("shop.example", "A").to_wire()[:20],
        dns.message.make_query("shop.example", "A").to_wire().replace(b"\x04shop", b"\x04\xff\x00. "),
        b"\x00\x00\x28\x00\x00\x01" + bytes(6) + b"\x04shop\x07example\x00\x00\x06\x00\x01",
        b"",
        bytes(65000),
    ],
    ids=["answer", "cut", "odd name", "update", "empty", "zeros"],
)
def test_what_is_no_query_is_not_answered_and_breaks_nothing(portal: Lab, message: bytes) -> None:
    program = f"""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.sendto({message[:8000]!r} + bytes({max(0, len(message) - 8000)}), ("203.0.113.53", 53))
        s.sendall({len(message).to_bytes(2, "big") + message[:8000]!r} + bytes({max(0, len(message) - 8000)}))
        s.shutdown(socket.SHUT_WR)
        while s.recv(1000):
            pass
    """
    say(portal, program, to="203.0.113.53", port=53)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /" + "\x84" * 60_000 + " HTTP/1.1", 302),
        ("GET /" + '"\\' * 30_000 + " HTTP/1.1", 302),
        ("GET /\x01 HTTP/1.1", 400),
        ("GET http://portal.hotel.example/ HTTP/1.1", 200),
        ("GET http://elsewhere.example/x HTTP/1.1", 302),
        ("OPTIONS * HTTP/1.1", 302),
        ("BREW /pot HTTP/1.1", 405),
        ("CONNECT shop.example:443 HTTP/1.1", 405),
        ("GET / HTTP/1.1\r\nHost: [[::", 302),
        ("GET / HTTP/1.1\r\nCookie: " + "c" * 70_000, 0),
        ("nonsense", 400),
    ],
    ids=[
        "high", "escapes", "control", "own url", "url", "star", "method", "tunnel", "host", "long head",
        "no http",
    ],
)
def test_requests_that_no_browser_makes_get_an_answer_or_an_end(
    portal: Lab, request_line: str, status: int
) -> None:
    host = "" if "Host:" in request_line else "\r\nHost: shop.example"
    head = f"{request_line}{host}\r\nConnection: close\r\n\r\n"
    program = f"""
        s.sendall({head.encode("latin-1")!r})
        got = b""
        try:
            while piece := s.recv(1 << 16):
                got += piece
        except ConnectionResetError:
            pass
        sys.stdout.buffer.write(got[:20])
    """
    answer = say(portal, program)
    assert (int(answer.split()[1]) if answer else 0) == status


def test_a_form_is_not_a_way_to_fill_the_memory_of_the_portal(portal: Lab) -> None:
    program = """
        s.sendall(b"POST /login HTTP/1.1\\r\\nHost: portal.hotel.example\\r\\n")
        s.sendall(b"Content-Length: 9999999999\\r\\n\\r\\n")
        sent = 0
        try:
            while sent < 1 << 24:
                sent += s.send(bytes(1 << 16))
        except OSError:
            pass
        print(sent < 1 << 24)
    """
    assert say(portal, program) == b"True\n"


def test_a_form_of_many_octets_is_read_or_refused(portal: Lab) -> None:
    """The lab reads what servers tell it line by line."""
    body = "accept=no&x=" + "%01\x01" * 10_000
    answer = portal.laptop.fetch("http://portal.hotel.example/login", data={"accept": "no", "x": body})
    assert answer.status in (400, 403)


def test_requests_in_one_segment_are_answered_in_their_order(portal: Lab) -> None:
    program = """
        ask = b"GET /%s HTTP/1.1\\r\\nHost: shop.example\\r\\n%s\\r\\n"
        s.sendall(ask % (b"first", b"") + ask % (b"second", b"Connection: close\\r\\n"))
        got = b""
        while piece := s.recv(1 << 16):
            got += piece
        print(got.count(b"HTTP/1.1 302"), got.index(b"first") < got.index(b"second"))
    """
    assert say(portal, program) == b"2 True\n"


def test_many_that_say_only_half_hold_nobody_up(portal: Lab) -> None:
    program = """
        half = [socket.create_connection(("10.40.0.1", 80), 10) for _ in range(300)]
        for each in half:
            each.sendall(b"GET / HTTP/1.1\\r\\nHost: s")
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n")
        print(s.recv(12).decode())
    """
    assert say(portal, program) == b"HTTP/1.1 302\n"


def test_the_journal_has_the_beginning_of_a_long_request(portal: Lab) -> None:
    portal.laptop.fetch("http://shop.example/" + "a" * 9000)
    served = portal.journal.expect(Served, lambda event: event.request.startswith("GET /aaa"))
    assert served.request.endswith("a…")
    assert len(served.request) < 2100
