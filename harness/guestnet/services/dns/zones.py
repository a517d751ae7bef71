"""Which zone a name is in."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import dns.name

Kept = TypeVar("Kept")


class Zones(Generic[Kept]):
    """What is kept of zones, by their names ("." for all): the longest that a name is in decides."""

    def __init__(self, zones: Mapping[str, Kept]) -> None:
        self._zones = {dns.name.from_text(name): kept for name, kept in zones.items()}

    def of(self, name: dns.name.Name) -> Kept | None:
        """What is kept of the zone of ``name``; None when it is in none."""
        for labels in range(len(name.labels), 0, -1):
            kept = self._zones.get(name.split(labels)[1])
            if kept is not None:
                return kept
        return None
