"""Links of a real world: captured, impaired by the engine, and plain veth pairs again afterwards."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.cli import checks
from guestnet.core import events
from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND
from guestnet.journal.pcapng import Direction
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.links import LinkSettings
from guestnet.link.settings import NOTHING
from guestnet.scenario import Burst, Constant, Lab, Mtu, Reorder, at, icmp, tcp
from guestnet.world.profiles.load import parse_profile

pytestmark = pytest.mark.netns

SHOP = "203.0.113.10"
WORLD = """
name = "two"
[hosts.laptop]
routes = [{ to = "10.9.2.0/24", via = "10.9.1.2" }, { to = "2001:db8:92::/64", via = "2001:db8:91::2" }]
[hosts.router]
forward = true
[hosts.server]
routes = [{ to = "10.9.1.0/24", via = "10.9.2.2" }, { to = "2001:db8:91::/64", via = "2001:db8:92::2" }]
[links.near]
ends = { laptop = ["10.9.1.1/24", "2001:db8:91::1/64"], router = ["10.9.1.2/24", "2001:db8:91::2/64"] }
impair = { delay = "20ms", up = { drop = "2nd icmp" } }
[links.far]
ends = { router = ["10.9.2.2/24", "2001:db8:92::2/64"], server = ["10.9.2.3/24", "2001:db8:92::3/64"] }
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    description = LabDescription(scenario="links", seed=1, guests=0)
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(autouse=True)
def _cleared(lab: Lab) -> Iterator[None]:
    yield
    lab.links.wifi.clear()


def ping(lab: Lab, count: int = 3, size: int = 56) -> list[float]:
    """Round trips of the pings that came back, in ms."""
    ran = lab.laptop.run(f"ping -n -c {count} -i 0.01 -W 2 -s {size} {SHOP}")
    return [float(line.split("time=")[1].split()[0]) for line in ran.stdout.splitlines() if "time=" in line]


HOOKS = "nft list tables netdev; ip -o link | grep _w"


def hooks(lab: Lab) -> str:
    """What is left on the laptop of impairments."""
    return lab.laptop.run(f"{HOOKS}; true").stdout


def expect_plain(lab: Lab) -> None:
    """Wait until nothing is: a link may count what it held until a second is over."""
    lab.laptop.run(f'until [ -z "$({HOOKS})" ]; do sleep 0.05; done', timeout=20, check=True)


def test_a_link_that_nobody_impairs_is_captured_as_it_is(lab: Lab) -> None:
    since = lab.now()
    assert len(ping(lab, 2)) == 2
    ways: list[Direction | None] = [
        packet.direction for packet in lab.links.wifi.packets(icmp.echo_request(), since=since)
    ]
    assert ways == ["up", "up"]
    assert len(lab.links.wifi.packets(icmp.echo_reply(), since=since)) == 2
    assert hooks(lab) == ""


def test_a_big_transfer_is_captured_as_a_wire_has_it(lab: Lab) -> None:
    since = lab.now()
    assert lab.laptop.run("curl -s http://203.0.113.20/size/60000 | wc -c").stdout.strip() == "60000"
    data = lab.links.wifi.packets(tcp.data(source=("203.0.113.20", 80)), since=since)
    assert max(packet.wire_length for packet in data) <= 1514
    assert all(packet.error is None for packet in data)


def test_delays_add_up_and_are_taken_back(lab: Lab) -> None:
    lab.links.wifi.impair("up", delay="30ms")
    assert min(ping(lab)) >= 30
    lab.links.wifi.impair("down", delay="20ms")
    assert min(ping(lab)) >= 50
    lab.links.wifi.clear("delay", direction="up")
    assert 20 <= min(ping(lab, 20)) < 50
    held = lab.links.wifi.packets(icmp.echo_reply())[-1]
    assert held.comment == "held 20 ms by delay 20 ms"
    lab.journal.expect(
        events.FramesDelayed,
        lambda event: held.packet_id in [one.packet_id for one in event.verdicts()],
        direction="down",
        rule="delay 20 ms",
        within=10,
    )


def test_what_is_lost_is_captured_with_the_rule(lab: Lab) -> None:
    since = lab.now()
    lab.links.wifi.impair("up", drop="1st icmp echo-request")
    assert len(ping(lab, 3)) == 2
    (lost,) = lab.links.wifi.dropped.packets(since=since)
    assert (lost.comment, lost.direction) == ("drop 1st icmp echo-request", "up")
    assert len(lab.links.wifi.packets(icmp.echo_request(), since=since)) == 2
    event = lab.journal.expect(events.FrameDropped, since=since)
    assert (event.link, event.rule, event.direction) == ("wifi", "drop 1st icmp echo-request", "up")
    assert event.packet_id == lost.packet_id > 0


def test_settings_are_as_before_after_a_block(lab: Lab) -> None:
    wifi = lab.links.wifi
    wifi.impair(delay="1ms")
    before = wifi.settings
    with wifi.impaired("down", loss=1.0, delay="2ms"):
        assert ping(lab, 1) == []
        assert wifi.settings.up == before.up
    assert wifi.settings == before
    assert len(ping(lab)) == 3


def test_without_settings_a_link_is_plain_again(lab: Lab) -> None:
    lab.links.wifi.impair(loss=Burst("1%", 2), reorder=Reorder("1%"))
    assert "guestnet-w" in hooks(lab)
    lab.links.wifi.clear()
    assert lab.links.wifi.settings == LinkSettings(up=NOTHING, down=NOTHING)
    assert len(ping(lab)) == 3
    expect_plain(lab)
    assert len(ping(lab)) == 3


def test_what_is_held_arrives_in_order_when_all_is_cleared(lab: Lab) -> None:
    lab.links.wifi.impair("up", delay="300ms")
    since = lab.now()
    lab.laptop.run(f"ping -n -c 5 -i 0.01 -W 1 {SHOP} >/dev/null & sleep 0.1", check=True)
    lab.links.wifi.clear()
    for _ in range(5):
        lab.links.wifi.expect(icmp.echo_request(), within=5.0, since=since)
    lab.links.wifi.expect(icmp.echo_reply(sequence=5), within=5.0, since=since)
    came = [
        packet.icmp.sequence
        for packet in lab.links.wifi.packets(icmp.echo_reply(), since=since)
        if packet.icmp
    ]
    assert came == sorted(came)


def test_a_schedule_is_followed_and_ends_with_clear(lab: Lab) -> None:
    since = lab.now()
    lab.links.wifi.schedule([at("0s", down=True), at("100ms", clear="down")], repeat="60s")
    assert ping(lab, 1) == [] or lab.now() - since > 100 * MILLISECOND
    lab.journal.expect(events.LinkChanged, link="wifi", change="not impaired", within=10.0, since=since)
    assert len(ping(lab)) == 3


def test_a_packet_that_is_too_big_is_answered(lab: Lab) -> None:
    lab.links.wifi.impair("up", mtu=1300)
    ran = lab.laptop.run(f"ping -n -M do -c 2 -i 0.1 -W 1 -s 1400 {SHOP}")
    assert "mtu" in ran.stdout
    assert lab.links.wifi.expect(icmp.unreachable(code=4)).comment == "answer of the link"
    lab.laptop.run("ip route flush cache")
    lab.links.wifi.impair("up", mtu=Mtu(1300, black_hole=True))
    assert ping(lab, 1, size=1400) == []


def test_a_pulled_plug_is_no_carrier_and_routes_come_back(lab: Lab) -> None:
    internet = lab.hosts["internet"]
    before = internet.run("ip -4 route; ip -6 route | grep -v fe80").stdout
    lab.links.wifi.pull()
    assert "NO-CARRIER" in lab.laptop.run("ip link show wifi").stdout
    lab.links.wifi.plug()
    assert "NO-CARRIER" not in lab.laptop.run("ip link show wifi").stdout
    assert sorted(internet.run("ip -4 route; ip -6 route | grep -v fe80").stdout.split("\n")) == sorted(
        before.split("\n")
    )
    assert len(ping(lab, 1)) == 1


def test_an_impossible_setting_is_an_error_of_the_scenario(lab: Lab) -> None:
    unknown: Any = {"los": 0.1}
    with pytest.raises(DescriptionError, match="there is no such impairment"):
        lab.links.wifi.impair(**unknown)
    with pytest.raises(DescriptionError, match="is no share"):
        lab.links.wifi.impair(loss=2)
    with pytest.raises(DescriptionError, match="there is no link 'wfi': give one of wifi"):
        lab.links.wfi.impair(loss=0.1)
    with pytest.raises(DescriptionError, match="no such impairment"):
        lab.links.wifi.clear("los")


def test_many_cycles_leave_nothing(lab: Lab) -> None:
    descriptors = f"ls /proc/{lab.status().pids['lab']}/fd | wc -l"

    def cycle() -> None:
        lab.links.wifi.impair("down", loss="1%")
        lab.links.wifi.clear()

    cycle()
    expect_plain(lab)
    before = int(lab.laptop.run(descriptors).stdout)
    cycles = int(os.environ.get("GUESTNET_CYCLES", "10"))
    for _ in range(cycles):
        cycle()
    expect_plain(lab)
    # The tap's may not be there again yet: one more or less.
    assert abs(int(lab.laptop.run(descriptors).stdout) - before) <= 1 < cycles
    assert len(ping(lab, 1)) == 1


def test_a_profile_impairs_its_links_from_the_start(tmp_path: Path) -> None:
    description = LabDescription(scenario="links", seed=1, guests=0, profile=parse_profile(WORLD, "two.toml"))
    with Lab.start(description, tmp_path) as lab:
        ran = lab.laptop.run("ping -n -c 3 -i 0.05 -W 1 10.9.2.3")
        assert "3 packets transmitted, 2 received" in ran.stdout
        assert lab.links.near.settings.down.delay == Constant("20ms")
        assert len(lab.links.far.packets(icmp.echo_request())) == 2
        assert all(packet.direction == "up" for packet in lab.links.far.packets(icmp.echo_request()))

        # What a link in the middle says reaches those beyond its ends, too.
        lab.links.far.impair(mtu=1400)
        for host, there in (("10.9.2.3", "frag needed"), ("2001:db8:92::3", "Packet too big")):
            ran = lab.laptop.run(f"ping -n -M do -s 1450 -c 2 -i 0.1 -W 1 {host}")
            assert there.lower() in ran.stdout.lower(), ran.stdout


def test_a_machine_without_egress_hooks_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nft(8) says it on Linux 5.10; the doctor asks the same way."""
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\necho 'Error: Could not process rule: Operation not supported' >&2; exit 1\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    finding = checks.check_impairments()
    assert finding.verdict == "optional"
    assert "a hook at the egress of wifi" in finding.found
    assert "5.16" in finding.remedy
    assert "CONFIG_NETFILTER_EGRESS" in finding.remedy


def test_no_capture_no_taps(tmp_path: Path) -> None:
    description = LabDescription(scenario="links", seed=1, guests=0, capture="none")
    with Lab.start(description, tmp_path) as lab:
        lab.links.wifi.impair("up", delay="5ms")
        assert min(ping(lab)) >= 5
        assert lab.links.wifi.packets() == []


def test_headers_alone_are_kept_with_the_lengths_of_frames(tmp_path: Path) -> None:
    description = LabDescription(scenario="links", seed=1, guests=0, capture="headers")
    with Lab.start(description, tmp_path) as lab:
        assert lab.laptop.run("curl -s http://203.0.113.20/size/300000 | wc -c").stdout.strip() == "300000"
        data = lab.links.wifi.packets(tcp.data(source=("203.0.113.20", 80)))
        assert max(len(packet.data) for packet in data) <= 128
        assert sum(packet.wire_length for packet in data) > 300_000
