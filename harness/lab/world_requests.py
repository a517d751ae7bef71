"""Requests that change the world while a lab runs; `harness.lab.world_control` carries them out."""

from harness.lab.request import Request
from harness.world.uplinks import UplinkState as UplinkState


class ResolversOf(Request[list[str]], frozen=True, kw_only=True):
    """The resolvers that the laptop's resolv.conf names now."""


class UplinkStates(Request[list[UplinkState]], frozen=True, kw_only=True):
    """The laptop's uplinks as they are."""


class SetUplink(Request[None], frozen=True, kw_only=True):
    """Connect the uplink, or disconnect it. Raises DescriptionError when there is none of the name."""

    uplink: str
    up: bool


class Roam(Request[None], frozen=True, kw_only=True):
    """Leave all uplinks but this one, and connect it; with None the laptop is offline."""

    uplink: str | None


class RenumberUplink(Request[None], frozen=True, kw_only=True):
    """Give the uplink other addresses, with prefix lengths; and other gateways, unless it keeps its own."""

    uplink: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] | None = None


AnyWorldRequest = ResolversOf | UplinkStates | SetUplink | Roam | RenumberUplink
