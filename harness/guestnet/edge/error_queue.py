"""Errors of sockets with their cause: IP_RECVERR and MSG_ERRQUEUE of ip(7), and the same of ipv6(7).

And the other options whose names and numbers differ between the two families.
"""

import socket
import struct
import sys
from typing import Final, NamedTuple, TypeAlias

from guestnet.gateway.events import IcmpCause

_PMTUDISC_DONT: Final = 0
_PMTUDISC_DO: Final = 2
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_ORIGIN_LOCAL: Final = 1
_QUOTE: Final = 2048


class _Family(NamedTuple):
    """Numbers of linux/in.h, in6.h and errqueue.h; where the offender's ``octets`` are behind the error.

    ``receive`` are the options that have TTL and TOS of what comes told.
    """

    level: int
    recverr: int
    mtu_discover: int
    hops: int
    tos: int
    receive: tuple[int, int]
    origin_icmp: int
    offender_at: int
    octets: int


_IPV4: Final = _Family(
    socket.IPPROTO_IP, 11, 10, socket.IP_TTL, 1, (12, 13), 2, _EXTENDED_ERROR.size + 4, 4
)
_IPV6: Final = _Family(
    socket.IPPROTO_IPV6, 25, 23, socket.IPV6_UNICAST_HOPS, 67, (51, 66), 3, _EXTENDED_ERROR.size + 8, 16
)


_TTL_TOLD: Final = frozenset({socket.IP_TTL, socket.IPV6_HOPLIMIT})
_TOS_TOLD: Final = frozenset({socket.IP_TOS, socket.IPV6_TCLASS})
ROOM: Final = 64
"""Octets that ``marks`` needs of what comes beside a datagram."""

Ancillary: TypeAlias = "list[tuple[int, int, bytes]]"
"""As of ``socket.recvmsg``."""


class Failure(NamedTuple):
    """One error: the packet's destination, how its payload began, and what caused it.

    Without a ``cause`` it was the own kernel; ``mtu`` is then what EMSGSIZE would have let through.
    """

    address: bytes
    port: int
    errno: int
    payload: bytes
    cause: IcmpCause | None
    mtu: int = 0


def enable(sock: socket.socket) -> None:
    """Collect errors in the queue instead of only the last one."""
    family = _family(sock)
    sock.setsockopt(family.level, family.recverr, 1)


def disable(sock: socket.socket) -> None:
    """No more of that: on a connected TCP socket it would make every passing error the end."""
    family = _family(sock)
    sock.setsockopt(family.level, family.recverr, 0)


def dont_fragment(sock: socket.socket, wanted: bool) -> None:
    """Refuse what is larger than the path's MTU, in IPv4 also by DF; or let it be fragmented."""
    family = _family(sock)
    sock.setsockopt(family.level, family.mtu_discover, _PMTUDISC_DO if wanted else _PMTUDISC_DONT)


def set_hops(sock: socket.socket, ttl: int) -> None:
    """The TTL, or hop limit, of what is sent from now on."""
    family = _family(sock)
    sock.setsockopt(family.level, family.hops, ttl)


def set_tos(sock: socket.socket, tos: int) -> None:
    """The TOS octet, or traffic class, of what is sent from now on; of a TCP socket its DSCP alone."""
    family = _family(sock)
    sock.setsockopt(family.level, family.tos, tos)


def tell_marks(sock: socket.socket) -> None:
    """Have TTL and TOS of each datagram told beside it."""
    family = _family(sock)
    for option in family.receive:
        sock.setsockopt(family.level, option, 1)


def marks(ancillary: Ancillary) -> tuple[int, int]:
    """TTL, or hop limit, and TOS, or traffic class, of a datagram; 0 of what is not told."""
    ttl = tos = 0
    for _, kind, data in ancillary:
        if kind in _TTL_TOLD:
            ttl = int.from_bytes(data, sys.byteorder)
        elif kind in _TOS_TOLD:
            tos = int.from_bytes(data, sys.byteorder)
    return ttl, tos


def drain(sock: socket.socket, limit: int = 64) -> list[Failure]:
    """Up to ``limit`` errors that wait."""
    family = _family(sock)
    failures: list[Failure] = []
    while len(failures) < limit:
        try:
            payload, ancillary, _, destination = sock.recvmsg(
                _QUOTE, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
            )
        except OSError:
            break  # EAGAIN: nothing waits
        for level, kind, data in ancillary:
            if (level, kind) == (family.level, family.recverr) and destination:
                address = socket.inet_pton(sock.family, destination[0].partition("%")[0])
                failures.append(_failure(family, payload, data, address, destination[1]))
    return failures


def _failure(family: _Family, payload: bytes, data: bytes, address: bytes, port: int) -> Failure:
    number, origin, icmp_type, icmp_code, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
    cause, mtu = None, 0
    if origin == family.origin_icmp:
        offender = data[family.offender_at : family.offender_at + family.octets]
        cause = IcmpCause(icmp_type, icmp_code, offender, info)
    elif origin == _ORIGIN_LOCAL:
        mtu = info
    return Failure(address, port, number, payload, cause, mtu)


def _family(sock: socket.socket) -> _Family:
    return _IPV6 if sock.family == socket.AF_INET6 else _IPV4
