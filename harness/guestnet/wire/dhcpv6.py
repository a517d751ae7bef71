"""DHCPv6 between clients and servers (RFC 8415; DNS options RFC 3646; captive portals RFC 8910).

Options that the project speaks of are typed fields of ``Options``; all others stay in ``other`` as raw
octets, in order. Relay messages are not read: there is no relay on a cable. Lifetimes are in seconds.
"""

import struct
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.wire.ipv6 import Ip6, show_ip6
from guestnet.wire.names import decode_names, encode_names
from guestnet.wire.octets import Octets, malformed, require, view

SERVER_PORT: Final = 547
CLIENT_PORT: Final = 546
ALL_SERVERS: Final[Ip6] = bytes.fromhex("ff020000000000000000000000010002")
"""All_DHCP_Relay_Agents_and_Servers (RFC 8415 7.1)."""
INFINITE: Final = 0xFFFFFFFF
_IA: Final = struct.Struct("!LLL")
_ADDRESS: Final = struct.Struct("!16sLL")


class MessageType(IntEnum):
    """RFC 8415 7.3, without relays."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11


class StatusCode(IntEnum):
    """RFC 8415 21.13."""

    SUCCESS = 0
    UNSPEC_FAIL = 1
    NO_ADDRS_AVAIL = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    NO_PREFIX_AVAIL = 6


class Code(IntEnum):
    """Codes of the options that are typed (RFC 8415 21, RFC 3646, RFC 8910 2.2)."""

    CLIENT_ID = 1
    SERVER_ID = 2
    IA_NA = 3
    IA_ADDRESS = 5
    OPTION_REQUEST = 6
    PREFERENCE = 7
    ELAPSED_TIME = 8
    STATUS = 13
    RAPID_COMMIT = 14
    DNS_SERVERS = 23
    DOMAIN_SEARCH = 24
    INFORMATION_REFRESH_TIME = 32
    CAPTIVE_PORTAL = 103


class Status(Struct, frozen=True):
    """RFC 8415 21.13."""

    code: int
    message: str = ""


class IaAddress(Struct, frozen=True):
    """An address of an identity association (RFC 8415 21.6)."""

    address: Ip6
    preferred_lifetime: int = 0
    valid_lifetime: int = 0
    status: Status | None = None


class IaNa(Struct, frozen=True):
    """An identity association for non-temporary addresses (RFC 8415 21.4); T1 and T2 in seconds."""

    iaid: int
    t1: int = 0
    t2: int = 0
    addresses: tuple[IaAddress, ...] = ()
    status: Status | None = None


class Options(Struct, frozen=True):
    """None, False or empty: not there. ``elapsed_time`` in hundredths of a second; a URI is text."""

    client_id: bytes | None = None
    server_id: bytes | None = None
    ia_na: tuple[IaNa, ...] = ()
    option_request: tuple[int, ...] = ()
    preference: int | None = None
    elapsed_time: int | None = None
    status: Status | None = None
    rapid_commit: bool = False
    dns_servers: tuple[Ip6, ...] = ()
    domain_search: tuple[str, ...] = ()
    information_refresh_time: int | None = None
    captive_portal: str | None = None
    other: tuple[tuple[int, bytes], ...] = ()


class Dhcpv6(Struct, frozen=True):
    """One message; ``transaction`` has 24 bits."""

    type: MessageType
    transaction: int
    options: Options = Options()


def duid_ll(mac: Mac) -> bytes:
    """A DUID made of a link-layer address (RFC 8415 11.4)."""
    return b"\0\3\0\1" + mac


def duid_mac(duid: bytes) -> Mac | None:
    """The ethernet address in a DUID-LLT or DUID-LL, None when it has none: a hint, not a promise."""
    if len(duid) == 14 and duid[:4] == b"\0\1\0\1":
        return Mac(duid[8:])
    if len(duid) == 10 and duid[:4] == b"\0\3\0\1":
        return Mac(duid[4:])
    return None


def parse(data: Octets) -> Dhcpv6:
    """Raises WireError on an unknown or relay type, or an option that does not fit or decode."""
    octets = view(data)
    require(octets, 4, "dhcpv6 message")
    if octets[0] not in _TYPES:
        raise malformed("dhcpv6 type", 0, f"{octets[0]} is none between clients and servers")
    fields: dict[str, Any] = {}
    other: list[tuple[int, bytes]] = []
    associations: list[IaNa] = []
    for code, value, at in _split(octets, 4):
        try:
            if code == Code.IA_NA:
                associations.append(_parse_ia(value))
            elif code in _NAMES:
                fields[_NAMES[code]] = _decode(code, value)
            else:
                other.append((code, bytes(value)))
        except (ValueError, struct.error) as error:
            raise malformed(f"dhcpv6 option {code}", at, str(error)) from error
    transaction = int.from_bytes(octets[1:4], "big")
    options = Options(**fields, ia_na=tuple(associations), other=tuple(other))
    return Dhcpv6(MessageType(octets[0]), transaction, options)


_TYPES: Final = frozenset(MessageType)
_NAMES: Final = {int(code): code.name.lower() for code in Code if code not in (Code.IA_NA, Code.IA_ADDRESS)}


def _split(octets: memoryview, at: int) -> list[tuple[int, memoryview, int]]:
    """Code, value and place of every option. Raises WireError when one does not fit."""
    found = []
    while at < len(octets):
        require(octets, at + 4, "dhcpv6 option")
        code = int.from_bytes(octets[at : at + 2], "big")
        end = at + 4 + int.from_bytes(octets[at + 2 : at + 4], "big")
        if end > len(octets):
            raise malformed(f"dhcpv6 option {code}", at, "does not fit")
        found.append((code, octets[at + 4 : end], at))
        at = end
    return found


def _decode(code: int, value: memoryview) -> Any:
    if code in (Code.CLIENT_ID, Code.SERVER_ID):
        if not 3 <= len(value) <= 130:
            raise ValueError(f"a DUID of {len(value)} octets")
        return bytes(value)
    if code in (Code.OPTION_REQUEST, Code.DNS_SERVERS):
        size = 2 if code == Code.OPTION_REQUEST else 16
        if len(value) % size:
            raise ValueError(f"{len(value)} octets are no multiple of {size}")
        pieces = [bytes(value[at : at + size]) for at in range(0, len(value), size)]
        return tuple(int.from_bytes(piece, "big") for piece in pieces) if size == 2 else tuple(pieces)
    if code == Code.STATUS:
        return _decode_status(value)
    if code == Code.DOMAIN_SEARCH:
        return decode_names(bytes(value))
    if code == Code.CAPTIVE_PORTAL:
        return bytes(value).decode("latin-1")
    if len(value) != _SIZES[code]:
        raise ValueError(f"{len(value)} octets instead of {_SIZES[code]}")
    return True if code == Code.RAPID_COMMIT else int.from_bytes(value, "big")


_SIZES: Final[dict[int, int]] = {
    Code.PREFERENCE: 1,
    Code.ELAPSED_TIME: 2,
    Code.RAPID_COMMIT: 0,
    Code.INFORMATION_REFRESH_TIME: 4,
}


def _decode_status(value: memoryview) -> Status:
    if len(value) < 2:
        raise ValueError("a status without a code")
    return Status(int.from_bytes(value[:2], "big"), bytes(value[2:]).decode("utf-8", "replace"))


def _parse_ia(value: memoryview) -> IaNa:
    iaid, t1, t2 = _IA.unpack_from(value)
    addresses = []
    status = None
    for code, inner, _ in _split(value, _IA.size):
        if code == Code.IA_ADDRESS:
            address, preferred, valid = _ADDRESS.unpack_from(inner)
            told = [_decode_status(one) for each, one, _ in _split(inner, 24) if each == Code.STATUS]
            addresses.append(IaAddress(address, preferred, valid, told[-1] if told else None))
        elif code == Code.STATUS:
            status = _decode_status(inner)
    return IaNa(iaid, t1, t2, tuple(addresses), status)


def emit(message: Dhcpv6) -> bytes:
    """The message. Raises ValueError when an option is longer than 65,535 octets."""
    options = message.options
    out = bytes((message.type,)) + message.transaction.to_bytes(3, "big")
    for association in options.ia_na:
        inner = b"".join(map(_emit_address, association.addresses)) + _emit_status(association.status)
        fixed = _IA.pack(association.iaid, association.t1, association.t2)
        out += _option(Code.IA_NA, fixed + inner)
    for code, name in _NAMES.items():
        value = getattr(options, name)
        if value is not None and value is not False and value != ():
            out += _option(code, _encode(code, value))
    for code, value in options.other:
        out += _option(code, value)
    return out


def _encode(code: int, value: Any) -> bytes:
    if code in (Code.CLIENT_ID, Code.SERVER_ID):
        return bytes(value)
    if code == Code.OPTION_REQUEST:
        return b"".join(one.to_bytes(2, "big") for one in value)
    if code == Code.DNS_SERVERS:
        return b"".join(value)
    if code == Code.STATUS:
        return _encode_status(value)
    if code == Code.DOMAIN_SEARCH:
        return encode_names(value)
    if code == Code.CAPTIVE_PORTAL:
        return bytes(value.encode("latin-1"))
    return b"" if code == Code.RAPID_COMMIT else int(value).to_bytes(_SIZES[code], "big")


def _encode_status(status: Status) -> bytes:
    return status.code.to_bytes(2, "big") + status.message.encode()


def _emit_status(status: Status | None) -> bytes:
    return b"" if status is None else _option(Code.STATUS, _encode_status(status))


def _emit_address(one: IaAddress) -> bytes:
    fixed = _ADDRESS.pack(one.address, one.preferred_lifetime, one.valid_lifetime)
    return _option(Code.IA_ADDRESS, fixed + _emit_status(one.status))


def _option(code: int, value: bytes) -> bytes:
    if len(value) > 65535:
        raise ValueError(f"an option {code} of {len(value)} octets is too long")
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def show(message: Dhcpv6) -> str:
    """``DHCPv6 REPLY xid 0x1 client 52:54:00:12:34:56 address fd65:6775:6573:7400::3``."""
    options = message.options
    parts = [f"DHCPv6 {message.type.name} xid 0x{message.transaction:x}"]
    if options.client_id is not None:
        parts.append(f"client {duid_mac(options.client_id) or options.client_id.hex()}")
    for association in options.ia_na:
        parts += [f"address {show_ip6(one.address)}" for one in association.addresses]
        if association.status is not None:
            parts.append(f"status {association.status.code}")
    if options.status is not None:
        parts.append(f"status {options.status.code}")
    return " ".join(parts)
