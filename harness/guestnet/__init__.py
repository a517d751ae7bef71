"""Guestnet: a network emulation test harness around a real guest kernel.

What the author of a scenario imports, ``from guestnet import Lab, tcp``, is described in `guestnet.scenario`,
and comes from there when it is first asked for: importing a part of this package imports no other.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guestnet.core import events as events
    from guestnet.scenario import *  # noqa: F403


def __getattr__(name: str) -> object:
    if not name.startswith("_"):
        scenario = import_module("guestnet.scenario")
        if name in scenario.__all__:
            return getattr(scenario, name)
        if name == "events":
            return import_module("guestnet.core.events")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "events", *import_module("guestnet.scenario").__all__]
