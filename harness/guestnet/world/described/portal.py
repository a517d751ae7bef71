"""What a captive portal is: frozen, the same whether it was written in Python or in TOML."""

from typing import Final, Literal

import msgspec

Redirect = Literal[200, 302, 303, 307, 511]
"""How plain HTTP is answered before the login: the portal's page in place of the one that was asked for; a
redirect to it (RFC 9110 section 15.4); "network authentication required" with a link to it (RFC 6585 section
6)."""
Blocked = Literal["reset", "silence", "prohibit"]
"""How what does not go through ends: TCP with an RST and all else with ICMP port unreachable; not at all;
with ICMP communication administratively prohibited."""
BlockedTls = Literal["reset", "silence", "prohibit", "certificate"]
"""The same; "certificate": the portal answers itself, with a certificate of its own name."""
Ipv6 = Literal["captive", "dead", "open"]
"""IPv6 is treated as IPv4 is; it is advertised but never goes anywhere, not even after the login; it goes
past the portal."""

NAMES: Final = 8053
"""The port of an access point's own addresses to which queries go that it forges the answers of."""


class Ways(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ways of a portal: all of it that can be changed while it runs."""

    redirect: Redirect = 302
    forge: bool = False
    """Names: every one has the portal's address until the login; else they are the real ones."""
    ttl: int = 0
    """Of forged answers, in seconds."""
    tls: BlockedTls = "reset"
    """What becomes of connects to port 443."""
    other: Blocked = "silence"
    """What becomes of everything else."""
    api: bool = True
    """There is an API for machines (RFC 8908), and DHCP says where (option 114, RFC 8910)."""
    session: float = 0.0
    """Seconds after which a login ends; 0 when it does not."""
    account: str = ""
    """"user:password", which the form asks for; without one it asks to accept its terms."""
    udp: bool = True
    """Whether datagrams go through after the login; without, only those to port 53 do."""
    ipv6: Ipv6 = "captive"


class Portal(Ways, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A portal on the access point ``host`` for the machines on ``link``.

    Its pages are at ``http://name/``, where the laptop finds them with the resolver that the access point
    is; that one asks ``resolvers`` itself. ``garden`` is what can be reached before the login: domain names
    of the world, addresses or prefixes. ``pool``: the first and the last address that DHCP gives out.
    """

    host: str
    link: str
    name: str
    resolvers: tuple[str, ...] = ()
    garden: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ways to change in a running lab; None keeps one as it is."""

    redirect: Redirect | None = None
    forge: bool | None = None
    ttl: int | None = None
    tls: BlockedTls | None = None
    other: Blocked | None = None
    api: bool | None = None
    session: float | None = None
    account: str | None = None
    udp: bool | None = None
    ipv6: Ipv6 | None = None

    @property
    def given(self) -> dict[str, object]:
        """Those that are to be changed."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class PortalState(msgspec.Struct, frozen=True, kw_only=True):
    """A portal as it is now; ``open_for`` maps the hardware addresses that are logged in to the seconds that
    they have left, None without end."""

    name: str
    ways: Ways
    url: str
    """Of its page with the form."""
    api: str
    """Of its API, whether it is switched on or not."""
    open_for: dict[str, float | None] = {}
