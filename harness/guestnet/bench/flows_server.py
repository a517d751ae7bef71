"""The laptop's side of ``guestnet bench flows``: TCP and UDP echo on one port, in one loop on one epoll.

Run as a program of its own, ``python -I flows_server.py ADDRESS PORT``. It listens when that returns: what
serves is a child in the background, which ends with the lab. Next to nothing happens between a read and
the answer, so the stacks are what is measured.
"""

import os
import select
import socket
import sys
from typing import Final

_BACKLOG: Final = 4096
_READ: Final = 65536
_UDP_BUFFER: Final = 4 << 20


class Echo:
    """Listens from the start; raises OSError when the port is taken."""

    def __init__(self, address: str, port: int) -> None:
        self._listening = socket.create_server((address, port), backlog=_BACKLOG)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
        self._datagrams.bind(self._listening.getsockname())
        self._streams: dict[int, socket.socket] = {}
        self.port: int = self._listening.getsockname()[1]

    def serve(self) -> None:
        """For ever."""
        epoll = select.epoll()
        listening, datagrams = self._listening, self._datagrams
        for one in (listening, datagrams):
            one.setblocking(False)
            epoll.register(one.fileno(), select.EPOLLIN)
        while True:
            for fd, _ in epoll.poll():
                if fd == listening.fileno():
                    self._accept(epoll)
                elif fd == datagrams.fileno():
                    self._answer_datagrams()
                else:
                    self._answer(fd)

    def _accept(self, epoll: select.epoll) -> None:
        while True:
            try:
                stream, _ = self._listening.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._streams[stream.fileno()] = stream
            epoll.register(stream.fileno(), select.EPOLLIN)

    def _answer(self, fd: int) -> None:
        stream = self._streams[fd]
        try:
            data = stream.recv(_READ)
            if data:
                stream.sendall(data)
                return
        except ConnectionError:
            pass  # the guest's reset: over, as at its end
        del self._streams[fd]
        stream.close()

    def _answer_datagrams(self) -> None:
        while True:
            try:
                data, source = self._datagrams.recvfrom(_READ)
                self._datagrams.sendto(data, source)
            except BlockingIOError:
                return


def _main(address: str, port: str) -> None:
    echo = Echo(address, int(port))
    if os.fork():
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    echo.serve()


if __name__ == "__main__":
    _main(*sys.argv[1:])
