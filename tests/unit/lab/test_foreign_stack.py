"""A stack of another distribution: what it says that it can, the lab uses."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.core.recorder import Direction
from guestnet.edge.clock import LabClock
from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.links import LinkControl
from guestnet.lab.requests import links as ask
from guestnet.lab.requests.request import Request
from guestnet.link.impairable import Settings
from guestnet.link.link import Link
from guestnet.link.settings import NOTHING, Impairments, Schedule
from guestnet.stacks import registry
from guestnet.stacks.base import Stack, StackOptions
from guestnet.world.links.running import Links
from tests.support.bench import Notebook
from tests.unit.lab.test_guests import Unplugging

LOSSY = Impairments(mtu=1300)


class TheirCables:
    """One, "cable"; it needs nothing of ours but the engine."""

    def __init__(self) -> None:
        self.link = Link("cable")

    def settings(self, name: str) -> Settings:
        return self.link.settings("up"), self.link.settings("down")

    async def impair(self, name: str, settings: Impairments, direction: Direction | None) -> None:
        self.link.impair(settings, 0, direction)

    async def put(self, name: str, settings: Settings) -> None:
        self.link.put(settings, 0)

    async def clear(self, name: str, settings: Sequence[str], direction: Direction | None) -> None:
        self.link.clear(0, *settings, direction=direction)

    async def schedule(self, name: str, schedule: Schedule | None) -> None:
        self.link.schedule(schedule, 0)

    def set_plugged(self, name: str, plugged: bool) -> None:
        self.link.set_plugged(plugged, 0)


class Theirs(Unplugging):
    """A stack whose cables can be impaired."""

    name = "theirs"
    capabilities = frozenset({"impairments"})

    def __init__(self, options: StackOptions) -> None:
        super().__init__()
        self.cables = TheirCables()


class Plain(Unplugging):
    """One that has nothing of the kind."""

    name = "plain"

    def __init__(self, options: StackOptions) -> None:
        super().__init__()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = EntryPoints(
        EntryPoint(name=stack.name, value=f"{__name__}:{stack.__name__}", group=registry.ENTRY_POINTS)
        for stack in (Theirs, Plain)
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: stacks.select(group=group))


def opened(name: str) -> Stack:
    return registry.open_stack(
        name, StackOptions(recorder=Notebook(), clock=LabClock(), seed=1, resolv_conf=Path("resolv.conf"))
    )


def asked(stack: Stack, *requests: Request[None]) -> ask.LinkSettings:
    """What the cable's settings are after ``requests``."""
    links = cast(Links, SimpleNamespace(names=["wan"]))
    guests = cast(Guests, SimpleNamespace(infos=[SimpleNamespace(link="cable", name="guest1")]))
    handlers = LinkControl(links, stack, guests).handlers

    async def run() -> ask.LinkSettings:
        for request in requests:
            await handlers[type(request)](request)
        settings = await handlers[ask.SettingsOf](ask.SettingsOf(link="cable"))
        assert isinstance(settings, ask.LinkSettings)
        return settings

    return asyncio.run(run())


@pytest.mark.usefixtures("installed")
def test_cables_of_a_stack_of_others_are_impaired_as_ours() -> None:
    stack = opened("theirs")
    settings = asked(stack, ask.Impair(link="cable", settings=LOSSY, direction="up"))
    assert (settings.up, settings.down) == (LOSSY, NOTHING)
    exactly = ask.LinkSettings(up=NOTHING, down=LOSSY)
    settings = asked(stack, ask.SetExactly(link="cable", settings=exactly))
    assert (settings.up, settings.down) == (NOTHING, LOSSY)
    settings = asked(stack, ask.Clear(link="cable"))
    assert (settings.up, settings.down) == (NOTHING, NOTHING)


@pytest.mark.usefixtures("installed")
def test_cables_of_a_stack_that_has_none_to_impair_are_told() -> None:
    with pytest.raises(DescriptionError, match="a cable of the stack plain, which nobody can impair"):
        asked(opened("plain"), ask.Impair(link="cable", settings=LOSSY, direction="up"))


@pytest.mark.usefixtures("installed")
def test_a_link_that_is_nobodys_is_told_with_those_that_are() -> None:
    with pytest.raises(DescriptionError, match=r"no link 'cabel'.*cable, wan"):
        asked(opened("theirs"), ask.Impair(link="cabel", settings=LOSSY, direction="up"))
