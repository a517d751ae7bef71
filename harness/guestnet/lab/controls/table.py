"""Who answers which request, once the lab has started."""

from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.links import LinkControl
from guestnet.lab.controls.portal import PortalControl
from guestnet.lab.controls.sleep import Sleep
from guestnet.lab.controls.world import WorldControl
from guestnet.lab.requests.handler import Handlers
from guestnet.world.running import RunningWorld


def handlers_of(guests: Guests, around: RunningWorld, sleep: Sleep, links: LinkControl) -> Handlers:
    """Of all parts."""
    parts = (guests, WorldControl(around), PortalControl(around), sleep, links)
    return {request: handler for part in parts for request, handler in part.handlers.items()}
