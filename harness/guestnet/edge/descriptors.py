"""File descriptors: how many the process may open, and the last ones, which are not for guests' flows.

A guest that opens all the flows it can must not take the descriptors of the journal, the resolver or the next
guest's cable.
"""

import errno
import os
import resource
import socket
from typing import Final

RESERVE: Final = 64
"""Descriptors that flows leave alone."""
WANTED: Final = 16_384
"""More than ``gateway.config.Limits`` permits flows. Not all that there may be: programs that close every
descriptor they might have inherited take minutes for a billion."""


def raise_limit() -> None:
    """Let this process and what it starts open ``WANTED``, or as many as it may without privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A non-blocking socket for a flow. Raises OSError, also with EMFILE when only ``RESERVE`` are left."""
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # The kernel gives the lowest number that is free.
    if limit != resource.RLIM_INFINITY and sock.fileno() >= limit - RESERVE:
        sock.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return sock
