"""What the lab and the server process say to each other, one JSON object a line.

The lab writes one `Orders` into standard input, then whatever is to `Told`; the end of it is the order to
stop. The server process answers with one `Ready` or `Failed` on standard output, then with a `Request` for
each that a server answered, and asks the lab what a portal is to answer (`AskedPage`, `AskedName`).
"""

import msgspec

from guestnet.world.described.server import Server
from guestnet.world.servers.reports import Failed, Ready, Request


class Order(msgspec.Struct, frozen=True):
    """Run ``server`` in the network namespace at the path ``namespace``.

    ``names`` are those of its certificate, if it has one.
    """

    name: str
    server: Server
    namespace: str
    names: tuple[str, ...] = ()
    fault_address: str = ""
    """Of a "dns" server: where the failing one listens that it asks for some names."""


class PortalOrder(msgspec.Struct, frozen=True):
    """Run the servers of a captive portal, called ``host``, in the namespace of its access point."""

    name: str
    host: str
    namespace: str
    addresses: tuple[str, ...]


class Orders(msgspec.Struct, frozen=True):
    """All servers that the process is to run, at the lab's time ``now`` (ns)."""

    servers: list[Order]
    portals: list[PortalOrder]
    now: int
    clock: int
    """What is to be added to the monotonic clock to have the lab's time, in ns."""
    authority: bool = False
    """Whether the lab's certificate authority is to be made."""


class Page(msgspec.Struct, frozen=True, tag="page"):
    """The answer to the `AskedPage` of that number."""

    number: int
    status: int
    headers: dict[str, str] = {}
    body: str = ""


class Name(msgspec.Struct, frozen=True, tag="name"):
    """The answer to the `AskedName` of that number, in DNS's wire format; none when it is empty."""

    number: int
    answer: bytes


class Clock(msgspec.Struct, frozen=True, tag="clock"):
    """The lab's clock jumped: the new `Orders.clock`."""

    clock: int


Told = Page | Name | Clock


class AskedPage(msgspec.Struct, frozen=True, tag="page"):
    """A client asks the access point of ``portal`` for a page; ``secure``: over TLS."""

    number: int
    portal: str
    client: str
    secure: bool
    method: str
    host: str
    path: str
    body: str


class AskedName(msgspec.Struct, frozen=True, tag="name"):
    """A client asks it for a name, in DNS's wire format."""

    number: int
    portal: str
    client: str
    query: bytes


Report = Ready | Failed | Request | AskedPage | AskedName
