"""NAT mappings of a world's router, when the lab clock jumps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestnet.core.errors import LabError
from guestnet.core.events import ClockJumped, Noted
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab
from guestnet.world.described.model import Host, Link, Route, Uplink
from guestnet.world.described.server import Server
from guestnet.world.described.world import World

pytestmark = pytest.mark.netns

SERVER = "203.0.113.10"
WORLD = World(
    name="nat",
    hosts={
        "laptop": Host(),
        "router": Host(
            routes=(Route(to="default", via="198.51.100.1"),), forward=True, masquerade=("wan",),
            nat_timeouts={"udp": 90, "udp-stream": 180, "tcp": 7440},
        ),
        "internet": Host(addresses=(SERVER,)),
    },
    links={
        "wifi": Link(ends={"laptop": ("192.168.1.10/24",), "router": ("192.168.1.1/24",)}),
        "wan": Link(ends={"router": ("198.51.100.2/30",), "internet": ("198.51.100.1/30",)}),
    },
    uplinks={"wifi": Uplink(gateways=("192.168.1.1",))},
    servers={"echo": Server(kind="echo", host="internet", addresses=(SERVER,), port=7)},
)  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    description = LabDescription(scenario="nat", seed=1, guests=0, profile=WORLD)
    with Lab.start(description, tmp_path / "lab") as lab:
        yield lab


def wait_for_flows(lab: Lab, number: int) -> None:
    """Until the router knows so many."""
    told = "/proc/sys/net/netfilter/nf_conntrack_count"
    lab.hosts["router"].run(f'until [ "$(cat {told})" = {number} ]; do sleep 0.02; done', check=True)


def test_mappings_end_when_they_were_idle_for_their_time(lab: Lab) -> None:
    assert lab.laptop.udp_echo(SERVER, 7, b"hello") == b"hello"
    talk = f"exec 3<>/dev/tcp/{SERVER}/7; echo hello >&3; read -r line <&3; touch /run/said; sleep 3600"
    lab.laptop.run(["bash", "-c", f"({talk}) </dev/null >/dev/null 2>&1 &"], check=True)
    lab.laptop.run("until [ -e /run/said ]; do sleep 0.02; done", check=True)
    wait_for_flows(lab, 2)

    lab.jump("1min")
    wait_for_flows(lab, 2)
    lab.jump("3min")
    wait_for_flows(lab, 1)
    lab.jump("1h")
    wait_for_flows(lab, 1)
    lab.sleep(hours=2)
    wait_for_flows(lab, 0)
    assert [event.seconds for event in lab.journal.events(ClockJumped)] == [60, 180, 3600, 7200]
    assert len(lab.journal.events(Noted, lambda event: "forgot 1 flows" in event.text)) == 2


def test_a_laptop_without_guests_sleeps_too_and_never_twice_at_once(lab: Lab) -> None:
    lab.sleep(hours=8)
    assert lab.laptop.connect(SERVER, 7).connected
    with lab.asleep(hours=1):
        assert lab.laptop.connect(SERVER, 7).error == "ENETUNREACH"
        with pytest.raises(LabError, match="asleep already"):
            lab.sleep(hours=1)
    assert lab.laptop.connect(SERVER, 7).connected
