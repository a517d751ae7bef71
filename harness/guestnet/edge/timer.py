"""A timer finer than the loop's own, which counts in whole milliseconds, as epoll_wait(2) does."""

import asyncio
import os
from collections.abc import Callable

from guestnet.system.calls import set_timer, timer

_EXPIRATIONS = 8


class Timer:
    """timerfd_create(2). Calls ``expired`` in the running loop, once for each ``set``. To be closed."""

    def __init__(self, expired: Callable[[], None]) -> None:
        """Raises OSError when there is no descriptor left."""
        self._expired = expired
        self._fd = timer()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._on_readable)

    def set(self, after: int) -> None:
        """Expire ``after`` nanoseconds from now (as soon as possible when that is past) and not before."""
        set_timer(self._fd, max(after, 1))

    def cancel(self) -> None:
        """Do not expire; idempotent."""
        set_timer(self._fd, 0)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _on_readable(self) -> None:
        try:
            os.read(self._fd, _EXPIRATIONS)
        except BlockingIOError:
            return  # set anew or cancelled since it expired
        self._expired()
