"""What the lab does at requests to portals (`guestnet.lab.requests.portal`)."""

from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests import portal as ask
from guestnet.lab.requests.handler import Handlers
from guestnet.world.described.portal import PortalState
from guestnet.world.running import RunningWorld
from guestnet.world.servers.paths import CA


class PortalControl:
    """Of the portals of the running world ``around`` the lab."""

    def __init__(self, around: RunningWorld) -> None:
        self._around = around
        self.handlers: Final[Handlers] = {
            ask.PortalStates: self._states,
            ask.ExpirePortal: self._expire,
            ask.SetPortal: self._set,
            ask.AuthorityOf: self._authority,
        }

    async def _states(self, request: ask.PortalStates) -> list[PortalState]:
        return self._around.portals.states

    async def _expire(self, request: ask.ExpirePortal) -> None:
        await self._around.portals[request.portal].expire()

    async def _set(self, request: ask.SetPortal) -> None:
        await self._around.portals[request.portal].set(request.changes)

    async def _authority(self, request: ask.AuthorityOf) -> str:
        if not CA.exists():
            raise DescriptionError(
                f"nothing in the world {self._around.world.name} speaks TLS",
                remedy="describe a server of kind 'https', a proxy or a portal",
            )
        return CA.read_text()
