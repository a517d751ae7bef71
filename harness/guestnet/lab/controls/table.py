"""Who answers which request, once the lab has started."""

from collections.abc import Callable

from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.links import LinkControl
from guestnet.lab.controls.portal import PortalControl
from guestnet.lab.controls.sleep import Sleep
from guestnet.lab.controls.world import WorldControl
from guestnet.lab.requests.handler import Handler, Handlers
from guestnet.world.running import RunningWorld


def handlers_of(
    guests: Guests, around: RunningWorld, sleep: Sleep, links: LinkControl, then: Callable[[], None]
) -> Handlers:
    """Of all parts. ``then`` is called after each request that may have changed the world."""

    def followed(handler: Handler) -> Handler:
        async def handle(request: object) -> object:
            done = await handler(request)
            then()
            return done

        return handle

    parts = (WorldControl(around), PortalControl(around), sleep, links)
    changes = {request: followed(handler) for part in parts for request, handler in part.handlers.items()}
    return {**guests.handlers, **changes}
