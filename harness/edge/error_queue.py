"""Errors of datagram sockets with their cause: IP_RECVERR and MSG_ERRQUEUE of ip(7)."""

import socket
import struct
from typing import Final, NamedTuple

from harness.gateway.events import IcmpCause

IP_RECVERR: Final = 11
IP_MTU_DISCOVER: Final = 10
IP_PMTUDISC_DONT: Final = 0
IP_PMTUDISC_DO: Final = 2
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_ORIGIN_LOCAL: Final = 1
_ORIGIN_ICMP: Final = 2
_OFFENDER_AT: Final = _EXTENDED_ERROR.size + 4
_QUOTE: Final = 2048


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
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def disable(sock: socket.socket) -> None:
    """No more of that: on a connected TCP socket it would make every passing error the end."""
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 0)


def dont_fragment(sock: socket.socket, wanted: bool) -> None:
    """Send with DF and refuse what is larger than the path's MTU, or send all without DF (ip(7))."""
    how = IP_PMTUDISC_DO if wanted else IP_PMTUDISC_DONT
    sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)


def drain(sock: socket.socket, limit: int = 64) -> list[Failure]:
    """Up to ``limit`` errors that wait."""
    failures: list[Failure] = []
    while len(failures) < limit:
        try:
            payload, ancillary, _, destination = sock.recvmsg(
                _QUOTE, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
            )
        except OSError:
            break  # EAGAIN: nothing waits
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == IP_RECVERR and destination:
                failures.append(_failure(payload, data, destination))
    return failures


def _failure(payload: bytes, data: bytes, destination: tuple[str, int]) -> Failure:
    number, origin, icmp_type, icmp_code, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
    cause, mtu = None, 0
    if origin == _ORIGIN_ICMP:
        cause = IcmpCause(icmp_type, icmp_code, data[_OFFENDER_AT : _OFFENDER_AT + 4], info)
    elif origin == _ORIGIN_LOCAL:
        mtu = info
    return Failure(socket.inet_aton(destination[0]), destination[1], number, payload, cause, mtu)
