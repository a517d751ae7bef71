"""Unprivileged ping sockets (SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6), one for each guest address and
echo identifier.

The kernel writes its own identifier into what is sent, and in IPv6 the checksum, and delivers only replies
to it; the gateway puts the guest's back. The group of the process must be within net.ipv4.ping_group_range of
the laptop's namespace: that one is for both families.
"""

import errno
import socket
from collections.abc import Callable
from typing import Final

from guestnet.core.errors import WireError
from guestnet.edge import error_queue
from guestnet.edge.descriptors import open_socket
from guestnet.edge.poller import BROKEN, READABLE, Poller
from guestnet.gateway import commands
from guestnet.gateway.events import EchoFailed, EchoLost, EchoReplied, Event
from guestnet.wire import icmp, icmpv6
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6
from guestnet.wire.ipv6 import UNSPECIFIED

_BATCH: Final = 64
_MAX_MESSAGE: Final = 65535


class _Socket:
    __slots__ = ("dont_fragment", "family", "fd", "flow", "sock", "tos", "ttl")

    def __init__(self, flow: int, sock: socket.socket, family: int) -> None:
        self.flow = flow
        self.sock = sock
        self.family = family
        self.fd = sock.fileno()
        self.ttl = 0
        self.tos = 0
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
        opened = self._sockets.get(command.flow) or self._open(command)
        if opened is None:
            return
        if opened.ttl != command.ttl:
            opened.ttl = command.ttl
            error_queue.set_hops(opened.sock, command.ttl)
        if opened.tos != command.tos:
            opened.tos = command.tos
            error_queue.set_tos(opened.sock, command.tos)
        if opened.dont_fragment != command.dont_fragment:
            opened.dont_fragment = command.dont_fragment
            error_queue.dont_fragment(opened.sock, command.dont_fragment)
        message = _echo_request(opened.family, command)
        destination = (socket.inet_ntop(opened.family, command.address), 0)
        for _ in range(3):
            try:
                opened.sock.sendto(message, destination)
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

    def _open(self, command: commands.SendEcho) -> _Socket | None:
        family, protocol = (
            (socket.AF_INET, socket.IPPROTO_ICMP)
            if len(command.address) == 4
            else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        )
        try:
            sock = open_socket(family, socket.SOCK_DGRAM, protocol)
        except OSError as error:
            self._emit(EchoLost(command.flow, error.errno or errno.EACCES))
            return None
        error_queue.enable(sock)
        error_queue.tell_marks(sock)
        opened = self._sockets[command.flow] = _Socket(command.flow, sock, family)
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
                data, ancillary, _, address = opened.sock.recvmsg(_MAX_MESSAGE, error_queue.ROOM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._drain(opened)
                continue
            reply = _echo_reply(opened.family, data)
            if reply is not None:
                source = socket.inet_pton(opened.family, address[0].partition("%")[0])
                marks = error_queue.marks(ancillary)
                self._emit(EchoReplied(opened.flow, source, reply.sequence, reply.payload, *marks))
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


def _echo_request(family: int, command: commands.SendEcho) -> bytes:
    if family == socket.AF_INET:
        return icmp.emit(icmp.echo_request(0, command.sequence, command.payload))
    return icmpv6.emit(
        icmpv6.echo_request(0, command.sequence, command.payload), UNSPECIFIED, command.address
    )


def _echo_reply(family: int, data: bytes) -> Icmp | Icmpv6 | None:
    """What the kernel has checked already; None when it is something else."""
    try:
        if family == socket.AF_INET:
            message = icmp.parse(data, verify=False)
            return message if message.type == icmp.Type.ECHO_REPLY else None
        answer = icmpv6.parse(data)
        return answer if answer.type == icmpv6.Type.ECHO_REPLY else None
    except WireError:
        return None
