"""All host sockets on one edge-triggered epoll, itself one descriptor of the asyncio loop.

A socket is registered once, for its whole life; what was ready is remembered by its owner until the socket
says EAGAIN. So a slow guest, whose credit comes and goes, costs no system calls, and whatever is ready at
one wake is one turn of the driver. Errors (a reset while nobody reads) are noticed too, which asyncio's
readers would not tell.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
URGENT: Final = select.EPOLLPRI
STREAM: Final = select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
DATAGRAMS: Final = select.EPOLLIN | select.EPOLLET
"""Not when they can be sent: each one sent would wake us, and nobody waits for room."""
_BATCH: Final = 256

Handler = Callable[[int], None]
"""Gets the mask of epoll(7) events."""


class Poller:
    """``woken`` is called after the handlers of one wake have run."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._handlers: dict[int, Handler] = {}
        self._again: dict[int, Handler] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)
        self._is_scheduled = False

    def add(self, fd: int, handler: Handler, interest: int = STREAM) -> None:
        """Watch ``fd`` until ``remove``. ``interest``: STREAM or DATAGRAMS."""
        self._handlers[fd] = handler
        self._epoll.register(fd, interest)

    def remove(self, fd: int) -> None:
        """To be called before ``fd`` is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)
        self._again.pop(fd, None)

    def again(self, fd: int) -> None:
        """Call the handler of ``fd`` with mask 0 at the next turn: it has more to do, others go first."""
        self._again[fd] = self._handlers[fd]
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._on_again)

    def close(self) -> None:
        """The watched descriptors stay open: their owners close them."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
        self._handlers.clear()
        self._again.clear()

    def look(self) -> None:
        """Call the handlers of what is ready now; ``woken`` is not."""
        for fd, mask in self._epoll.poll(0, _BATCH):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(mask)

    def _on_ready(self) -> None:
        self.look()
        self._woken()

    def _on_again(self) -> None:
        self._is_scheduled = False
        again, self._again = self._again, {}
        for fd, handler in again.items():
            if self._handlers.get(fd) is handler:
                handler(0)
        self._woken()
