"""What the laptop's networks have told it, and it may tell its guests."""

from msgspec import Struct


class LaptopFacts(Struct, frozen=True, kw_only=True):
    """All of it at one moment; what nobody told is empty.

    ``portal`` is the URI of the captive portal's API (RFC 8910). ``resolvers`` are the addresses that the
    laptop's resolv.conf names, in its order, ``search`` the domains that complete names. ``proxy`` is the
    URI of the proxy for HTTP.
    """

    portal: str = ""
    resolvers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    proxy: str = ""
