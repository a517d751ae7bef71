"""What the lab does at requests to portals (`guestnet.lab.requests.portal`)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests import portal as ask
from guestnet.lab.requests.request import Request
from guestnet.world.described.portal import PortalState
from guestnet.world.running import RunningWorld
from guestnet.world.servers.paths import CA


async def _states(around: RunningWorld, request: ask.PortalStates) -> list[PortalState]:
    return around.portals.states


async def _expire(around: RunningWorld, request: ask.ExpirePortal) -> None:
    await around.portals[request.portal].expire()


async def _set(around: RunningWorld, request: ask.SetPortal) -> None:
    await around.portals[request.portal].set(request.changes)


async def _authority(around: RunningWorld, request: ask.AuthorityOf) -> str:
    if not CA.exists():
        raise DescriptionError(
            f"nothing in the world {around.world.name} speaks TLS",
            remedy="describe a server of kind 'https', a proxy or a portal",
        )
    return CA.read_text()


CHANGES: Final[dict[type[Request[Any]], Callable[[RunningWorld, Any], Awaitable[object]]]] = {
    ask.PortalStates: _states,
    ask.ExpirePortal: _expire,
    ask.SetPortal: _set,
    ask.AuthorityOf: _authority,
}
"""By the class of the request."""
