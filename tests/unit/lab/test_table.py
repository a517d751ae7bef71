"""Who answers which request."""

import asyncio
from pathlib import Path
from typing import Any, cast, get_args

from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.links import LinkControl
from guestnet.lab.controls.portal import PortalControl
from guestnet.lab.controls.sleep import Sleep
from guestnet.lab.controls.table import handlers_of
from guestnet.lab.controls.world import WorldControl
from guestnet.lab.lab import Lab
from guestnet.lab.requests import protocol
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.links import Impair
from guestnet.lab.requests.request import Request
from guestnet.world.profiles.load import load_profile
from tests.support.families import subclasses

NOBODY = cast(Any, None)
"""What no handler needs before it is called."""


def a_lab() -> Lab:
    description = LabDescription(scenario="s", seed=1, profile=load_profile("plain"))
    return Lab(description, Path("/nowhere"), lambda error: None, spawner=NOBODY, proxy_python="")


def test_every_request_is_answered_by_one_part_of_the_lab() -> None:
    guests = Guests("qemu", NOBODY, NOBODY, NOBODY, NOBODY)
    sleep, links = Sleep(NOBODY, NOBODY, NOBODY, NOBODY), LinkControl(NOBODY, NOBODY, NOBODY)
    table = handlers_of(guests, NOBODY, sleep, links, lambda: None)
    parts = (guests, sleep, links, WorldControl(NOBODY), PortalControl(NOBODY))
    # Those two begin and end the lab: guestnet.lab.run answers them.
    others = set(get_args(protocol.AnyRequest)) - {protocol.Start, protocol.Stop}
    assert a_lab().handlers.keys() | table.keys() == others
    assert len(a_lab().handlers) + sum(len(part.handlers) for part in parts) == len(others)


def test_every_request_can_be_sent() -> None:
    assert set(get_args(protocol.AnyRequest)) == set(subclasses(Request))


def test_what_may_have_changed_the_world_is_followed() -> None:
    """And only that: a guest's file is nothing that guests would have to be told."""
    guests = Guests("qemu", NOBODY, NOBODY, NOBODY, NOBODY)
    sleep, links = Sleep(NOBODY, NOBODY, NOBODY, NOBODY), LinkControl(NOBODY, NOBODY, NOBODY)

    async def nothing(request: object) -> str:
        return "done"

    for handlers in (guests.handlers, links.handlers):
        handlers.update(dict.fromkeys(handlers, nothing))
    seen: list[str] = []
    table = handlers_of(guests, NOBODY, sleep, links, lambda: seen.append("told"))

    async def ask() -> None:
        assert await table[protocol.ReadFile](NOBODY) == "done"
        assert not seen
        assert await table[Impair](NOBODY) == "done"
        assert seen == ["told"]

    asyncio.run(ask())
