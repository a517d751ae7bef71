"""What a program on the laptop sees of the plain world."""

import hashlib
import json
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import Activity, RunOn
from guestnet.world.described.world import Families
from guestnet.world.servers.content import digest

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    description = LabDescription(scenario="plain world", seed=1, guests=0)
    with LabProcess.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def python(lab: LabProcess, program: str, host: str = "laptop") -> Any:
    """What ``program``, run on ``host``, assigns to ``answer``."""
    text = f"import json\n{textwrap.dedent(program)}\nprint(json.dumps(answer))\n"
    result = lab.call(RunOn(host=host, command=[sys.executable, "-c", text], timeout=20))
    assert result.status == 0, result.stderr
    return json.loads(result.stdout)


def served(lab: LabProcess, text: str) -> dict[str, str]:
    """The first Served event of the journal that has ``text``, waiting for it."""
    size = 0
    while True:
        for line in (lab.artifacts / "journal.jsonl").read_text().splitlines():
            event: dict[str, str] = json.loads(line)
            if event["type"] == "Served" and text in line:
                return event
        sizes = lab.call(Activity(journal=size, capture=1 << 60, timeout=5))
        assert sizes.journal > size, f"no Served event with {text!r}"
        size = sizes.journal


FETCH = """
    import http.client
    connection = http.client.HTTPConnection({host!r}, {port}, timeout=5)
    connection.request({method!r}, {path!r}, body={body})
    reply = connection.getresponse()
    body = reply.read()
"""


def fetch(lab: LabProcess, url: str, wanted: str, method: str = "GET", body: str = "None") -> Any:
    host, _, path = url.partition("/")
    name, _, port = host.partition(":")
    program = textwrap.dedent(FETCH).format(
        host=name, port=port or 80, method=method, path=f"/{path}", body=body
    )
    return python(lab, f"{program}answer = {wanted}")


def connect_error(lab: LabProcess, host: str, port: int, timeout: float = 5.0) -> str:
    answer: str = python(
        lab,
        f"""
        import errno, socket
        try:
            socket.create_connection(({host!r}, {port}), timeout={timeout}).close()
            answer = "connected"
        except TimeoutError:
            answer = "silence"
        except OSError as error:
            answer = errno.errorcode.get(error.errno, str(error))
        """,
    )
    return answer


def test_names_have_the_addresses_of_the_profile(lab: LabProcess) -> None:
    addresses = python(
        lab,
        """
        import socket
        names = ["shop.example", "www.example", "files.example", "echo.example", "dead.example", "v6.example",
                 "dead6.example"]
        answer = {name: sorted({a[4][0] for a in socket.getaddrinfo(name, 80)}) for name in names}
        """,
    )

    assert addresses == {
        "shop.example": ["2001:db8::10", "203.0.113.10"],
        "www.example": ["2001:db8::10", "203.0.113.10"],
        "files.example": ["2001:db8::20", "203.0.113.20"],
        "echo.example": ["2001:db8::30", "203.0.113.30"],
        "dead.example": ["203.0.113.99"],
        "v6.example": ["2001:db8::10"],
        "dead6.example": ["2001:db8::99"],
    }


def test_the_resolver_says_nxdomain_to_everything_else_and_nodata_to_other_types(lab: LabProcess) -> None:
    rcodes = python(
        lab,
        """
        import dns.message, dns.query, dns.rcode
        answer = {}
        for name, rdtype in ("nope.example", "A"), ("com", "MX"), ("x.org", "A"), ("dead.example", "AAAA"):
            reply = dns.query.udp(dns.message.make_query(name, rdtype), "203.0.113.53", timeout=5)
            answer[f"{rdtype} {name}"] = [dns.rcode.to_text(reply.rcode()), len(reply.answer)]
        """,
    )

    assert rcodes == {
        "A nope.example": ["NXDOMAIN", 0],
        "MX com": ["NXDOMAIN", 0],
        "A x.org": ["NXDOMAIN", 0],
        "AAAA dead.example": ["NOERROR", 0],
    }
    assert served(lab, "A nope.example") | {"at": 0, "client": ""} == {
        "type": "Served",
        "server": "dns",
        "request": "A nope.example",
        "status": "NXDOMAIN",
        "at": 0,
        "client": "",
    }


def test_a_page_is_served_and_journaled_with_its_client(lab: LabProcess) -> None:
    page = fetch(lab, "shop.example/", "[reply.status, body.decode()]")
    event = served(lab, '"GET /"')

    assert page[0] == 200
    assert "This is shop." in page[1]
    assert event["server"] == "shop"
    assert event["client"].startswith("[2001:db8:1::10]:")
    assert event["status"] == "200"


@pytest.mark.parametrize("size", [0, 1, 65536, 10_000_000])
def test_a_download_has_the_announced_digest(lab: LabProcess, size: int) -> None:
    wanted = "[len(body), __import__('hashlib').sha256(body).hexdigest(), reply.headers['X-Sha256']]"

    assert fetch(lab, f"files.example/size/{size}", wanted) == [size, digest(size), digest(size)]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_upload_is_answered_with_size_and_digest(lab: LabProcess, method: str) -> None:
    answer = fetch(lab, "files.example/anywhere", "json.loads(body)", method, "b'x' * 3_000_000")

    assert answer == {"size": 3_000_000, "sha256": hashlib.sha256(b"x" * 3_000_000).hexdigest()}


def test_a_status_can_be_ordered(lab: LabProcess) -> None:
    assert fetch(lab, "shop.example/status/503", "reply.status") == 503
    assert fetch(lab, "shop.example/status/999", "reply.status") == 400
    assert fetch(lab, "shop.example/nothing/here", "reply.status") == 404


@pytest.mark.parametrize(
    ("host", "client"), [("shop.example", "[2001:db8:1::10]:"), ("203.0.113.10", "192.168.1.10:")]
)
def test_a_server_tells_what_it_saw_of_a_request(lab: LabProcess, host: str, client: str) -> None:
    seen = fetch(lab, f"{host}/headers", "json.loads(body)")

    assert seen["client"].startswith(client)
    assert seen["headers"]["Host"] == host


def test_a_delayed_answer_comes_later_but_others_do_not_wait(lab: LabProcess) -> None:
    order = python(
        lab,
        """
        import concurrent.futures, urllib.request
        def get(path):
            return urllib.request.urlopen("http://shop.example" + path, timeout=5).read().decode()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            tasks = [pool.submit(get, path) for path in ("/delay/0.5", "/")]
            answer = [task.result()[:5] for task in concurrent.futures.as_completed(tasks)]
        """,
    )

    assert order == ["<!doc", "after"]


def test_tcp_echo_sends_everything_back_and_closes_after_the_client(lab: LabProcess) -> None:
    answer = python(
        lab,
        """
        import socket
        with socket.create_connection(("echo.example", 7), timeout=5) as s:
            s.sendall(b"hello")
            s.shutdown(socket.SHUT_WR)
            answer = s.makefile("rb").read().decode()
        """,
    )

    assert answer == "hello"
    assert served(lab, '"tcp"')["status"] == "5 bytes"


def test_udp_echo_answers_each_datagram_from_its_own_address(lab: LabProcess) -> None:
    answer = python(
        lab,
        """
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            answer = []
            for data in (b"one", b"x" * 1400, b""):
                s.sendto(data, ("echo.example", 7))
                back, address = s.recvfrom(65536)
                answer.append([back == data, address[0], address[1]])
        """,
    )

    assert answer == [[True, "203.0.113.30", 7]] * 3


def test_the_half_close_server_answers_after_the_end_of_what_it_reads(lab: LabProcess) -> None:
    answer = python(
        lab,
        """
        import hashlib, socket
        with socket.create_connection(("echo.example", 9007), timeout=5) as s:
            s.sendall(b"y" * 100_000)
            s.settimeout(0.2)
            try:
                early = s.recv(1).decode()
            except TimeoutError:
                early = None
            s.settimeout(5)
            s.shutdown(socket.SHUT_WR)
            line = s.makefile("rb").read().decode()
            answer = [early, line == f"100000 {hashlib.sha256(b'y' * 100_000).hexdigest()}\\n"]
        """,
    )

    assert answer == [None, True]


@pytest.mark.parametrize(
    ("host", "port", "error"),
    [
        ("shop.example", 81, "ECONNREFUSED"),
        ("dead.example", 80, "EHOSTUNREACH"),
        ("2001:db8::10", 80, "connected"),
        ("2001:db8::10", 81, "ECONNREFUSED"),
        ("2001:db8::53", 53, "connected"),
        ("dead6.example", 80, "ENETUNREACH"),
        ("2001:db9::1", 80, "ENETUNREACH"),
        ("::1", 7, "connected"),
    ],
)
def test_a_connect_fails_as_the_profile_says(lab: LabProcess, host: str, port: int, error: str) -> None:
    assert connect_error(lab, host, port) == error


@pytest.mark.parametrize("host", ["silent.example", "silent6.example"])
def test_the_silent_host_is_silent(lab: LabProcess, host: str) -> None:
    assert connect_error(lab, host, 80, timeout=0.5) == "silence"


def test_root_in_the_lab_may_open_ping_sockets(lab: LabProcess) -> None:
    answer = python(
        lab,
        """
        import socket, struct
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
            s.settimeout(5)
            s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"ping", ("203.0.113.10", 0))
            back, address = s.recvfrom(100)
            answer = [back[0], back[8:].decode(), address[0]]
        """,
    )

    assert answer == [0, "ping", "203.0.113.10"]


def test_the_laptop_has_servers_of_its_own(lab: LabProcess) -> None:
    assert fetch(lab, "127.0.0.1:8080/headers", "json.loads(body)['client'].split(':')[0]") == "127.0.0.1"
    assert connect_error(lab, "127.0.0.1", 7) == "connected"


def test_the_internet_does_not_reach_the_laptops_loopback(lab: LabProcess) -> None:
    answer = python(
        lab,
        """
        import socket
        with socket.socket() as s:
            s.settimeout(2)
            answer = s.connect_ex(("192.168.1.10", 8080))
        """,
        host="internet",
    )

    assert answer != 0


def test_there_is_no_way_to_the_real_network(lab: LabProcess) -> None:
    interfaces = {
        host: python(lab, "import socket\nanswer = [name for _, name in socket.if_nameindex()]", host)
        for host in lab.started.hosts
    }
    ours = {name for _, name in socket.if_nameindex()} - {"lo", "wifi"}

    assert interfaces == {"laptop": ["lo", "wifi"], "internet": ["lo", "wifi"]}
    assert all(connect_error(lab, "1.1.1.1", port) == "ENETUNREACH" for port in (53, 443))
    assert not ours & set(interfaces["laptop"])


def test_name_services_of_this_machine_are_out_of_sight(lab: LabProcess) -> None:
    files = python(
        lab,
        """
        import os
        answer = {"run": os.listdir("/run"), "resolv": open("/etc/resolv.conf").read(),
                  "hosts": open("/etc/hosts").read(), "name": os.uname().nodename}
        """,
    )

    assert {"nscd", "systemd", "dbus"}.isdisjoint(files["run"])
    assert files["resolv"] == "nameserver 203.0.113.53\nnameserver 2001:db8::53\n"
    assert "127.0.0.1 localhost" in files["hosts"]
    assert files["name"] == "laptop"
    assert Path("/etc/resolv.conf").read_text() != files["resolv"]


@pytest.mark.parametrize(
    ("laptop", "reached", "unreached", "resolver"),
    [
        ("ipv4", "203.0.113.10", "2001:db8::10", "nameserver 203.0.113.53\n"),
        ("ipv6", "2001:db8::10", "203.0.113.10", "nameserver 2001:db8::53\n"),
    ],
)
def test_a_laptop_of_one_family_reaches_nothing_of_the_other(
    laptop: Families, reached: str, unreached: str, resolver: str, tmp_path: Path
) -> None:
    description = LabDescription(scenario="one family", seed=1, guests=0, laptop=laptop)
    with LabProcess.start(description, tmp_path) as lab:
        assert connect_error(lab, reached, 80) == "connected"
        assert connect_error(lab, unreached, 80) == "ENETUNREACH"
        assert python(lab, "answer = open('/etc/resolv.conf').read()") == resolver
        names = "sorted({a[4][0] for a in socket.getaddrinfo('shop.example', 80)})"
        found = python(lab, f"import socket\nanswer = {names}")
        assert found == ["2001:db8::10", "203.0.113.10"]


def test_a_silent_tcp_client_keeps_nobody_from_the_name_server(lab: LabProcess) -> None:
    program = """
        import socket
        from dns import message, query
        silent = socket.create_connection(("203.0.113.53", 53), timeout=10)
        asked = message.make_query("shop.example", "A")
        answer = [
            ask(asked, "203.0.113.53", timeout=10).answer[0][0].address for ask in (query.tcp, query.udp)
        ]
        """
    assert python(lab, program) == ["203.0.113.10"] * 2


def test_a_lab_ends_though_a_tcp_client_of_the_name_server_is_there(tmp_path: Path) -> None:
    """Such a client has a process of its own, whose output is the server's."""
    with LabProcess.start(LabDescription(scenario="ends", seed=1, guests=0), tmp_path) as lab:
        program = """
            import os, socket, time
            silent = socket.create_connection(("203.0.113.53", 53), timeout=10)
            answer = silent.getpeername()
            if os.fork() == 0:
                for number in range(3):
                    os.close(number)
                time.sleep(100)
            """
        python(lab, program)
    journal = (tmp_path / "journal.jsonl").read_text()
    assert "LabStopped" in journal
    assert "did not stop well" not in journal
