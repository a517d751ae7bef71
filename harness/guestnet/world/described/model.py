"""What a world is made of, but for its servers: frozen, the same whether written in Python or in TOML."""

from typing import Final, Literal

import msgspec

from guestnet.world.described.impair import LinkImpairments

LAPTOP: Final = "laptop"
"""The host whose network namespace is the lab process's own: the stack's sockets live there."""

RouteKind = Literal["unicast", "unreachable", "blackhole", "prohibit"]
"""What the kernel does with a packet that takes the route: send it on, answer with ICMP host unreachable
(`EHOSTUNREACH`; in IPv6 "no route", `ENETUNREACH`), drop it in silence, answer with ICMP administratively
prohibited (`EACCES`). Of both errors Linux sends a peer five at once and one a second after that, in all
namespaces."""

UplinkKind = Literal["ethernet", "wifi", "cellular"]
NatState = Literal["udp", "udp-stream", "tcp", "icmp"]
"""Of which a NAT forgets mappings: UDP of one direction and of both, established TCP, ICMP queries."""


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of a host: ``to`` is a prefix or "default", ``via`` the address of a neighbour on a link."""

    to: str
    via: str = ""
    kind: RouteKind = "unicast"


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine. ``addresses`` are its own beside those of its links; ``forward`` makes it a router.

    ``resolvers`` are written into the resolv.conf of the laptop; other hosts have none, and a laptop with
    uplinks has theirs.

    What it forwards out of the links ``masquerade`` gets the address of that link (IPv4 alone; NAPT with
    endpoint-dependent filtering, as home routers and carriers do). ``nat_timeouts`` are seconds after which
    a mapping that nobody used is forgotten. ``rules`` are lines of nftables' forward chain, in their order,
    as "tcp dport { 80, 443 } accept"; what none of them decides is forwarded.
    """

    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    forward: bool = False
    resolvers: tuple[str, ...] = ()
    masquerade: tuple[str, ...] = ()
    nat_timeouts: dict[NatState, int] = {}
    rules: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link between two hosts. ``ends`` maps each to the addresses with prefix length of its interface.

    ``impair`` is what is wrong with it from the start; "up" is away from the laptop, else from the first end.
    """

    ends: dict[str, tuple[str, ...]]
    mtu: int = 1500
    impair: LinkImpairments | None = None


class Uplink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way out of the laptop: addresses and MTU are those of its end of ``link``.

    ``gateways`` are its default routes, at most one of each IP version, ``routes`` others by it. Of several
    uplinks that are up, the one of the lowest ``metric`` is used, and its ``resolvers``. ``up``: it is
    connected when the lab starts.
    """

    kind: UplinkKind = "wifi"
    link: str = ""
    """The uplink's own name unless given."""
    gateways: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    metric: int | None = None
    """0 is best. Unless given, that of ``kind`` in NetworkManager (`METRICS`)."""
    up: bool = True


METRICS: Final[dict[UplinkKind, int]] = {"ethernet": 100, "wifi": 600, "cellular": 700}
"""NetworkManager's route metrics (``NM_DEVICE_GET_CLASS.get_route_metric_default``)."""
