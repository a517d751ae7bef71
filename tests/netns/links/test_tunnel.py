"""A VPN's tunnel as a link: impaired while it comes and goes, and with its policies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.core import events
from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Constant, Flap, Lab, icmp
from guestnet.wire.ipv4 import ip4
from guestnet.world.profiles.load import load_profile, parse_profile, profile_folder
from tests.netns.links.test_links import HOOKS, expect_plain

pytestmark = pytest.mark.netns

REGISTRY = "10.20.0.5"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    profile = load_profile("corp-vpn-full")
    description = LabDescription(scenario="tunnel", seed=1, guests=0, profile=profile)
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(autouse=True)
def _as_at_first(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "lab" in request.fixturenames:
        lab: Lab = request.getfixturevalue("lab")
        lab.links.corp.clear()
        lab.vpn.set(kill_switch=False)
        lab.vpn.connect()


def ping(lab: Lab, count: int = 3, more: str = "") -> list[float]:
    """Round trips of the pings that came back, in ms."""
    ran = lab.laptop.run(f"ping -n -c {count} -i 0.02 -W 2 {more} {REGISTRY}")
    return [float(line.split("time=")[1].split()[0]) for line in ran.stdout.splitlines() if "time=" in line]


def test_a_tunnel_that_comes_and_goes_stays_impaired(lab: Lab) -> None:
    corp = lab.links.corp
    corp.impair(delay="15ms")
    assert min(ping(lab)) >= 30

    with lab.step("another address") as step:
        lab.vpn.reconnect(address="10.20.255.9/24")
        assert min(ping(lab)) >= 30
        asked = corp.packets(icmp.echo_request(), since=step)
        assert {each.ip.source for each in asked if each.ip is not None} == {ip4("10.20.255.9")}
    lab.vpn.set(mtu=1420)
    assert min(ping(lab, more="-M do -s 1392")) >= 30
    lab.vpn.disconnect()
    assert ping(lab, 1) == []
    lab.vpn.connect()
    assert min(ping(lab)) >= 30
    corp.clear()
    expect_plain(lab)
    assert len(ping(lab)) == 3


def test_packets_that_are_held_when_the_tunnel_goes_down_are_lost_and_told(lab: Lab) -> None:
    since = lab.now()
    lab.links.corp.impair("up", delay="2s")
    lab.laptop.run(f"ping -n -c 1 -W 1 {REGISTRY} >/dev/null & sleep 0.1", check=True)
    lab.vpn.disconnect()
    lost = lab.links.corp.dropped.expect(icmp.echo_request(), within=10.0, since=since)
    assert lost.comment == "interface down"


def test_policies_are_as_without(lab: Lab) -> None:
    """The kill switch lets the tunnel alone out; what the engine sends on is inside it."""
    since = lab.now()
    lab.vpn.set(kill_switch=True)
    lab.links.corp.impair(delay="5ms")
    assert len(ping(lab)) == 3
    assert "0 received" in lab.laptop.run("ping -n -c 1 -W 0.3 -I wifi 203.0.113.10").stdout
    assert lab.links.wifi.packets(icmp.echo_request(), since=since) == []


def test_a_flap_inside_the_tunnel_is_told(lab: Lab) -> None:
    lab.links.corp.impair("down", flap=Flap("200ms", "300ms"))
    down = lab.journal.expect(events.LinkChanged, link="corp", change="flap: down", within=10.0)
    up = lab.journal.expect(events.LinkChanged, link="corp", change="flap: up", within=10.0)
    assert (down.direction, up.at - down.at) == ("down", 300_000_000)


def test_a_vpn_has_no_plug(lab: Lab) -> None:
    with pytest.raises(DescriptionError, match="corp is a VPN, which has no plug") as caught:
        lab.links.corp.pull()
    assert "impair(down=True)" in caught.value.remedy
    fixed: Any = {"impair": {"loss": 0.1}}
    with pytest.raises(DescriptionError, match="has no setting 'impair'"):
        lab.vpn.set(**fixed)
    with pytest.raises(DescriptionError, match=r"give one of .*corp"):
        lab.links.crp.impair(loss=1)


def test_a_profile_impairs_a_tunnel_from_the_start_and_a_lab_may_end_so(tmp_path: Path) -> None:
    text = (profile_folder() / "corp-vpn-full.toml").read_text()
    impaired = parse_profile(
        text + 'impair = { delay = "10ms", up = { drop = "1st icmp" } }\n', "impaired.toml"
    )
    assert load_profile("corp-vpn-full").vpns["corp"].impair is None
    description = LabDescription(scenario="tunnel", seed=1, guests=0, profile=impaired)
    with Lab.start(description, tmp_path) as lab:
        round_trips = ping(lab)
        assert len(round_trips) == 2
        assert min(round_trips) >= 20
        assert lab.links.corp.dropped.expect(icmp.echo_request()).comment == "drop 1st icmp"
        assert lab.links.corp.settings.down.delay == Constant("10ms")
        assert "_w" in lab.laptop.run(HOOKS).stdout


def test_a_wrong_setting_of_a_tunnel_is_told_with_its_line() -> None:
    text = (profile_folder() / "corp-vpn-full.toml").read_text()
    line = text.count("\n") + 1
    with pytest.raises(DescriptionError, match=rf"impaired.toml:{line}.*loss"):
        parse_profile(text + "impair = { loss = 3 }\n", "impaired.toml")
