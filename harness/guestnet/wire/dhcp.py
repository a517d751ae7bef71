"""DHCP messages (RFC 2131, 2132; long options RFC 3396; search RFC 3397; routes RFC 3442; portal RFC 8910).

Options that the project speaks of are typed fields of ``Options``, through one table of codecs; all
others stay in ``other`` as raw octets by code. Option overload (52) is undone by ``parse`` and done by
``emit`` when the options do not fit into ``limit``.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.wire.ipv4 import ANY, Ip4, show_ip4
from guestnet.wire.names import decode_names, encode_names
from guestnet.wire.octets import Octets, malformed, require, view

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
MAGIC_COOKIE: Final = b"\x63\x82\x53\x63"
MINIMUM: Final = 300
"""Octets of the shortest message some old clients and relays accept (RFC 1542 2.1)."""
_FIXED: Final = struct.Struct("!BBBBLHH4s4s4s4s16s64s128s4s")
_OPTIONS_AT: Final = 240
_FILE_AT: Final = 108
_SNAME_AT: Final = 44
_PAD: Final = 0
_OVERLOAD: Final = 52
_END: Final = 255


class Op(IntEnum):
    """Direction of a message."""

    REQUEST = 1
    REPLY = 2


class MessageType(IntEnum):
    """Option 53 (RFC 2132 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Route(NamedTuple):
    """One classless static route (RFC 3442)."""

    network: Ip4
    prefix: int
    gateway: Ip4


class Options(Struct, frozen=True):
    """What follows the magic cookie. Times in seconds, sizes in octets. None or empty: not there."""

    message_type: MessageType | None = None
    subnet_mask: Ip4 | None = None
    routers: tuple[Ip4, ...] = ()
    dns_servers: tuple[Ip4, ...] = ()
    host_name: str | None = None
    domain_name: str | None = None
    interface_mtu: int | None = None
    broadcast_address: Ip4 | None = None
    ntp_servers: tuple[Ip4, ...] = ()
    requested_address: Ip4 | None = None
    lease_time: int | None = None
    server_identifier: Ip4 | None = None
    parameter_request_list: tuple[int, ...] = ()
    message: str | None = None
    max_message_size: int | None = None
    renewal_time: int | None = None
    rebinding_time: int | None = None
    vendor_class: str | None = None
    client_identifier: bytes | None = None
    captive_portal: str | None = None
    domain_search: tuple[str, ...] = ()
    classless_routes: tuple[Route, ...] = ()
    proxy_autodiscovery: str | None = None
    other: dict[int, bytes] = {}


class Dhcp(Struct, frozen=True):
    """One message; ``options`` apart, the fields of RFC 2131 figure 1 under their names."""

    op: Op
    xid: int
    chaddr: Mac
    options: Options = Options()
    ciaddr: Ip4 = ANY
    yiaddr: Ip4 = ANY
    siaddr: Ip4 = ANY
    giaddr: Ip4 = ANY
    secs: int = 0
    broadcast: bool = False
    hops: int = 0
    sname: bytes = b""
    file: bytes = b""

    @property
    def type(self) -> MessageType | None:
        """Option 53."""
        return self.options.message_type


class _Codec(NamedTuple):
    field: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def _fixed(length: int, data: bytes) -> bytes:
    if len(data) != length:
        raise ValueError(f"{len(data)} octets instead of {length}")
    return data


def _address(data: bytes) -> Ip4:
    return _fixed(4, data)


def _addresses(data: bytes) -> tuple[Ip4, ...]:
    if not data or len(data) % 4:
        raise ValueError(f"{len(data)} octets are no list of addresses")
    return tuple(data[at : at + 4] for at in range(0, len(data), 4))


def _number(length: int) -> tuple[Callable[[bytes], int], Callable[[int], bytes]]:
    return lambda data: int.from_bytes(_fixed(length, data), "big"), lambda value: value.to_bytes(
        length, "big"
    )


def _decode_text(data: bytes) -> str:
    # Servers end some strings with NUL although RFC 2132 2 says not to; latin-1 so that any octet survives.
    return data.rstrip(b"\0").decode("latin-1")


def _encode_text(text: str) -> bytes:
    return text.encode("latin-1")


def _decode_routes(data: bytes) -> tuple[Route, ...]:
    routes = []
    at = 0
    while at < len(data):
        prefix = data[at]
        significant = (prefix + 7) // 8
        end = at + 1 + significant + 4
        if prefix > 32 or end > len(data):
            raise ValueError(f"the route at {at} does not fit")
        network = data[at + 1 : at + 1 + significant].ljust(4, b"\0")
        routes.append(Route(network, prefix, data[end - 4 : end]))
        at = end
    return tuple(routes)


def _encode_routes(routes: tuple[Route, ...]) -> bytes:
    return b"".join(
        bytes((route.prefix,)) + route.network[: (route.prefix + 7) // 8] + route.gateway for route in routes
    )


def _decode_search(data: bytes) -> tuple[str, ...]:
    return decode_names(data, compressed=True)


_TEXT: Final = (_decode_text, _encode_text)
_ONE: Final = (_address, bytes)
_MANY: Final = (_addresses, b"".join)
_CODECS: Final[dict[int, _Codec]] = {
    53: _Codec("message_type", lambda data: MessageType(_fixed(1, data)[0]), lambda value: bytes((value,))),
    1: _Codec("subnet_mask", *_ONE),
    3: _Codec("routers", *_MANY),
    6: _Codec("dns_servers", *_MANY),
    12: _Codec("host_name", *_TEXT),
    15: _Codec("domain_name", *_TEXT),
    26: _Codec("interface_mtu", *_number(2)),
    28: _Codec("broadcast_address", *_ONE),
    42: _Codec("ntp_servers", *_MANY),
    50: _Codec("requested_address", *_ONE),
    51: _Codec("lease_time", *_number(4)),
    54: _Codec("server_identifier", *_ONE),
    55: _Codec("parameter_request_list", tuple, bytes),
    56: _Codec("message", *_TEXT),
    57: _Codec("max_message_size", *_number(2)),
    58: _Codec("renewal_time", *_number(4)),
    59: _Codec("rebinding_time", *_number(4)),
    60: _Codec("vendor_class", *_TEXT),
    61: _Codec("client_identifier", bytes, bytes),
    114: _Codec("captive_portal", *_TEXT),
    119: _Codec("domain_search", _decode_search, encode_names),
    121: _Codec("classless_routes", _decode_routes, _encode_routes),
    252: _Codec("proxy_autodiscovery", *_TEXT),
}


def parse(data: Octets) -> Dhcp:
    """Raises WireError on a bad fixed field, a missing cookie, or an option that does not fit or decode."""
    octets = view(data)
    require(octets, _OPTIONS_AT, "dhcp message")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie = (
        _FIXED.unpack_from(octets)
    )
    if op not in (1, 2):
        raise malformed("dhcp op", 0, f"{op} is neither 1 (request) nor 2 (reply)")
    if (htype, hlen) != (1, 6):
        raise malformed("dhcp htype and hlen", 1, f"{htype} and {hlen} are not 1 and 6 (ethernet)")
    if cookie != MAGIC_COOKIE:
        raise malformed("dhcp magic cookie", 236, f"{cookie.hex()} is not {MAGIC_COOKIE.hex()}")
    raw: dict[int, bytes] = {}
    _collect(octets[_OPTIONS_AT:], _OPTIONS_AT, raw)
    overload = raw.pop(_OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        raise malformed("dhcp option 52 (overload)", _OPTIONS_AT, f"{overload.hex()!r} is not 1, 2 or 3")
    if overload[0] & 1:
        _collect(memoryview(file), _FILE_AT, raw)
        file = b""
    if overload[0] & 2:
        _collect(memoryview(sname), _SNAME_AT, raw)
        sname = b""
    raw.pop(_OVERLOAD, None)  # it has no meaning within what it overloads
    return Dhcp(
        Op(op), xid, Mac(chaddr[:6]), _decode(raw), ciaddr, yiaddr, siaddr, giaddr, secs,
        bool(flags & 0x8000), hops, sname.rstrip(b"\0"), file.rstrip(b"\0"),
    )  # fmt: skip


def _collect(field: memoryview, base: int, raw: dict[int, bytes]) -> None:
    """Add the options in ``field`` to ``raw``; an option that comes again is continued (RFC 3396 7)."""
    at = 0
    while at < len(field):
        code = field[at]
        if code == _PAD:
            at += 1
            continue
        if code == _END:
            return
        length = field[at + 1] if at + 1 < len(field) else len(field)
        end = at + 2 + length
        if end > len(field):
            raise malformed(f"dhcp option {code}", base + at, "does not fit into its field")
        raw[code] = raw.get(code, b"") + field[at + 2 : end]
        at = end


def _decode(raw: dict[int, bytes]) -> Options:
    fields: dict[str, Any] = {}
    other: dict[int, bytes] = {}
    for code, value in raw.items():
        codec = _CODECS.get(code)
        if codec is None:
            other[code] = value
            continue
        try:
            fields[codec.field] = codec.decode(value)
        except ValueError as error:
            raise malformed(f"dhcp option {code} ({codec.field})", _OPTIONS_AT, str(error)) from error
    return Options(**fields, other=other)


def emit(message: Dhcp, *, limit: int = 1472) -> bytes:
    """The message, padded to 300 octets; options longer than 255 octets are split (RFC 3396).

    Options beyond ``limit`` octets of message (what option 57 of the client allows, less 28 of headers)
    go to ``file`` and ``sname`` where these are empty. Raises ValueError when they do not fit at all.
    """
    pieces = list(_pieces(message.options))
    rooms = {1: 128 if not message.file else 0, 2: 64 if not message.sname else 0}
    main_room = limit - _OPTIONS_AT - 1
    file, sname = message.file, message.sname
    overload = 0
    if sum(map(len, pieces)) > main_room:
        main = _fill(pieces, main_room - 3)
        fields = {}
        for bit, room in rooms.items():
            if pieces and room and (filled := _fill(pieces, room - 1)):
                overload |= bit
                fields[bit] = filled + bytes((_END,))
        file, sname = fields.get(1, file), fields.get(2, sname)
        main += bytes((_OVERLOAD, 1, overload)) if overload else b""
    else:
        main = _fill(pieces, main_room)
    if pieces or len(message.file) > 128 or len(message.sname) > 64:
        raise ValueError(f"the options of a DHCP message do not fit into {limit} octets")
    fixed = _FIXED.pack(
        message.op, 1, 6, message.hops, message.xid, message.secs, 0x8000 if message.broadcast else 0,
        message.ciaddr, message.yiaddr, message.siaddr, message.giaddr, message.chaddr, sname, file,
        MAGIC_COOKIE,
    )  # fmt: skip
    return (fixed + main + bytes((_END,))).ljust(MINIMUM, b"\0")


def _pieces(options: Options) -> list[bytes]:
    values: dict[int, bytes] = {}
    for code, codec in _CODECS.items():
        value = getattr(options, codec.field)
        if value is not None and value != ():
            values[code] = codec.encode(value)
    values.update(options.other)
    return [
        bytes((code, len(value[at : at + 255]))) + value[at : at + 255]
        for code, value in values.items()
        for at in range(0, max(len(value), 1), 255)
    ]


def _fill(pieces: list[bytes], room: int) -> bytes:
    """Take from the front of ``pieces`` what fits: a split option stays in order (RFC 3396 6)."""
    out = b""
    while pieces and len(out) + len(pieces[0]) <= room:
        out += pieces.pop(0)
    return out


def show(message: Dhcp) -> str:
    """``DHCP ACK 52:54:00:12:34:56 xid 0x1 yiaddr 192.168.65.3 lease 3600``."""
    kind = message.type.name if message.type is not None else f"BOOTP {message.op.name}"
    parts = [f"DHCP {kind} {message.chaddr} xid 0x{message.xid:x}"]
    addresses = {name: getattr(message, name) for name in ("ciaddr", "yiaddr", "siaddr", "giaddr")}
    parts += [f"{name} {show_ip4(address)}" for name, address in addresses.items() if any(address)]
    options = message.options
    if options.requested_address is not None:
        parts.append(f"requested {show_ip4(options.requested_address)}")
    if options.server_identifier is not None:
        parts.append(f"server {show_ip4(options.server_identifier)}")
    if options.lease_time is not None:
        parts.append(f"lease {options.lease_time}")
    if options.host_name is not None:
        parts.append(f"host-name {options.host_name!r}")
    if options.message is not None:
        parts.append(f"message {options.message!r}")
    return " ".join(parts)
