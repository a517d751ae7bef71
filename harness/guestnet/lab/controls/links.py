"""What the lab does when a scenario impairs a link: one of the world, or a guest's cable."""

from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.lab.controls.guests import Guests
from guestnet.lab.requests import links as ask
from guestnet.lab.requests.handler import Handlers
from guestnet.lab.requests.protocol import SetLink
from guestnet.link.impairable import Impairable
from guestnet.stacks.base import Stack
from guestnet.world.links.running import Links


class LinkControl:
    """Of the world's ``links`` and the cables of ``guests`` on ``stack``."""

    def __init__(self, links: Links, stack: Stack, guests: Guests) -> None:
        self._links = links
        self._stack = stack
        self._guests = guests
        self.handlers: Final[Handlers] = {
            ask.SettingsOf: self._settings,
            ask.Impair: self._impair,
            ask.SetExactly: self._set_exactly,
            ask.Clear: self._clear,
            ask.FollowSchedule: self._schedule,
            ask.SetCarrier: self._set_carrier,
        }

    async def _settings(self, request: ask.SettingsOf) -> ask.LinkSettings:
        up, down = self._owner(request.link).settings(request.link)
        return ask.LinkSettings(up=up, down=down)

    async def _impair(self, request: ask.Impair) -> None:
        await self._owner(request.link).impair(request.link, request.settings, request.direction)

    async def _set_exactly(self, request: ask.SetExactly) -> None:
        settings = (request.settings.up, request.settings.down)
        await self._owner(request.link).put(request.link, settings)

    async def _clear(self, request: ask.Clear) -> None:
        await self._owner(request.link).clear(request.link, request.settings, request.direction)

    async def _schedule(self, request: ask.FollowSchedule) -> None:
        await self._owner(request.link).schedule(request.link, request.schedule)

    async def _set_carrier(self, request: ask.SetCarrier) -> None:
        for info in self._guests.infos:
            if info.link == request.link:
                await self._guests.handlers[SetLink](SetLink(guest=info.name, up=request.carrier))
                return
        await self._links.set_carrier(request.link, request.carrier)

    def _owner(self, name: str) -> Impairable:
        """Whose link it is: the world's, or the stack's. Raises DescriptionError when it is nobody's."""
        if name in self._links.names:
            return self._links
        cables = [info.link for info in self._guests.infos]
        if name not in cables:
            raise DescriptionError(
                f"there is no link {name!r}", remedy="give one of " + ", ".join([*cables, *self._links.names])
            )
        if self._stack.cables is None:
            raise DescriptionError(
                f"{name!r} is a cable of the stack {self._stack.name}, which nobody can impair",
                remedy="use the stack builtin, or a link of the world: " + ", ".join(self._links.names),
            )
        return self._stack.cables
