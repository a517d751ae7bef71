"""Places in a description, and what can be wrong there."""

from ipaddress import ip_address, ip_interface, ip_network
from typing import NamedTuple

from guestnet.core.errors import DescriptionError

Place = tuple[str | int, ...]
"""Where in a description, from the top: ``("hosts", "laptop", "routes", 0, "via")``."""


class Problem(NamedTuple):
    """A value that can't be: where it is, what is wrong with it, and what is allowed there."""

    path: Place
    what: str
    allowed: str


class WorldError(DescriptionError):
    """The description says something impossible; ``path`` is the place in it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{dotted(problem.path)}: {problem.what}", remedy=problem.allowed)
        self.problem = problem


def dotted(path: Place) -> str:
    """``path`` as people write it: ``hosts.laptop.routes[0].via``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def is_address(text: str, version: int | None = None) -> bool:
    """Whether ``text`` is an address, of that IP version if one is given."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return version is None or address.version == version


def is_interface(text: str) -> bool:
    """Whether ``text`` is an address, with or without a prefix length."""
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True


def is_network(text: str) -> bool:
    """Whether ``text`` is a prefix without host bits."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def on_link(address: str, interface: str) -> bool:
    """Whether ``address`` is in the prefix of ``interface``."""
    # An address of one family is in no network of the other.
    return is_interface(interface) and ip_address(address) in ip_interface(interface).network
