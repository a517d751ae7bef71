"""What is said of a server that does not start."""

from functools import partial

from guestnet.core.errors import DescriptionError, LabError
from guestnet.system.children import Cannot


def cannot(place: str, reason: str) -> LabError | DescriptionError:
    """The error of what does not start, described at ``place``."""
    if "in use" in reason:
        return DescriptionError(f"{place} can't listen: {reason}", remedy="give it another port or address")
    return LabError(f"{place} can't start: {reason}")


def cannot_at(place: str) -> Cannot:
    """`cannot` of what is described at ``place``."""
    return partial(cannot, place)
