"""What the lab does when a scenario impairs a link: one of the world, or a guest's cable."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from guestnet.core.errors import DescriptionError
from guestnet.core.events import Event
from guestnet.lab.controls.guests import Guests
from guestnet.lab.requests import links as ask
from guestnet.lab.requests.protocol import SetLink
from guestnet.lab.requests.request import Request
from guestnet.link.link import Link
from guestnet.stacks.base import Stack
from guestnet.stacks.builtin import BuiltinStack
from guestnet.world.links.running import Links, set_exactly


class LinkControl:
    """Of the world's ``links`` and the cables of ``guests`` on ``stack``."""

    def __init__(self, links: Links, stack: Stack, guests: Guests) -> None:
        self._links = links
        self._stack = stack
        self._guests = guests
        self.handlers: Final[dict[type[Request[Any]], Callable[[Any], Coroutine[Any, Any, object]]]] = {
            ask.SettingsOf: self._settings,
            ask.Impair: self._impair,
            ask.SetExactly: self._set_exactly,
            ask.Clear: self._clear,
            ask.FollowSchedule: self._schedule,
            ask.SetCarrier: self._set_carrier,
        }

    async def _settings(self, request: ask.SettingsOf) -> ask.LinkSettings:
        if self._is_cable(request.link):
            cable = self._builtin(request.link).cable(request.link)
            return ask.LinkSettings(up=cable.settings("up"), down=cable.settings("down"))
        up, down = self._links.settings(request.link)
        return ask.LinkSettings(up=up, down=down)

    async def _impair(self, request: ask.Impair) -> None:
        settings, direction = request.settings, request.direction
        if self._is_cable(request.link):
            self._change(request.link, lambda cable, now: cable.impair(settings, now, direction))
        else:
            await self._links.impair(request.link, settings, direction)

    async def _set_exactly(self, request: ask.SetExactly) -> None:
        settings = (request.settings.up, request.settings.down)
        if self._is_cable(request.link):
            self._change(request.link, lambda cable, now: set_exactly(cable, settings, now))
        else:
            await self._links.put(request.link, settings)

    async def _clear(self, request: ask.Clear) -> None:
        names, direction = request.settings, request.direction
        if self._is_cable(request.link):
            self._change(request.link, lambda cable, now: cable.clear(now, *names, direction=direction))
        else:
            await self._links.clear(request.link, names, direction)

    async def _schedule(self, request: ask.FollowSchedule) -> None:
        schedule = request.schedule
        if self._is_cable(request.link):
            self._change(request.link, lambda cable, now: cable.schedule(schedule, now))
        else:
            await self._links.schedule(request.link, schedule)

    async def _set_carrier(self, request: ask.SetCarrier) -> None:
        for info in self._guests.infos:
            if info.link == request.link:
                await self._guests.handle(SetLink(guest=info.name, up=request.carrier))
                return
        await self._links.set_carrier(request.link, request.carrier)

    def _is_cable(self, name: str) -> bool:
        if name in self._links.names:
            return False
        cables = [info.link for info in self._guests.infos]
        if name not in cables:
            raise DescriptionError(
                f"there is no link {name!r}", remedy="give one of " + ", ".join([*cables, *self._links.names])
            )
        return True

    def _builtin(self, name: str) -> BuiltinStack:
        if not isinstance(self._stack, BuiltinStack):
            raise DescriptionError(
                f"{name!r} is a cable of the stack {self._stack.name}, which nobody can impair",
                remedy="use the stack builtin, or a link of the world: " + ", ".join(self._links.names),
            )
        return self._stack

    def _change(self, name: str, change: Callable[[Link, int], Sequence[Event]]) -> None:
        self._builtin(name).change_cable(name, change)
