"""The uplinks of a laptop whose lid is shut: they go down, and come up again as they were.

With an interface that goes down the kernel forgets all routes by it, in all tables, and its IPv6 addresses.
So they are saved before, in iproute2's own form, and restored when it is up again. Whoever is at the other
end sees the carrier go and come, as an access point sees its stations.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.core.errors import EnvironmentMissing, LabError
from harness.world.description import World
from harness.world.model import LAPTOP
from harness.world.namespaces import Namespaces

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_ROUTES: Final = ("table", "all", "type", "unicast")
_SAVED: Final = (
    ("-4", "address", ()),
    ("-6", "address", ()),
    ("-4", "route", _ROUTES),
    ("-6", "route", _ROUTES),
)
"""Addresses first: routes need them."""
_TIMEOUT: Final = 10.0
_POLL: Final = 0.002


class Suspended(NamedTuple):
    """Uplinks that are down, and what belongs to them, as ``ip`` saved it, in the order of ``_SAVED``."""

    links: tuple[str, ...]
    saved: tuple[bytes, ...]


def uplinks(world: World) -> tuple[str, ...]:
    """The laptop's interfaces but its loopback."""
    return tuple(name for name, link in world.links.items() if LAPTOP in link.ends)


def suspend(namespaces: Namespaces, links: Iterable[str]) -> Suspended:
    """Take the laptop's interfaces ``links`` down. The calling thread visits its namespace meanwhile.

    Those that are down already stay out of it. Raises EnvironmentMissing.
    """
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        up = {name: index for name in links if (index := _index_if_up(routes, name)) is not None}
        saved = tuple(_ip(family, kind, "save", *more) for family, kind, more in _SAVED)
        for index in up.values():
            routes.link("set", index=index, state="down")
    return Suspended(tuple(up), saved)


def resume(namespaces: Namespaces, suspended: Suspended) -> None:
    """Bring them up again, with their addresses and routes; returns when they carry packets.

    Raises EnvironmentMissing, LabError.
    """
    from pyroute2 import IPRoute

    with namespaces.inside(LAPTOP), IPRoute() as routes:
        indexes = [index for name in suspended.links for index in routes.link_lookup(ifname=name)]
        for index in indexes:
            routes.link("set", index=index, state="up")
        for (family, kind, _), saved in zip(_SAVED, suspended.saved, strict=True):
            if indexes and saved:
                _ip(family, kind, "restore", given=saved)
        # The kernel may take a second to see a carrier (net/core/link_watch.c).
        until = time.monotonic() + _TIMEOUT
        while any(_state(routes, index) not in ("UP", "UNKNOWN") for index in indexes):
            if time.monotonic() > until:
                names = ", ".join(suspended.links)
                raise LabError(f"{names}: no carrier on waking", remedy="bring the other end up before")
            time.sleep(_POLL)


def _index_if_up(routes: "IPRoute", name: str) -> int | None:
    for index in routes.link_lookup(ifname=name):
        (link,) = routes.get_links(index)
        return int(index) if link["flags"] & 1 else None
    return None


def _state(routes: "IPRoute", index: int) -> str:
    (link,) = routes.get_links(index)
    return str(link.get_attr("IFLA_OPERSTATE"))


def _ip(*words: str, given: bytes = b"") -> bytes:
    """Of addresses and routes that are there already, ``ip`` says nothing when it restores."""
    with tempfile.TemporaryFile() as stdin:  # ip reads what it restores several times
        stdin.write(given)
        stdin.seek(0)
        try:
            ran = subprocess.run(
                ["ip", *words], stdin=stdin, capture_output=True, timeout=_TIMEOUT, check=False
            )  # fmt: skip
        except FileNotFoundError as error:
            raise EnvironmentMissing("ip is not installed", remedy="install iproute2") from error
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip()
        raise LabError(f"ip {' '.join(words)}: {said}", remedy="see ip-route(8)")
    return ran.stdout
