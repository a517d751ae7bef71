"""UDP sockets of the laptop: one for each guest address and port, whoever it talks to (RFC 4787 REQ-1)."""

import errno
import socket
from collections.abc import Callable
from typing import Final

from guestnet.edge import error_queue
from guestnet.edge.descriptors import open_socket
from guestnet.edge.host_tcp import show_address
from guestnet.edge.poller import BROKEN, DATAGRAMS, READABLE, Poller
from guestnet.gateway import commands
from guestnet.gateway.events import DatagramFailed, DatagramLost, DatagramOpened, DatagramReceived, Event

_BATCH: Final = 64
"""Datagrams of one socket in one turn."""
_MAX_DATAGRAM: Final = 65535
_RECEIVE_BUFFER: Final = 1 << 20


class _Socket:
    __slots__ = ("dont_fragment", "family", "fd", "flow", "latest", "sock", "tos", "ttl")

    def __init__(self, flow: int, sock: socket.socket, family: int) -> None:
        self.flow = flow
        self.sock = sock
        self.family = family
        self.fd = sock.fileno()
        self.ttl = 0
        self.tos = 0
        self.dont_fragment: bool | None = None
        self.latest = "", b""
        """An address as text and as octets: of whom was talked to last."""

    def octets(self, text: str) -> bytes:
        """Of an address."""
        if text != self.latest[0]:
            self.latest = text, socket.inet_pton(self.family, text)
        return self.latest[1]

    def text(self, octets: bytes) -> str:
        """Of an address."""
        if octets != self.latest[1]:
            self.latest = socket.inet_ntop(self.family, octets), octets
        return self.latest[0]


class HostUdp:
    """Executes the datagram commands; ``emit`` gets the events, also from within a command."""

    def __init__(self, poller: Poller, emit: Callable[[Event], None]) -> None:
        self._poller = poller
        self._emit = emit
        self._sockets: dict[int, _Socket] = {}
        self._buffer = bytearray(_MAX_DATAGRAM)

    def __len__(self) -> int:
        return len(self._sockets)

    def open(self, command: commands.OpenDatagram) -> None:
        """A socket on the wanted port, or on any."""
        family, anywhere = (socket.AF_INET, "0.0.0.0") if command.version == 4 else (socket.AF_INET6, "::")
        try:
            sock = open_socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            self._emit(DatagramLost(command.flow, error.errno or errno.EMFILE))
            return
        try:
            if family == socket.AF_INET6:
                # Else it would take the port from IPv4 too.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((anywhere, command.port))
            except OSError:
                sock.bind((anywhere, 0))  # taken, or below the unprivileged ports
            error_queue.enable(sock)
            error_queue.tell_marks(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        except OSError as error:
            sock.close()
            self._emit(DatagramLost(command.flow, error.errno or errno.EADDRNOTAVAIL))
            return
        opened = _Socket(command.flow, sock, family)
        self._sockets[command.flow] = opened
        self._poller.add(opened.fd, lambda mask: self._on_ready(opened, mask), DATAGRAMS)
        self._emit(DatagramOpened(command.flow, show_address(sock.getsockname())))

    def send(self, command: commands.SendDatagram) -> None:
        """Send now or never: what does not fit into the socket's buffer is lost, and told with EAGAIN."""
        opened = self._sockets.get(command.flow)
        if opened is None:
            return
        sock = opened.sock
        if opened.ttl != command.ttl:
            opened.ttl = command.ttl
            error_queue.set_hops(sock, command.ttl)
        if opened.tos != command.tos:
            opened.tos = command.tos
            error_queue.set_tos(sock, command.tos)
        if opened.dont_fragment != command.dont_fragment:
            opened.dont_fragment = command.dont_fragment
            error_queue.dont_fragment(sock, command.dont_fragment)
        destination = (opened.text(command.address), command.port)
        # An error that waits from an earlier datagram is told by the next call and sends nothing: try again.
        for _ in range(3):
            try:
                sock.sendto(command.payload, destination)
            except OSError as error:
                waiting, mtu = self._drain(opened)
                if waiting:
                    continue
                self._emit(
                    DatagramFailed(
                        command.flow, command.address, command.port, error.errno or 0, command.payload,
                        mtu=mtu,
                    )
                )  # fmt: skip
            return

    def close_flow(self, command: commands.CloseDatagram) -> None:
        """Close the socket."""
        opened = self._sockets.get(command.flow)
        if opened is not None:
            self._drop(opened)

    def close(self) -> None:
        """Close all sockets."""
        for opened in list(self._sockets.values()):
            self._drop(opened)

    def _on_ready(self, opened: _Socket, mask: int) -> None:
        if mask & BROKEN:
            self._drain(opened)
        if mask & READABLE or mask == 0:
            self._read(opened)

    def _read(self, opened: _Socket) -> None:
        buffer = self._buffer
        for _ in range(_BATCH):
            try:
                count, ancillary, _, address = opened.sock.recvmsg_into([buffer], error_queue.ROOM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The error of an earlier datagram; its cause is in the queue.
                self._drain(opened)
                continue
            source = opened.octets(address[0])
            payload = bytes(memoryview(buffer)[:count])
            marks = error_queue.marks(ancillary)
            self._emit(DatagramReceived(opened.flow, source, address[1], payload, *marks))
        self._poller.again(opened.fd)

    def _drain(self, opened: _Socket) -> tuple[bool, int]:
        """Tell what the network said of earlier datagrams: whether there was any.

        And the MTU, if the kernel has just refused one for its size: that, sendto() has told already.
        """
        failures = error_queue.drain(opened.sock)
        waiting, mtu = False, 0
        for failure in failures:
            if failure.cause is None:
                mtu = failure.mtu
                continue
            waiting = True
            self._emit(
                DatagramFailed(
                    opened.flow, failure.address, failure.port, failure.errno, failure.payload, failure.cause
                )
            )
        return waiting, mtu

    def _drop(self, opened: _Socket) -> None:
        self._poller.remove(opened.fd)
        opened.sock.close()
        del self._sockets[opened.flow]
