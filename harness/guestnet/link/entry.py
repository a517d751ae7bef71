"""What the rules that meet a frame as it enters a link have in common."""

from typing import Protocol

from guestnet.link.item import Item
from guestnet.link.verdicts import Verdicts


class EntryRule(Protocol):
    """Decides over frames as they enter, at once."""

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """What goes on, in order."""
