"""File descriptors: how many the process may open, and the last ones, which are not for guests' flows.

A guest that opens all the flows it can must not take the descriptors of the journal, the resolver or the
next guest's cable. Where fewer may be open than flows are permitted the bounds on flows are made smaller:
at a bound the least hopeful flow gives way, while a socket that cannot be opened is only a connect that
failed.
"""

import errno
import os
import resource
import socket
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from guestnet.core.errors import EnvironmentMissing
from guestnet.gateway.config import Limits

RESERVE: Final = 64
"""Descriptors that flows leave alone."""
WANTED: Final = 20_480
"""More than ``gateway.config.Limits`` permits flows. Not all that there may be: programs that close every
descriptor they might have inherited take minutes for a billion."""
_LEAST: Final = 16
"""Sockets without which a stack is of no use."""


def raise_limit() -> None:
    """Let this process and what it starts open ``WANTED``, or as many as it may without privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fitting(limits: Limits) -> Limits:
    """``limits``, with smaller bounds where this process may not open so many sockets.

    Raises EnvironmentMissing when it may open hardly any.
    """
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    used = len(list(Path("/proc/self/fd").iterdir()))
    places = allowed - RESERVE - used
    if allowed == resource.RLIM_INFINITY or places >= _sockets(limits):
        return limits
    if places < _LEAST:
        raise EnvironmentMissing(
            f"only {allowed} descriptors may be open: {used} are, {RESERVE} are kept, flows have none",
            remedy="allow more before the start: ulimit -n 4096",
        )
    echo = min(limits.echo_flows, places // 16)
    names = min(limits.dns_pending, places // 8)
    udp = min(limits.udp_flows, places * 3 // 8)
    tcp = min(limits.tcp_flows, places - echo - names - udp)
    return replace(
        limits, tcp_flows=tcp, connecting=min(limits.connecting, tcp // 2), udp_flows=udp, echo_flows=echo,
        dns_pending=names,
    )  # fmt: skip


def _sockets(limits: Limits) -> int:
    return limits.tcp_flows + limits.udp_flows + limits.echo_flows + limits.dns_pending


def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A non-blocking socket for a flow. Raises OSError, also with EMFILE when only ``RESERVE`` are left."""
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # The kernel gives the lowest number that is free.
    if limit != resource.RLIM_INFINITY and sock.fileno() >= limit - RESERVE:
        sock.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return sock
