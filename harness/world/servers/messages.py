"""What the lab and the server process say to each other, one JSON object a line.

The lab writes one `Orders` into standard input; its end is the order to stop. The server process answers with
one `Ready` or `Failed` on standard output, and a `Request` for each that a server answered.
"""

import msgspec

from harness.world.model import ServerKind


class Order(msgspec.Struct, frozen=True):
    """Run a server in the network namespace at the path ``namespace``, on ``port`` of each address."""

    name: str
    kind: ServerKind
    namespace: str
    addresses: tuple[str, ...]
    port: int


class Orders(msgspec.Struct, frozen=True):
    """All servers that the process is to run."""

    servers: list[Order]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """All of them listen."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """``server`` could not be started; the process ends."""

    server: str
    reason: str


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A server answered: a line of its access log, as core.events.Served has it."""

    server: str
    client: str
    request: str
    status: str


Report = Ready | Failed | Request
