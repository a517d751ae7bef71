"""Programs that people use, in a namespace guest, through the builtin stack to the laptop."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab
from guestnet.system.programs import require

pytestmark = pytest.mark.netns

HOST = "host.docker.internal"
PORT = 5201


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all: what these programs leave behind has to be nothing."""
    description = LabDescription(scenario="clients", seed=1, guest="netns", capture="none")
    folder: Path = tmp_path_factory.mktemp("clients")
    try:
        lab = Lab.start(description, folder / "lab")
    except EnvironmentMissing as error:
        pytest.skip(str(error))
    with lab:
        yield lab


@pytest.fixture(scope="module")
def iperf(lab: Lab) -> str:
    """How a client begins."""
    require("iperf3")
    lab.laptop.run(f"iperf3 --server --daemon --port {PORT}", check=True)
    return f"iperf3 --client {HOST} --port {PORT} --json"


def report(lab: Lab, command: str) -> dict[str, Any]:
    """What iperf3 says at its end."""
    told = json.loads(lab.guest.run(command, timeout=60).stdout)
    assert "error" not in told, told["error"]
    end: dict[str, Any] = told["end"]
    return end


@pytest.mark.parametrize("options", ["", "--reverse", "--parallel 32", "--parallel 32 --reverse"])
def test_iperf3_over_tcp(lab: Lab, iperf: str, options: str) -> None:
    end = report(lab, f"{iperf} --bytes 16M {options}")
    assert len(end["streams"]) == (32 if "parallel" in options else 1)
    assert end["sum_sent"]["bytes"] >= 16 << 20
    assert end["sum_received"]["bytes"] > 0


def test_iperf3_both_ways_at_once(lab: Lab, iperf: str) -> None:
    end = report(lab, f"{iperf} --time 1 --bidir")
    assert end["sum_received"]["bytes"] > 0
    assert end["sum_received_bidir_reverse"]["bytes"] > 0


@pytest.mark.parametrize("options", ["", "--reverse"])
def test_iperf3_over_udp_states_its_loss(lab: Lab, iperf: str, options: str) -> None:
    """10 Mbit/s is nothing that a stack may lose of, but a machine that is busy may."""
    total = report(lab, f"{iperf} --udp --bitrate 10M --time 1 {options}")["sum"]
    assert total["packets"] > 500
    assert 0 <= total["lost_percent"] < 50


def test_curl_takes_fifty_pages_at_once(lab: Lab) -> None:
    pages = " ".join(f"--output /dev/null http://shop.example/?{number}" for number in range(50))
    ran = lab.guest.run(
        f"curl --silent --show-error --parallel --parallel-max 50 --write-out '%{{http_code}} ' {pages}",
        check=True,
    )
    assert ran.stdout.split() == ["200"] * 50


@pytest.mark.parametrize("name", [HOST, "echo.example", "gateway.docker.internal"])
def test_ping_of_sixty_thousand_octets(lab: Lab, name: str) -> None:
    ping = lab.guest.ping(name, count=3, interval=0.05, timeout=10, size=60_000)
    assert ping.received == 3


def test_ping_often(lab: Lab) -> None:
    ping = lab.guest.ping("echo.example", count=50, interval=0.01, timeout=10)
    assert ping.received == 50


def test_an_idle_session_lives_as_long_as_its_keepalives_are_answered(lab: Lab) -> None:
    """The guest's kernel asks every second and gives up after two; then the session goes on."""
    options = "keepalive,keepidle=1,keepintvl=1,keepcnt=2"
    said = lab.guest.run(
        f"{{ echo before; sleep 4; echo after; sleep 0.2; }} | socat -t 10 - TCP:echo.example:7,{options}",
        timeout=60,
        check=True,
    )
    assert said.stdout.split() == ["before", "after"]
