"""Neighbour discovery (RFC 4861): the messages that ICMPv6 carries for it, and their options.

Options that the project speaks of are typed fields of ``Options``: link-layer addresses, prefixes, redirected
header and MTU (RFC 4861 4.6), DNS servers and search domains (RFC 8106), the captive portal (RFC 8910).
Others stay in ``other``.
Hop limits are the business of whoever takes the packet: only 255 has crossed no router.
"""

import struct
from typing import Final, TypeAlias

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.wire.icmpv6 import Icmpv6, Type
from guestnet.wire.ipv6 import Ip6, is_multicast, show_ip6
from guestnet.wire.names import decode_names, encode_names
from guestnet.wire.octets import Octets, malformed, require, view

HOP_LIMIT: Final = 255
INFINITE: Final = 0xFFFFFFFF
"""A lifetime without an end."""
_ADVERTISEMENT: Final = struct.Struct("!LL")
_PREFIX: Final = struct.Struct("!BBLLL16s")
_LIFETIME: Final = struct.Struct("!HL")
_MTU: Final = struct.Struct("!HL")


class Prefix(Struct, frozen=True):
    """A prefix of the link (RFC 4861 4.6.2); lifetimes in seconds. ``autonomous``: for SLAAC (RFC 4862)."""

    prefix: Ip6
    length: int
    on_link: bool = True
    autonomous: bool = True
    valid_lifetime: int = 86400
    preferred_lifetime: int = 14400


class DnsServers(Struct, frozen=True):
    """RDNSS (RFC 8106 5.1); ``lifetime`` in seconds."""

    servers: tuple[Ip6, ...]
    lifetime: int


class DnsSearch(Struct, frozen=True):
    """DNSSL (RFC 8106 5.2); ``lifetime`` in seconds."""

    domains: tuple[str, ...]
    lifetime: int


class Options(Struct, frozen=True):
    """None or empty: not there. ``redirected`` is how the redirected packet began; a URI is text."""

    source_mac: Mac | None = None
    target_mac: Mac | None = None
    prefixes: tuple[Prefix, ...] = ()
    redirected: bytes | None = None
    mtu: int | None = None
    dns_servers: tuple[DnsServers, ...] = ()
    dns_search: tuple[DnsSearch, ...] = ()
    captive_portal: str | None = None
    other: tuple[tuple[int, bytes], ...] = ()


_NONE: Final = Options()


class RouterSolicitation(Struct, frozen=True):
    """RFC 4861 4.1."""

    options: Options = _NONE


class RouterAdvertisement(Struct, frozen=True):
    """RFC 4861 4.2; ``router_lifetime`` in seconds, the two timers in milliseconds, 0: not told.

    ``managed``: addresses by DHCPv6; ``other_config``: all else by DHCPv6. ``preference``: 1 high, 0 medium,
    3 low (RFC 4191 2.1).
    """

    router_lifetime: int
    hop_limit: int = 64
    managed: bool = False
    other_config: bool = False
    preference: int = 0
    reachable_time: int = 0
    retrans_timer: int = 0
    options: Options = _NONE


class NeighbourSolicitation(Struct, frozen=True):
    """RFC 4861 4.3: who has ``target``?"""

    target: Ip6
    options: Options = _NONE


class NeighbourAdvertisement(Struct, frozen=True):
    """RFC 4861 4.4: ``target`` is here."""

    target: Ip6
    router: bool = False
    solicited: bool = False
    override: bool = False
    options: Options = _NONE


class Redirect(Struct, frozen=True):
    """RFC 4861 4.5: ``destination`` is better reached by ``target``."""

    target: Ip6
    destination: Ip6
    options: Options = _NONE


Ndp: TypeAlias = (
    RouterSolicitation | RouterAdvertisement | NeighbourSolicitation | NeighbourAdvertisement | Redirect
)
TYPES: Final = frozenset(
    {
        Type.ROUTER_SOLICITATION,
        Type.ROUTER_ADVERTISEMENT,
        Type.NEIGHBOUR_SOLICITATION,
        Type.NEIGHBOUR_ADVERTISEMENT,
        Type.REDIRECT,
    }
)
"""The message types that ``parse`` takes."""


def parse(message: Icmpv6) -> Ndp:
    """Raises WireError unless it is a sound message of neighbour discovery (RFC 4861 6.1, 7.1, 8.1).

    Offsets in errors are from behind the first eight octets.
    """
    if message.code != 0:
        raise malformed("ndp code", 0, f"{message.code} is not 0")
    body = view(message.payload)
    rest = message.rest
    if message.type == Type.ROUTER_SOLICITATION:
        return RouterSolicitation(_parse_options(body, 0))
    if message.type == Type.ROUTER_ADVERTISEMENT:
        require(body, 8, "ndp router advertisement")
        reachable_time, retrans_timer = _ADVERTISEMENT.unpack_from(body)
        return RouterAdvertisement(
            rest & 0xFFFF, rest >> 24, bool(rest & 1 << 23), bool(rest & 1 << 22), rest >> 19 & 3,
            reachable_time, retrans_timer, _parse_options(body, 8),
        )  # fmt: skip
    require(body, 16, "ndp target")
    target = bytes(body[:16])
    if message.type != Type.REDIRECT and is_multicast(target):
        raise malformed("ndp target", 0, f"{show_ip6(target)} is multicast")
    if message.type == Type.NEIGHBOUR_SOLICITATION:
        return NeighbourSolicitation(target, _parse_options(body, 16))
    if message.type == Type.NEIGHBOUR_ADVERTISEMENT:
        return NeighbourAdvertisement(
            target, bool(rest & 1 << 31), bool(rest & 1 << 30), bool(rest & 1 << 29), _parse_options(body, 16)
        )
    if message.type == Type.REDIRECT:
        require(body, 32, "ndp redirect")
        return Redirect(target, bytes(body[16:32]), _parse_options(body, 32))
    raise malformed("ndp type", 0, f"{message.type} is none of neighbour discovery")


def _parse_options(body: memoryview, at: int) -> Options:
    source_mac: Mac | None = None
    target_mac: Mac | None = None
    redirected: bytes | None = None
    mtu: int | None = None
    captive_portal: str | None = None
    prefixes: list[Prefix] = []
    servers: list[DnsServers] = []
    search: list[DnsSearch] = []
    other: list[tuple[int, bytes]] = []
    while at < len(body):
        require(body, at + 8, "ndp option")
        kind, length = body[at], 8 * body[at + 1]
        if length == 0 or at + length > len(body):
            raise malformed("ndp option length", at + 1, f"option {kind} of {length} octets does not fit")
        value = bytes(body[at + 2 : at + length])
        if kind in _LENGTHS and length != _LENGTHS[kind]:
            raise malformed("ndp option length", at + 1, f"option {kind} cannot have {length} octets")
        if kind == 1:
            source_mac = Mac(value)
        elif kind == 2:
            target_mac = Mac(value)
        elif kind == 3:
            prefixes.append(_parse_prefix(value))
        elif kind == 4:
            redirected = value[6:]
        elif kind == 5:
            mtu = _MTU.unpack(value)[1]
        elif kind == 25:
            servers.append(_parse_servers(value, at))
        elif kind == 31:
            search.append(_parse_search(value, at))
        elif kind == 37:
            captive_portal = value.rstrip(b"\0").decode("latin-1")
        else:
            other.append((kind, value))
        at += length
    return Options(
        source_mac, target_mac, tuple(prefixes), redirected, mtu, tuple(servers), tuple(search),
        captive_portal, tuple(other),
    )  # fmt: skip


_LENGTHS: Final = {1: 8, 2: 8, 3: 32, 5: 8}


def _parse_prefix(value: bytes) -> Prefix:
    length, flags, valid, preferred, _, prefix = _PREFIX.unpack(value)
    return Prefix(prefix, length, bool(flags & 0x80), bool(flags & 0x40), valid, preferred)


def _parse_servers(value: bytes, at: int) -> DnsServers:
    addresses = value[6:]
    if not addresses or len(addresses) % 16:
        raise malformed(
            "ndp option 25 (dns servers)", at, f"{len(addresses)} octets are no list of addresses"
        )
    _, lifetime = _LIFETIME.unpack_from(value)
    return DnsServers(tuple(addresses[one : one + 16] for one in range(0, len(addresses), 16)), lifetime)


def _parse_search(value: bytes, at: int) -> DnsSearch:
    _, lifetime = _LIFETIME.unpack_from(value)
    try:
        # Padding is zeros, each of which reads as an empty name.
        names = tuple(name for name in decode_names(value[6:]) if name)
    except ValueError as error:
        raise malformed("ndp option 31 (search domains)", at, str(error)) from error
    return DnsSearch(names, lifetime)


def emit(packet: Ndp) -> Icmpv6:
    """The message for ``icmpv6.emit``. Raises ValueError when an option is too long or no multiple of 8."""
    options = _emit_options(packet.options)
    if isinstance(packet, RouterSolicitation):
        return Icmpv6(Type.ROUTER_SOLICITATION, 0, 0, options)
    if isinstance(packet, RouterAdvertisement):
        rest = (
            packet.hop_limit << 24 | packet.managed << 23 | packet.other_config << 22
            | packet.preference << 19 | packet.router_lifetime
        )  # fmt: skip
        timers = _ADVERTISEMENT.pack(packet.reachable_time, packet.retrans_timer)
        return Icmpv6(Type.ROUTER_ADVERTISEMENT, 0, rest, timers + options)
    if isinstance(packet, NeighbourSolicitation):
        return Icmpv6(Type.NEIGHBOUR_SOLICITATION, 0, 0, packet.target + options)
    if isinstance(packet, NeighbourAdvertisement):
        rest = packet.router << 31 | packet.solicited << 30 | packet.override << 29
        return Icmpv6(Type.NEIGHBOUR_ADVERTISEMENT, 0, rest, packet.target + options)
    return Icmpv6(Type.REDIRECT, 0, 0, packet.target + packet.destination + options)


def _emit_options(options: Options) -> bytes:
    out = b""
    if options.source_mac is not None:
        out += _option(1, options.source_mac)
    if options.target_mac is not None:
        out += _option(2, options.target_mac)
    if options.mtu is not None:
        out += _option(5, _MTU.pack(0, options.mtu))
    for prefix in options.prefixes:
        flags = prefix.on_link << 7 | prefix.autonomous << 6
        out += _option(
            3,
            _PREFIX.pack(
                prefix.length, flags, prefix.valid_lifetime, prefix.preferred_lifetime, 0, prefix.prefix
            ),
        )
    for servers in options.dns_servers:
        out += _option(25, _LIFETIME.pack(0, servers.lifetime) + b"".join(servers.servers))
    for search in options.dns_search:
        names = encode_names(search.domains)
        out += _option(31, _LIFETIME.pack(0, search.lifetime) + names + bytes(-len(names) % 8))
    if options.captive_portal is not None:
        uri = options.captive_portal.encode("latin-1")
        out += _option(37, uri + bytes(-(2 + len(uri)) % 8))
    for kind, value in options.other:
        out += _option(kind, value)
    if options.redirected is not None:
        out += _option(4, bytes(6) + options.redirected)
    return out


def _option(kind: int, value: Octets) -> bytes:
    length, odd = divmod(2 + len(value), 8)
    if odd or not 0 < length < 256:
        raise ValueError(f"an option {kind} with {len(value)} octets cannot be written")
    return bytes((kind, length)) + value


def show(packet: Ndp) -> str:
    """``neighbour solicitation, who has fe80::1`` and the like."""
    if isinstance(packet, RouterSolicitation):
        return "router solicitation"
    if isinstance(packet, RouterAdvertisement):
        parts = [f"router advertisement, lifetime {packet.router_lifetime}"]
        flags = ", ".join(
            name for name, on in (("managed", packet.managed), ("other", packet.other_config)) if on
        )
        parts += [f"flags [{flags}]"] if flags else []
        parts += [f"prefix {show_ip6(one.prefix)}/{one.length}" for one in packet.options.prefixes]
        parts += [f"dns {show_ip6(one)}" for each in packet.options.dns_servers for one in each.servers]
        parts += [f"captive portal {packet.options.captive_portal}"] if packet.options.captive_portal else []
        return ", ".join(parts)
    if isinstance(packet, NeighbourSolicitation):
        return f"neighbour solicitation, who has {show_ip6(packet.target)}"
    if isinstance(packet, NeighbourAdvertisement):
        names = ("router", packet.router), ("solicited", packet.solicited), ("override", packet.override)
        flags = ", ".join(name for name, on in names if on)
        mac = packet.options.target_mac
        where = f" is-at {mac}" if mac is not None else ""
        return f"neighbour advertisement, {show_ip6(packet.target)}{where}, flags [{flags}]"
    return f"redirect, {show_ip6(packet.destination)} by {show_ip6(packet.target)}"
