"""Who carries out requests."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from guestnet.lab.requests.request import Request


class WithDescriptor(NamedTuple):
    """A result that brings a file descriptor: a copy of it travels, ``owner`` is closed when that is done."""

    result: object
    owner: socket.socket


Handler = Callable[[Any], Awaitable[object]]
"""Answers a request of one class, or raises."""

Handlers = dict[type[Request[Any]], Handler]
"""By the class of the request."""
