"""What a VPN is made of, and what a scenario may change of it while it runs."""

from ipaddress import ip_network
from typing import Final, Literal

import msgspec

from guestnet.world.described.impair import LinkImpairments

ALL: Final = "."
"""The domain of every name."""
FIXED: Final = frozenset({"ends", "endpoint", "port", "transport", "up", "impair"})
"""Fields of a `Vpn` that stay as they are in a running lab."""
Status = Literal["down", "connecting", "up", "lost"]
"""Connecting: it is to be up since the lab's start, and the concentrator has not answered yet. Lost: it was
up, the concentrator is dead. In both, the client tries on."""


class Vpn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VPN of the laptop. Its name is that of the tunnel's interface on both hosts, and of its link.

    ``ends`` maps the laptop and the concentrator to their addresses with prefix length inside the tunnel;
    ``endpoint`` and ``port`` are where the concentrator is reached outside of it, by UDP. The policies are
    those of VPN clients; see `guestnet.world.vpn.policy` for what each does.
    """

    ends: dict[str, tuple[str, ...]]
    endpoint: str
    port: int = 51820
    mtu: int = 1420
    """Of the tunnel's interfaces, in octets of IP packet, 1280 to 1420: IPv6 needs the one, and at the other
    the 80 octets of IPv6, UDP and tunnel still fit around it."""
    routes: tuple[str, ...] = ()
    """Prefixes that go into the tunnel: "0.0.0.0/0" and "::/0" for a full tunnel, others for a split one."""
    domains: tuple[str, ...] = ()
    """Zones that ``resolvers`` resolve: "corp.example", or "." for all names."""
    resolvers: tuple[str, ...] = ()
    """Inside the tunnel, or wherever ``routes`` lead."""
    names: tuple[str, ...] = ()
    """What these names, and names below them, resolve to goes into the tunnel, address by address."""
    kill_switch: bool = False
    """Nothing leaves but by the tunnel: of all that goes by an uplink, only the tunnel's own packets and what
    is for the local network; in a split tunnel, nothing to ``routes``."""
    host_only: bool = False
    """The tunnel takes what the laptop itself sends, not what it forwards."""
    block_local: bool = False
    """The local networks of the uplinks can't be reached."""
    clamp_mss: bool = False
    """The MSS option of TCP connections that are forwarded through the tunnel is lowered to what fits."""
    frag_needed: bool = True
    """Who sends too large a packet for the tunnel is told (RFC 1191, RFC 8201); else it is a black hole."""
    transport: Literal["auto", "wireguard", "udp"] = "auto"
    """What carries the packets: the kernel's WireGuard, our own tunnel over UDP, whose datagrams can be read
    in a capture, or the first of these that this machine has."""
    rekey: float = 120.0
    """Seconds after which the keys of a session are changed; by WireGuard no later than after 120."""
    keepalive: float = 10.0
    """Seconds between two signs of life; the peer is held to be dead after three without an answer."""
    up: bool = True
    """Whether the VPN is connected when the lab starts. When its concentrator does not answer then, the
    client tries on, with nothing set up but the kill switch."""
    impair: LinkImpairments | None = None
    """What is wrong inside the tunnel from the start; "up" is away from the laptop. Change it by the link."""

    @property
    def gateway(self) -> str:
        """The host that is the concentrator."""
        return next(host for host in self.ends if host != "laptop")

    @property
    def full(self) -> frozenset[int]:
        """The IP versions of which everything goes into the tunnel."""
        return frozenset(
            network.version for network in map(ip_network, self.routes) if network.prefixlen == 0
        )
