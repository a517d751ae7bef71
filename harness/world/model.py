"""What a world is made of: frozen, the same whether it was written in Python or in TOML."""

from typing import Final, Literal

import msgspec

LAPTOP: Final = "laptop"
"""The host whose network namespace is the lab process's own: the stack's sockets live there."""

RouteKind = Literal["unicast", "unreachable", "blackhole", "prohibit"]
"""What the kernel does with a packet that takes the route: send it on, answer with ICMP host unreachable
(`EHOSTUNREACH`; in IPv6 "no route", `ENETUNREACH`), drop it in silence, answer with ICMP administratively
prohibited (`EACCES`). Of both errors Linux sends a peer five at once and one a second after that, in all
namespaces."""

ServerKind = Literal["http", "echo", "half-close", "dns"]
RecordType = Literal["A", "AAAA", "CNAME", "TXT"]


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of a host: ``to`` is a prefix or "default", ``via`` the address of a neighbour on a link."""

    to: str
    via: str = ""
    kind: RouteKind = "unicast"


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine. ``addresses`` are its own beside those of its links; ``forward`` makes it a router.

    ``resolvers`` are written into the resolv.conf of the laptop; other hosts have none.
    """

    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    forward: bool = False
    resolvers: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link between two hosts. ``ends`` maps each to the addresses with prefix length of its interface."""

    ends: dict[str, tuple[str, ...]]
    mtu: int = 1500


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DNS resource record; ``name`` is absolute, written without the last dot."""

    name: str
    type: RecordType
    value: str


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server on ``host``, which must own all ``addresses``; it listens on the same port of each.

    ``records`` are what a server of kind "dns" is authoritative for; it answers NXDOMAIN to all else.
    """

    kind: ServerKind
    host: str
    addresses: tuple[str, ...]
    port: int
    records: tuple[Record, ...] = ()
