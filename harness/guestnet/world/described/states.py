"""What uplinks and VPNs are at a moment, as whoever asks is told."""

import msgspec

from guestnet.world.described.model import UplinkKind
from guestnet.world.described.vpn import Status, Vpn


class UplinkState(msgspec.Struct, frozen=True, kw_only=True):
    """An uplink now; its ``addresses`` and ``gateways`` are those it has, or would have if it were up."""

    name: str
    kind: UplinkKind
    link: str
    up: bool
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    resolvers: tuple[str, ...]
    metric: int


class VpnState(msgspec.Struct, frozen=True, kw_only=True):
    """A VPN now. ``source`` is the address and port that the concentrator last saw the laptop at;
    ``transport`` is what carries it, "wireguard" or "udp"."""

    name: str
    status: Status
    settings: Vpn
    transport: str
    source: str = ""
