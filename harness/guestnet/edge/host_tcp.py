"""TCP sockets of the laptop: the outside of the gateway's TCP flows.

Reads never exceed the credit that the gateway gave; writes that the socket does not take wait here, and are
never more than the window that the gateway advertised to the guest. Late errors (SO_ERROR after a
connect, a reset while nobody reads) come back as events with their errno; a connect that the network refused
also with the ICMP message that did.

An urgent octet (RFC 9293 3.8.5) is read in its place among the others, as RFC 6093 recommends; that it is
urgent is not carried.
"""

import errno
import select
import socket
import struct
from collections.abc import Callable
from typing import Final

from guestnet.core.endpoint import show_endpoint
from guestnet.edge import error_queue
from guestnet.edge.descriptors import open_socket
from guestnet.edge.poller import BROKEN, READABLE, URGENT, WRITABLE, Poller
from guestnet.gateway import commands
from guestnet.gateway.events import (
    Connected,
    ConnectFailed,
    ConnectionLost,
    DataReceived,
    EndOfStream,
    Event,
    Sent,
)
from guestnet.wire.octets import Octets, own

READ_SIZE: Final = 256 * 1024
"""Octets of one read: large enough for numpy to cut many segments at once."""
_IOV: Final = 1024
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_ENDING: Final = BROKEN | select.EPOLLRDHUP
_READ_MASK: Final = READABLE | _ENDING
_WARY: Final = _ENDING | URGENT
"""After these a short read may not be all that there is: the end is to be read yet, or what comes behind an
urgent mark, at which every read stops."""


class _Stream:
    __slots__ = (
        "broken", "credit", "ended", "fd", "flow", "is_connected", "is_wary", "queue", "readable", "shut",
        "sock",
    )  # fmt: skip

    def __init__(self, flow: int, sock: socket.socket) -> None:
        self.flow = flow
        self.sock = sock
        self.fd = sock.fileno()
        self.is_connected = False
        self.credit = 0
        self.readable = False
        self.broken = False
        self.is_wary = False
        self.ended = False
        self.shut = False
        self.queue: list[Octets] = []  # an empty deque would be the largest part of an idle flow


class HostTcp:
    """Executes the TCP commands; ``emit`` gets the events, also from within a command."""

    def __init__(self, poller: Poller, emit: Callable[[Event], None]) -> None:
        self._poller = poller
        self._emit = emit
        self._streams: dict[int, _Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def queued(self) -> int:
        """Octets that wait for host sockets, of all flows."""
        return sum(len(piece) for stream in self._streams.values() for piece in stream.queue)

    def connect(self, command: commands.Connect) -> None:
        """Begin to connect; never blocks."""
        family = socket.AF_INET if len(command.address) == 4 else socket.AF_INET6
        try:
            sock = open_socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self._emit(ConnectFailed(command.flow, error.errno or errno.EMFILE))
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        if command.ttl:
            error_queue.set_hops(sock, command.ttl)
        if command.tos:
            error_queue.set_tos(sock, command.tos)
        if command.keepalive is not None:
            _keep_alive(sock, *command.keepalive)
        error_queue.enable(sock)
        stream = _Stream(command.flow, sock)
        number = sock.connect_ex((socket.inet_ntop(family, command.address), command.port))
        if number not in (0, errno.EINPROGRESS):
            sock.close()
            self._emit(ConnectFailed(command.flow, number))
            return
        self._streams[command.flow] = stream
        self._poller.add(stream.fd, lambda mask: self._on_ready(stream, mask))
        # On this machine a connect is done at once, also one that says it is in progress.
        self._finish_connect(stream)

    def mark(self, command: commands.Mark) -> None:
        """Send with another DSCP from now on."""
        stream = self._streams.get(command.flow)
        if stream is not None:
            error_queue.set_tos(stream.sock, command.tos)

    def receive(self, command: commands.Receive) -> None:
        """Take over the credit, and use it at once when there is something to read."""
        stream = self._streams.get(command.flow)
        if stream is not None:
            stream.credit = command.credit
            if stream.readable:
                self._read(stream)

    def send(self, command: commands.Send) -> None:
        """Send what the socket takes, keep the rest."""
        stream = self._streams.get(command.flow)
        if stream is None:
            return
        sent: int | None = 0
        if stream.queue:
            stream.queue.extend(map(own, command.data))
        elif len(command.data) == 1:
            sent = self._write_one(stream, command.data[0])
        else:
            stream.queue.extend(command.data)
            sent = self._write(stream)
            stream.queue = list(map(own, stream.queue))
        if sent is not None:
            self._emit(Sent(stream.flow, sent))

    def shutdown_write(self, command: commands.ShutdownWrite) -> None:
        """Shut our side once the queue is empty."""
        stream = self._streams.get(command.flow)
        if stream is not None:
            stream.shut = True
            if not stream.queue:
                self._shut(stream)

    def close_flow(self, command: commands.Close) -> None:
        """Close in order."""
        stream = self._streams.get(command.flow)
        if stream is not None:
            self._drop(stream)

    def reset(self, command: commands.Reset) -> None:
        """Close with an RST."""
        stream = self._streams.get(command.flow)
        if stream is not None:
            stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._drop(stream)

    def close(self) -> None:
        """Close all sockets."""
        for stream in list(self._streams.values()):
            self._drop(stream)

    def _on_ready(self, stream: _Stream, mask: int) -> None:
        if not stream.is_connected and not (mask & (WRITABLE | BROKEN) and self._finish_connect(stream)):
            return
        if mask & _READ_MASK:
            stream.readable = True
            stream.broken = stream.broken or bool(mask & BROKEN)
            stream.is_wary = stream.is_wary or bool(mask & _WARY)
        if mask & WRITABLE and stream.queue:
            sent = self._write(stream)
            if sent is None:
                return
            if sent:
                self._emit(Sent(stream.flow, sent))
            if stream.shut and not stream.queue:
                self._shut(stream)
        if stream.readable:
            self._read(stream)

    def _finish_connect(self, stream: _Stream) -> bool:
        number = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == 0:
            try:
                stream.sock.getpeername()
            except OSError:
                return False  # still connecting: a wake without news
            error_queue.disable(stream.sock)
            stream.is_connected = True
            self._emit(Connected(stream.flow, show_address(stream.sock.getsockname())))
            return True
        cause = next((failure.cause for failure in reversed(error_queue.drain(stream.sock))), None)
        self._drop(stream)
        self._emit(ConnectFailed(stream.flow, number, cause))
        return False

    def _read(self, stream: _Stream) -> None:
        """One read of what credit allows; if there may be more, again at the next turn."""
        if stream.ended or stream.credit <= 0:
            self._check_broken(stream)
            return
        wanted = min(stream.credit, READ_SIZE)
        try:
            data = stream.sock.recv(wanted)
        except (BlockingIOError, InterruptedError):
            stream.readable = False
            return
        except OSError as error:
            self._lose(stream, error)
            return
        if not data:
            stream.ended = True
            self._emit(EndOfStream(stream.flow))
            return
        stream.credit -= len(data)
        self._emit(DataReceived(stream.flow, data))
        if len(data) < wanted and not stream.is_wary:
            stream.readable = False  # epoll(7): that was all there is, and there will be a new edge
        elif stream.credit:
            self._poller.again(stream.fd)

    def _check_broken(self, stream: _Stream) -> None:
        """A reset is told at once, as the network would, even when there is nothing to read or no credit."""
        if stream.broken:
            number = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self._drop(stream)
                self._emit(ConnectionLost(stream.flow, number))

    def _write_one(self, stream: _Stream, data: Octets) -> int | None:
        """``_write`` when there is one piece; what the socket does not take is queued."""
        try:
            sent = stream.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._lose(stream, error)
            return None
        if sent < len(data):
            stream.queue.append(own(memoryview(data)[sent:]))
        return sent

    def _write(self, stream: _Stream) -> int | None:
        """Octets that the socket took, or None when it is lost."""
        queue = stream.queue
        total = 0
        while queue:
            try:
                sent = stream.sock.sendmsg(queue[:_IOV])
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._lose(stream, error)
                return None
            total += sent
            whole = 0
            while whole < len(queue) and sent >= len(queue[whole]):
                sent -= len(queue[whole])
                whole += 1
            del queue[:whole]
            if sent:
                queue[0] = memoryview(queue[0])[sent:]
        return total

    def _shut(self, stream: _Stream) -> None:
        try:
            stream.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            # ENOTCONN: the peer's reset was faster.
            self._lose(stream, error)

    def _lose(self, stream: _Stream, error: OSError) -> None:
        self._drop(stream)
        number = errno.ECONNRESET if error.errno in (errno.EPIPE, errno.ENOTCONN, None) else error.errno
        self._emit(ConnectionLost(stream.flow, number))

    def _drop(self, stream: _Stream) -> None:
        self._poller.remove(stream.fd)
        stream.sock.close()
        stream.queue.clear()
        del self._streams[stream.flow]


def _keep_alive(sock: socket.socket, idle: int, interval: int, probes: int) -> None:
    """Seconds of silence, seconds between probes, and how many are answered by nobody."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def show_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """``ip:port``, ``[ip]:port`` for IPv6: as the journal writes it."""
    return show_endpoint(address[0], address[1])
