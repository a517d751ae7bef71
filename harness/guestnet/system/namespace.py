"""Network namespaces of the calling thread: make one, visit one.

In Linux they belong to threads, and a socket stays in the one that it was opened in. So a thread goes there,
opens what it needs, and comes home; meanwhile it must run nothing else (``asyncio.to_thread``).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from guestnet.system.calls import CLONE_NEWNET, setns, unshare

OWN: Final = "/proc/thread-self/ns/net"
"""The path of the calling thread's namespace."""


def current() -> int:
    """A descriptor of the calling thread's namespace, the caller's to close. Raises OSError."""
    return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


def make() -> int:
    """A new namespace; its descriptor, the caller's to close. The calling thread stays where it is.

    Raises OSError.
    """
    home = current()
    try:
        unshare(CLONE_NEWNET)
        try:
            return current()
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@contextmanager
def inside(descriptor: int) -> Iterator[None]:
    """The calling thread is in the namespace behind ``descriptor`` while the block runs. Raises OSError."""
    home = current()
    try:
        setns(descriptor, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)
