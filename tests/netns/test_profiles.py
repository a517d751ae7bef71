"""Every ready profile starts, and what should work there does: names, a page, an echo."""

import json
from pathlib import Path

import pytest

from harness.lab.client import LabProcess
from harness.lab.description import LabDescription
from harness.lab.protocol import RunOn, RunResult
from harness.world.profiles import load_profile, profile_names

pytestmark = pytest.mark.netns

CLOSED = {"offline", "hotel-wifi", "corp-firewall-strict", "corp-proxy-only"}
"""There is something in the way, and scenarios say what."""

ONLINE = sorted(set(profile_names()) - CLOSED)


def on_laptop(lab: LabProcess, *command: str) -> RunResult:
    return lab.call(RunOn(host="laptop", command=list(command), timeout=60.0))


@pytest.mark.parametrize("name", ONLINE)
def test_a_laptop_of_this_profile_is_online(name: str, tmp_path: Path) -> None:
    with LabProcess.start(LabDescription(scenario=name, seed=1, guests=0, profile=name), tmp_path) as lab:
        found = on_laptop(lab, "getent", "ahostsv4", "shop.example").stdout.decode().split()
        page = on_laptop(lab, "curl", "--silent", "--max-time", "30", "http://shop.example/").stdout
        echo = on_laptop(
            lab, "perl", "-MIO::Socket::IP", "-e",
            '$s = IO::Socket::IP->new(PeerHost => "echo.example", PeerPort => 7, Timeout => 20) or die "$@";'
            'print $s "hello\\n"; print scalar <$s>',
        )  # fmt: skip

    assert found[:1] == ["203.0.113.10"]
    assert b"This is shop" in page
    assert echo.stdout == b"hello\n", echo.stderr.decode()


@pytest.mark.parametrize("name", sorted(CLOSED & set(profile_names())))
def test_a_laptop_of_this_profile_starts(name: str, tmp_path: Path) -> None:
    with LabProcess.start(LabDescription(scenario=name, seed=1, guests=0, profile=name), tmp_path) as lab:
        links = json.loads(on_laptop(lab, "ip", "-json", "link").stdout)

    assert {link["ifname"] for link in links} >= set(load_profile(name).uplinks)
