"""What a scenario can reach from its lab: by name, shown at a prompt, and there to be imported."""

import inspect
from pathlib import Path
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import pytest

import guestnet.scenario
from guestnet.core.errors import DescriptionError, LabError
from guestnet.core.events import Noted
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.links import LinkSettings, SettingsOf
from guestnet.lab.requests.portal import PortalState, PortalStates
from guestnet.lab.requests.request import Request
from guestnet.lab.requests.world import UplinkState, UplinkStates, VpnState, VpnStates
from guestnet.link.settings import NOTHING, Impairments
from guestnet.scenario import Lab
from guestnet.world.described.portal import Ways
from guestnet.world.described.vpn import Vpn
from tests.unit.scenario.fake_lab import FakeLab, tcp_frame

CORP = Vpn(ends={"laptop": ("10.20.255.2/24",), "corp": ("10.20.255.1/24",)}, endpoint="203.0.113.9")


def uplink(name: str, *, up: bool) -> UplinkState:
    return UplinkState(
        name=name, kind="wifi", link=name, up=up, addresses=("192.168.1.77/24",), gateways=(), resolvers=(),
        metric=0,
    )  # fmt: skip


def portal(name: str, *machines: str) -> PortalState:
    return PortalState(
        name=name, ways=Ways(), url="http://login.example/", api="", open_for=dict.fromkeys(machines)
    )


@pytest.fixture
def lab(fake: FakeLab) -> Lab:
    fake.replies = {
        UplinkStates: [uplink("wifi", up=True), uplink("lte", up=False)],
        VpnStates: [VpnState(name="corp", status="up", settings=CORP, transport="udp")],
        PortalStates: [portal("hotel"), portal("bar", "02:00:00:00:00:09")],
        SettingsOf: LinkSettings(up=Impairments(delay="40ms"), down=NOTHING),
    }
    return Lab(cast(LabProcess, fake))


def test_at_a_prompt_each_says_what_is_there(lab: Lab, fake: FakeLab) -> None:
    fake.frames(tcp_frame("S", to=("10.0.0.1", 1)), tcp_frame("S", to=("10.0.0.1", 1)))
    fake.event(Noted(at=0, text="hello"))
    shown = [
        lab, lab.guest, lab.laptop, lab.cable, lab.cable.dropped, lab.journal, lab.links,
        lab.uplinks, lab.uplinks["wifi"], lab.uplinks["lte"], lab.vpns, lab.vpn,
        lab.portals, lab.portals["hotel"], lab.portals["bar"],
    ]  # fmt: skip
    assert [repr(each) for each in shown] == [
        "<Lab test: world plain, stack builtin, guests: guest1>",
        "<Guest guest1: qemu, 52:54:00:65:00:01 on cable>",
        "<Host laptop>",
        "<Link cable: 2 frames, up delay 40 ms, down plain>",
        "<LinkView cable-dropped: 0 frames>",
        "<JournalView: 1 event>",
        "<lab.links: cable>",
        "<lab.uplinks: wifi, lte>",
        "<UplinkView wifi: up, 192.168.1.77/24>",
        "<UplinkView lte: down, 192.168.1.77/24>",
        "<lab.vpns: corp>",
        "<VpnView corp: up, 10.20.255.2/24, by udp>",
        "<lab.portals: hotel, bar>",
        "<PortalView hotel: nobody is logged in>",
        "<PortalView bar: open for 02:00:00:00:00:09>",
    ]


def test_a_link_says_what_is_the_same_both_ways_once(lab: Lab, fake: FakeLab) -> None:
    worse = Impairments(loss="3%")
    fake.replies[SettingsOf] = LinkSettings(up=worse, down=worse)
    assert repr(lab.cable) == "<Link cable: 0 frames, both ways loss 3%>"
    fake.replies[SettingsOf] = LinkSettings(up=NOTHING, down=NOTHING)
    assert repr(lab.cable) == "<Link cable: 0 frames, nothing impairs it>"


def test_what_can_not_be_asked_any_more_says_so(
    lab: Lab, fake: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    corp = lab.vpn

    def gone(request: Request[Any], *, timeout: float | None = None) -> None:
        raise LabError("the lab is gone", remedy="start another one")

    monkeypatch.setattr(fake, "call", gone)
    assert [repr(each) for each in (lab.uplinks, corp, lab.cable, lab.journal)] == [
        "<lab.uplinks: the lab is gone>", "<VpnView corp: the lab is gone>", "<Link cable: the lab is gone>",
        "<JournalView: the lab is gone>",
    ]  # fmt: skip


def test_by_name_or_the_only_one(lab: Lab, fake: FakeLab) -> None:
    assert list(lab.uplinks) == ["wifi", "lte"]
    assert len(lab.portals) == 2
    assert lab.vpn.name == lab.vpns["corp"].name == "corp"
    with pytest.raises(DescriptionError) as unknown:
        lab.uplinks["wfi"]
    assert str(unknown.value) == "there is no uplink 'wfi': there are wifi, lte"
    with pytest.raises(DescriptionError, match=r"2 captive portals: say lab.portals\[…\]; there are hotel"):
        lab.portal.login()
    fake.replies[VpnStates] = []
    with pytest.raises(DescriptionError, match=r"this world has 0 VPNs: .*none: this world has no \[vpns\]"):
        lab.vpn.drop()


# What can be reached can be imported, to be named in a signature


def test_whatever_is_reached_from_a_lab_can_be_imported() -> None:
    seen: set[type] = set()
    queue: list[type] = [Lab]
    while queue:
        kind = queue.pop()
        if kind in seen or not kind.__module__.startswith("guestnet.scenario"):
            continue
        seen.add(kind)
        queue += [each for hint in get_type_hints(kind).values() for each in classes(hint)]
        for name, member in inspect.getmembers(kind):
            function = member.fget if isinstance(member, property) else member
            if not name.startswith("_") and inspect.isfunction(function):
                queue += classes(get_type_hints(function).get("return"))
    names = {kind.__name__ for kind in seen}
    assert names >= {"Guest", "Host", "VpnView", "UplinkView", "PortalView", "Links", "Detection", "Transfer"}
    assert names <= set(guestnet.scenario.__all__)


def classes(hint: Any) -> list[type]:
    """The classes that an annotation names."""
    if get_origin(hint) in (Union, UnionType) or get_args(hint):
        inner = [each for one in get_args(hint) for each in classes(one)]
        return inner + ([get_origin(hint)] if inspect.isclass(get_origin(hint)) else [])
    return [hint] if inspect.isclass(hint) else []


def test_all_that_is_exported_is_there() -> None:
    for name in guestnet.scenario.__all__:
        assert getattr(guestnet, name) is getattr(guestnet.scenario, name)
    assert sorted(guestnet.scenario.__all__) == guestnet.scenario.__all__
    assert Path(guestnet.scenario.__file__).name == "__init__.py"
