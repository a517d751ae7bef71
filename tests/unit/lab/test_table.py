"""Who answers which request."""

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
    table = handlers_of(guests, NOBODY, sleep, links)
    parts = (guests, sleep, links, WorldControl(NOBODY), PortalControl(NOBODY))
    # Those two begin and end the lab: guestnet.lab.run answers them.
    others = set(get_args(protocol.AnyRequest)) - {protocol.Start, protocol.Stop}
    assert a_lab().handlers.keys() | table.keys() == others
    assert len(a_lab().handlers) + sum(len(part.handlers) for part in parts) == len(others)


def test_every_request_can_be_sent() -> None:
    assert set(get_args(protocol.AnyRequest)) == set(subclasses(Request))
