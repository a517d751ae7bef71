"""Unprivileged ping sockets (SOCK_DGRAM, IPPROTO_ICMP): one for each guest address and echo identifier.

The kernel writes its own identifier into what is sent and delivers only the replies to it; the gateway puts
the guest's back. The group of the process must be within net.ipv4.ping_group_range of the laptop's namespace.
"""

import errno
import socket
from collections.abc import Callable
from typing import Final

from harness.core.errors import WireError
from harness.edge import error_queue
from harness.edge.poller import BROKEN, READABLE, Poller
from harness.gateway import commands
from harness.gateway.events import EchoFailed, EchoLost, EchoReplied, Event
from harness.wire import icmp

_BATCH: Final = 64
_MAX_MESSAGE: Final = 65535


class _Socket:
    __slots__ = ("dont_fragment", "fd", "flow", "sock", "ttl")

    def __init__(self, flow: int, sock: socket.socket) -> None:
        self.flow = flow
        self.sock = sock
        self.fd = sock.fileno()
        self.ttl = 0
        self.dont_fragment: bool | None = None


class HostPing:
    """Executes the echo commands; ``emit`` gets the events, also from within a command."""

    def __init__(self, poller: Poller, emit: Callable[[Event], None]) -> None:
        self._poller = poller
        self._emit = emit
        self._sockets: dict[int, _Socket] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def send(self, command: commands.SendEcho) -> None:
        """Ping once, opening the flow's socket when it is the first time."""
        opened = self._sockets.get(command.flow) or self._open(command.flow)
        if opened is None:
            return
        if opened.ttl != command.ttl:
            opened.ttl = command.ttl
            opened.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, command.ttl)
        if opened.dont_fragment != command.dont_fragment:
            opened.dont_fragment = command.dont_fragment
            error_queue.dont_fragment(opened.sock, command.dont_fragment)
        message = icmp.emit(icmp.echo_request(0, command.sequence, command.payload))
        destination = (socket.inet_ntoa(command.address), 0)
        for _ in range(3):
            try:
                opened.sock.sendto(message, destination)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                waiting, mtu = self._drain(opened)
                if waiting:
                    continue
                self._emit(
                    EchoFailed(
                        command.flow, command.address, command.sequence, error.errno or 0, command.payload,
                        mtu=mtu,
                    )
                )  # fmt: skip
            return

    def close_flow(self, command: commands.CloseEcho) -> None:
        """Close the socket."""
        opened = self._sockets.get(command.flow)
        if opened is not None:
            self._drop(opened)

    def close(self) -> None:
        """Close all sockets."""
        for opened in list(self._sockets.values()):
            self._drop(opened)

    def _open(self, flow: int) -> _Socket | None:
        try:
            sock = socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
            )
        except OSError as error:
            self._emit(EchoLost(flow, error.errno or errno.EACCES))
            return None
        error_queue.enable(sock)
        opened = self._sockets[flow] = _Socket(flow, sock)
        self._poller.add(opened.fd, lambda mask: self._on_ready(opened, mask))
        return opened

    def _on_ready(self, opened: _Socket, mask: int) -> None:
        if mask & BROKEN:
            self._drain(opened)
        if mask & READABLE or mask == 0:
            self._read(opened)

    def _read(self, opened: _Socket) -> None:
        for _ in range(_BATCH):
            try:
                data, address = opened.sock.recvfrom(_MAX_MESSAGE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._drain(opened)
                continue
            try:
                message = icmp.parse(data, verify=False)
            except WireError:
                continue
            if message.type == icmp.Type.ECHO_REPLY:
                source = socket.inet_aton(address[0])
                self._emit(EchoReplied(opened.flow, source, message.sequence, message.payload))
        self._poller.again(opened.fd)

    def _drain(self, opened: _Socket) -> tuple[bool, int]:
        """As of ``HostUdp``."""
        failures = error_queue.drain(opened.sock)
        waiting, mtu = False, 0
        for failure in failures:
            if failure.cause is None:
                mtu = failure.mtu
                continue
            waiting = True
            # What is quoted is our echo request from its ICMP header on.
            sequence = int.from_bytes(failure.payload[6:8], "big")
            payload = failure.payload[icmp.HEADER :]
            self._emit(
                EchoFailed(opened.flow, failure.address, sequence, failure.errno, payload, failure.cause)
            )
        return waiting, mtu

    def _drop(self, opened: _Socket) -> None:
        self._poller.remove(opened.fd)
        opened.sock.close()
        del self._sockets[opened.flow]
