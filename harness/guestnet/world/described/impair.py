"""What is wrong with a link of a world from the start, as its description says it.

In TOML the settings of `guestnet.link.settings` for both directions, for one, or all three::

    [links.wifi]
    impair = { delay = "20ms", up = { rate = "5Mbit/s" }, down = { rate = "50Mbit/s", loss = "1%" } }
"""

from typing import Literal

from guestnet.link.settings import FIELDS, Impairments, merged


class LinkImpairments(Impairments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of both directions, over these those of ``up`` and ``down``; ``down = true`` is a setting."""

    up: Impairments | None = None
    down: bool | Impairments | None = None  # type: ignore[assignment]

    def of(self, direction: Literal["up", "down"]) -> Impairments:
        """All that is set in ``direction``. Raises SettingError."""
        both = {field: getattr(self, field) for field in FIELDS}
        own = self.up if direction == "up" else self.down
        if isinstance(self.down, Impairments):
            both["down"] = None
        settings = merged(Impairments(), Impairments(**both))
        return merged(settings, own) if isinstance(own, Impairments) else settings
