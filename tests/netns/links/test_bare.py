"""Links between devices without a link layer, as a kernel's WireGuard has them: TUN devices here."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from guestnet.core import events
from guestnet.journal.query import Packet, Trace
from guestnet.wire import ethernet
from tests.netns.conftest import ROOT

pytestmark = pytest.mark.netns

LAPTOP, GATEWAY = "02:00:00:02:00:01", "02:00:00:02:00:02"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Trace]:
    """What the programs said, and what was recorded."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("this user can't open /dev/net/tun: sudo chmod 0666 /dev/net/tun")
    folder = tmp_path_factory.mktemp("tun")
    program = ["unshare", "-rn", sys.executable, "-m", "tests.netns.links.tun_world", str(folder)]
    ran = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    trace = Trace(folder)
    trace.refresh()
    return json.loads(ran.stdout), trace


def frames(packets: Sequence[Packet], link: str, comment: str = "") -> list[Packet]:
    return [each for each in packets if each.link == link and comment in each.comment]


def test_programs_see_a_link_as_it_is_set(ran: tuple[dict[str, str], Trace]) -> None:
    said, _ = ran
    assert "2 received" in said["plain"]
    assert "2 received" in said["plain6"]
    assert "1 received" in said["lost"]
    assert round_trip(said["lost"]) >= 20
    assert "2 received" in said["delayed6"]
    assert round_trip(said["delayed6"]) >= 40
    assert "mtu = 1300" in said["too big"]
    assert "Packet too big: mtu=1300" in said["too big6"]
    assert said["octets"].strip() == "300000"
    assert "0 received" in said["hole"]
    assert (said["left"], said["faults"]) == ("", "[]")
    assert "2 received" in said["plain again"]


def test_the_capture_is_ethernet_all_the_same(ran: tuple[dict[str, str], Trace]) -> None:
    _, trace = ran
    captured = frames(trace.all_packets, "corp")
    assert captured
    for packet in captured:
        assert packet.error is None, packet
        assert packet.eth is not None
        macs = [str(packet.eth.source), str(packet.eth.destination)]
        assert macs == ([LAPTOP, GATEWAY] if packet.direction == "up" else [GATEWAY, LAPTOP]), packet
        assert packet.eth.ethertype in (ethernet.EtherType.IPV4, ethernet.EtherType.IPV6)
    assert max(packet.wire_length for packet in captured if packet.tcp) <= 1414


def test_verdicts_are_told_as_of_any_link(ran: tuple[dict[str, str], Trace]) -> None:
    _, trace = ran
    packets = trace.all_packets
    assert [each.direction for each in frames(packets, "corp-dropped", "drop 1st icmp echo-request")] == [
        "up"
    ]
    # What comes down is captured where it arrives, and known again there.
    held = frames(packets, "corp", "held 20 ms by delay 20 ms")
    assert sorted(str(each.direction) for each in held) == ["down", "down", "up", "up", "up"]
    assert [each.direction for each in frames(packets, "corp", "answer of the link")] == ["down", "down"]
    assert {each.direction for each in frames(packets, "corp-dropped", "drop every 10th tcp")} == {
        "up",
        "down",
    }
    lost = [each for each in frames(packets, "corp-dropped", "down") if each.icmp]
    assert len(lost) == 2
    rules = {each.rule for each in trace.all_events if isinstance(each, events.FrameDropped)}
    assert {"drop 1st icmp echo-request", "drop every 10th tcp", "down", "mtu 1300"} <= rules


def round_trip(said: str) -> float:
    """The shortest one that ping(8) tells of, in ms."""
    return float(said.split("min/avg/max/mdev = ")[1].split("/")[0])
