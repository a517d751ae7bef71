"""What a process of ours says of its servers, one JSON object a line, and what a proxy is told.

A proxy runs in an environment that has mitmproxy and msgspec and nothing else of ours, so no more is imported
here. The server process says more (guestnet.world.servers.messages).
"""

from typing import Final

import msgspec

_SHOWN: Final = 2000


class ProxyOrder(msgspec.Struct, frozen=True):
    """Run the proxy ``name`` in the network namespace at the path ``namespace``: the process's only order.

    Of the server it has what `guestnet.world.described.model.Server` says of proxies.
    """

    name: str
    namespace: str
    addresses: tuple[str, ...]
    port: int
    login: str
    intercept: bool
    resolvers: tuple[str, ...]
    folder: str
    """Where it keeps what mitmproxy wants to have; not there yet."""
    authority: str
    """The file with the certificate of the lab's authority."""
    authority_with_key: str


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


def shown(request: str) -> str:
    """``request`` as the access log has it: of a long one the beginning."""
    return request if len(request) <= _SHOWN else request[:_SHOWN] + "…"
