"""All NAT64s of a world, with their resolvers, as they run."""

import asyncio
from collections.abc import Callable

from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.nat64.resolving import Resolving
from guestnet.world.nat64.translating import Translating


class Nat64s:
    """``served`` gets name, client, question and outcome of what their DNS64s answer."""

    def __init__(self, world: World, served: Callable[[str, str, str, str], None]) -> None:
        self._world = world
        self._served = served
        self._translating: list[Translating] = []
        self._resolving: list[Resolving] = []

    async def start(self, namespaces: Namespaces) -> None:
        """Translate and answer from now on. Raises EnvironmentMissing, DescriptionError."""
        if not self._world.nat64:
            return
        await asyncio.to_thread(self._open, namespaces)
        for translating in self._translating:
            translating.run()
        for resolving in self._resolving:
            resolving.run()

    async def stop(self) -> None:
        """End them. Idempotent."""
        while self._translating:
            self._translating.pop().close()
        while self._resolving:
            await self._resolving.pop().close()

    def _open(self, namespaces: Namespaces) -> None:
        """In a thread, because it visits namespaces."""
        for name, nat64 in self._world.nat64.items():
            self._translating.append(Translating(name, nat64, self._world, namespaces))
            if nat64.dns64:
                self._resolving.append(Resolving(name, nat64, namespaces, self._told(name)))

    def _told(self, name: str) -> Callable[[str, str, str], None]:
        return lambda client, request, status: self._served(name, client, request, status)
