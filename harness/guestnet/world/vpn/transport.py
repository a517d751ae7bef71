"""What carries a VPN's packets: the one thing of which there are two, ours and the kernel's WireGuard.

Everything else is the same for both: the interfaces' names and addresses, routes, rules, policies, resolvers,
and what a client tells.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from guestnet.core.errors import GuestnetError
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links.diversion import End
from guestnet.world.vpn.client import Client
from guestnet.world.vpn.messages import Changed, Command

Told = Callable[[Changed], None]
"""Called with what a client finds out: a session, new keys, a dead concentrator."""

Failed = Callable[[GuestnetError], None]
"""Called when a transport breaks down that nobody has asked to end."""


class Far(NamedTuple):
    """The device at the other end than the laptop's; ``are_peers`` as of
    `guestnet.world.links.running.Links.attach`."""

    end: End
    are_peers: bool


class Transport(Protocol):
    """Of all VPNs of a world that have chosen it."""

    @property
    def pids(self) -> dict[str, int]:
        """Of its processes."""
        ...

    async def prepare(self) -> None:
        """Start what needs no world. Raises EnvironmentMissing."""
        ...

    async def start(self, namespaces: Namespaces, clients: Sequence[Client]) -> None:
        """Make both ends of these tunnels: the concentrator's interface is up, the laptop's is down.

        Raises EnvironmentMissing, DescriptionError, LabError.
        """
        ...

    def far(self, client: Client) -> Far:
        """What there is to impair of a tunnel that was started."""
        ...

    def tell(self, command: Command) -> None:
        """Give an order; what comes of it is told. While a client is to connect its interface is up."""
        ...

    async def stop(self) -> None:
        """End. The interfaces go with their namespaces. Idempotent."""
        ...
