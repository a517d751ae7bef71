"""The cables of the stack builtin, to be impaired and pulled."""

from collections.abc import Callable, Sequence

from guestnet.core.errors import DescriptionError
from guestnet.core.events import Event
from guestnet.core.recorder import Direction
from guestnet.edge.clock import LabClock
from guestnet.edge.driver import Driver
from guestnet.link.impairable import Settings
from guestnet.link.link import Link
from guestnet.link.settings import Impairments, Schedule


class DriverCables:
    """``Cables`` of the driver that ``running`` gives, by their names; LabError comes from there."""

    def __init__(self, running: Callable[[], Driver], clock: LabClock) -> None:
        self._running = running
        self._clock = clock

    def settings(self, name: str) -> Settings:
        """As of ``Impairable``."""
        cable = self._cable(name)
        return cable.settings("up"), cable.settings("down")

    async def impair(self, name: str, settings: Impairments, direction: Direction | None) -> None:
        """As of ``Impairable``."""
        self._change(name, lambda cable, now: cable.impair(settings, now, direction))

    async def put(self, name: str, settings: Settings) -> None:
        """As of ``Impairable``."""
        self._change(name, lambda cable, now: cable.put(settings, now))

    async def clear(self, name: str, settings: Sequence[str], direction: Direction | None) -> None:
        """As of ``Impairable``."""
        self._change(name, lambda cable, now: cable.clear(now, *settings, direction=direction))

    async def schedule(self, name: str, schedule: Schedule | None) -> None:
        """As of ``Impairable``."""
        self._change(name, lambda cable, now: cable.schedule(schedule, now))

    def set_plugged(self, name: str, plugged: bool) -> None:
        """As of ``Cables``."""
        self._change(name, lambda cable, now: cable.set_plugged(plugged, now))

    def _cable(self, name: str) -> Link:
        cable = self._running().cables.get(name)
        if cable is None:
            raise DescriptionError(
                f"the cable {name!r} leads nowhere: its guest has ended", remedy="do it while the guest runs"
            )
        return cable

    def _change(self, name: str, change: Callable[[Link, int], Sequence[Event]]) -> None:
        events = change(self._cable(name), self._clock.now())
        self._running().changed(events)
