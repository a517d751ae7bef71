"""Requests that change the world while a lab runs; `guestnet.lab.controls.world` carries them out."""

from typing import Any

from guestnet.lab.requests.request import Request
from guestnet.world.described.states import UplinkState as UplinkState
from guestnet.world.described.states import VpnState as VpnState


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


class VpnStates(Request[list[VpnState]], frozen=True, kw_only=True):
    """The laptop's VPNs as they are."""


class SetVpn(Request[None], frozen=True, kw_only=True):
    """Connect the VPN, or disconnect it. Raises DescriptionError when there is none of the name, LabError
    when the concentrator does not answer."""

    vpn: str
    up: bool


class DropVpn(Request[None], frozen=True, kw_only=True):
    """The concentrator falls silent, until the VPN is connected again."""

    vpn: str


class RekeyVpn(Request[None], frozen=True, kw_only=True):
    """The session ends, and another one begins after ``pause`` seconds."""

    vpn: str
    pause: float = 0.0


class ReconnectVpn(Request[None], frozen=True, kw_only=True):
    """Disconnect and connect; with other ``addresses`` in the tunnel, with prefix lengths, if any."""

    vpn: str
    addresses: tuple[str, ...] = ()


class ChangeVpn(Request[None], frozen=True, kw_only=True):
    """Change settings, by their names in `guestnet.world.described.vpn.Vpn`. Raises DescriptionError."""

    vpn: str
    changes: dict[str, Any]


AnyWorldRequest = (
    ResolversOf
    | UplinkStates
    | SetUplink
    | Roam
    | RenumberUplink
    | VpnStates
    | SetVpn
    | DropVpn
    | RekeyVpn
    | ReconnectVpn
    | ChangeVpn
)
