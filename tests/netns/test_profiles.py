"""Every ready profile starts, and what should work there does: names, a page, an echo."""

import json
from pathlib import Path

import pytest

from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import RunOn
from guestnet.world.profiles.load import load_profile, profile_names

pytestmark = pytest.mark.netns

CLOSED = {"offline", "hotel-wifi", "corp-firewall-strict", "corp-proxy-only"}
"""There is something in the way, and scenarios say what."""

ONLINE = sorted(set(profile_names()) - CLOSED)


FILES = ("203.0.113.20", "2001:db8::20")
TRIES = """
getent ahosts files.example >{folder}/names &
curl --silent --max-time 30 http://shop.example/ >{folder}/page &
perl -MIO::Socket::IP -e '
    my $socket = IO::Socket::IP->new(PeerHost => "echo.example", PeerPort => 7, Timeout => 20) or die $@;
    print $socket "hello\n";
    print scalar <$socket>;
' >{folder}/echo &
wait
"""
"""All at once: on some of these networks each takes its time."""


@pytest.mark.parametrize("name", ONLINE)
def test_a_laptop_of_this_profile_is_online(name: str, tmp_path: Path) -> None:
    with LabProcess.start(LabDescription(scenario=name, seed=1, guests=0, profile=name), tmp_path) as lab:
        ran = lab.call(RunOn(host="laptop", command=TRIES.format(folder=tmp_path), timeout=60.0))

    assert (tmp_path / "names").read_text().partition(" ")[0] in FILES, ran.stderr
    assert "This is shop" in (tmp_path / "page").read_text()
    assert (tmp_path / "echo").read_text() == "hello\n", ran.stderr


@pytest.mark.parametrize("name", sorted(CLOSED & set(profile_names())))
def test_a_laptop_of_this_profile_starts(name: str, tmp_path: Path) -> None:
    with LabProcess.start(LabDescription(scenario=name, seed=1, guests=0, profile=name), tmp_path) as lab:
        links = json.loads(lab.call(RunOn(host="laptop", command=["ip", "-json", "link"])).stdout)

    assert {link["ifname"] for link in links} >= set(load_profile(name).uplinks)
