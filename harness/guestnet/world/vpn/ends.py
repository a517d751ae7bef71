"""The two ends of a tunnel on sockets: packets of a device in, datagrams out, and back.

A tunnel's interface is one end of a veth pair; at the other one, in a hidden namespace, an AF_PACKET socket
reads what the host sends into the tunnel and writes what comes out of it. That needs no rights but those over
one's own namespaces, which /dev/net/tun does not grant everywhere. The interfaces have no offloads, so each
frame is a packet of the tunnel's MTU at most with a checksum that is there.

Datagrams have DF set. One that is too large for the way (EMSGSIZE: the kernel has learned the path's MTU) is
lost; who sent the packet is told so by ICMP, unless the tunnel is to be a black hole. A socket is not
connected: the source address is that of the uplink at the moment, and the other end answers to where the last
genuine datagram came from.
"""

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from random import Random
from typing import Final, NamedTuple

from guestnet.core.errors import WireError
from guestnet.system import namespace
from guestnet.world.vpn.datagram import OVERHEAD
from guestnet.world.vpn.messages import Open, Side
from guestnet.world.vpn.session import News, Peer

_BATCH: Final = 64
"""Packets in a row, before the other direction gets its turn."""
_LARGEST: Final = 65536
_BUFFER: Final = 4 << 20
_ETHERNET: Final = 14
_ETHERTYPE4: Final = b"\x08\x00"
_ETHERTYPE6: Final = b"\x86\xdd"
_UDP: Final = 8
_HEADERS: Final = {4: 20 + _UDP + OVERHEAD, 6: 40 + _UDP + OVERHEAD}
"""Octets around a packet, by the IP version outside."""
_QUOTED: Final = 520
_ICMPV6: Final = 58

# linux/in.h, linux/in6.h, linux/if_packet.h, asm-generic/socket.h
_IP_MTU_DISCOVER: Final = 10
_IP_MTU: Final = 14
_IPV6_MTU_DISCOVER: Final = 23
_IPV6_MTU: Final = 24
_PMTUDISC_DO: Final = 2
_SOL_PACKET: Final = 263
_PACKET_IGNORE_OUTGOING: Final = 23
_SO_RCVBUFFORCE: Final = 33
_SO_SNDBUFFORCE: Final = 32
_ETH_P_ALL: Final = 3

_LOST: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, errno.EACCES, errno.ENOBUFS,
     errno.EINVAL, errno.EADDRNOTAVAIL, errno.ECONNREFUSED, errno.EAGAIN}
)  # fmt: skip
"""What a datagram or a frame may be lost by, as on any network: no route, no interface, a firewall."""

Address = tuple[str, int] | tuple[str, int, int, int]


class Sockets(NamedTuple):
    """Of one end: towards the other end, to ask the kernel about the way there, and of the device."""

    network: socket.socket
    probe: socket.socket
    device: socket.socket


class End:
    """One end. ``heard`` is called when the other end was, ``told`` with news."""

    def __init__(
        self,
        peer: Peer,
        side: Side,
        sockets: Sockets,
        told: Callable[[News], None],
    ) -> None:
        self.peer = peer
        self.remote: Address | None = None
        self.is_silent = False
        self.frag_needed = True
        self._network, self._probe, self._device = sockets
        self._routers: dict[int, IPv4Address | IPv6Address] = {
            ip_interface(each).version: ip_interface(each).ip for each in side.addresses
        }
        self._told = told
        macs = bytes.fromhex(side.mac.replace(":", "")) + bytes((2, 0, 0, 0, 0, 1))
        self._head4, self._head6 = macs + _ETHERTYPE4, macs + _ETHERTYPE6
        self._buffer = memoryview(bytearray(_LARGEST))
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._network, self._from_network)
        self._loop.add_reader(self._device, self._from_device)

    def settle(self) -> None:
        """Do what follows from what the peer was told: send, tell, set the timer."""
        for datagram in self.peer.take_datagrams():
            self._send(datagram)
        for news in self.peer.take_news():
            self._told(news)
        self._rearm()

    def _from_device(self) -> None:
        buffer, peer = self._buffer, self.peer
        for _ in range(_BATCH):
            try:
                count = self._device.recv_into(buffer)
            except BlockingIOError:
                break
            except OSError as error:
                _tolerate(error)
                break
            packet = buffer[_ETHERNET:count]
            datagram = None if self.is_silent else peer.seal(packet)
            if datagram is not None:
                self._send(datagram, packet)

    def _from_network(self) -> None:
        peer = self.peer
        now = time.monotonic_ns()
        for _ in range(_BATCH):
            try:
                datagram, source = self._network.recvfrom(_LARGEST)
            except BlockingIOError:
                break
            except OSError as error:
                _tolerate(error)
                continue
            if self.is_silent:
                continue
            try:
                packet = peer.receive(memoryview(datagram), now)
            except WireError:
                continue
            self.remote = source
            if packet is not None:
                self._deliver(packet)
        self.settle()

    def _deliver(self, packet: memoryview | bytes) -> None:
        head = self._head4 if packet[0] >> 4 == 4 else self._head6
        try:
            self._device.sendmsg((head, packet))
        except OSError as error:
            _tolerate(error)

    def _send(self, datagram: bytes, packet: memoryview | None = None) -> None:
        if self.remote is None or self.is_silent:
            return
        try:
            self._network.sendto(datagram, self.remote)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                _tolerate(error)
            elif packet is not None and self.frag_needed:
                self._tell_too_big(bytes(packet))

    def _tell_too_big(self, packet: bytes) -> None:
        """RFC 1191 section 3, RFC 4443 section 3.2: as a router beyond the interface would."""
        # Late: they bring numpy, whose import takes longer than that of all else here.
        from guestnet.wire import icmp, icmpv6, ipv4, ipv6

        version = packet[0] >> 4
        router = self._routers.get(version)
        if router is None or self.remote is None:
            return
        mtu = self._path_mtu(self.remote)
        if version == 4:
            told = icmp.unreachable(icmp.Unreachable.FRAGMENTATION_NEEDED, packet[:_QUOTED], mtu=mtu)
            source, destination = ipv4.Ip4(router.packed), ipv4.Ip4(packet[12:16])
            self._deliver(ipv4.emit(ipv4.Ipv4(source, destination, ipv4.Protocol.ICMP, icmp.emit(told))))
        else:
            too_big = icmpv6.packet_too_big(max(mtu, ipv6.MIN_MTU), packet[:_QUOTED])
            source6, destination6 = ipv6.Ip6(router.packed), ipv6.Ip6(packet[8:24])
            payload = icmpv6.emit(too_big, source6, destination6)
            self._deliver(ipv6.emit(ipv6.Ipv6(source6, destination6, _ICMPV6, payload)))

    def _path_mtu(self, remote: Address) -> int:
        """The largest packet that fits. Only a connected socket is told what the kernel knows of the way."""
        is4 = len(remote) == 2
        self._probe.connect(remote)
        if is4:
            return self._probe.getsockopt(socket.IPPROTO_IP, _IP_MTU) - _HEADERS[4]
        return self._probe.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU) - _HEADERS[6]

    def _rearm(self) -> None:
        at = self.peer.poll_at()
        if at is None:
            return
        when = at / 1e9
        if self._timer is not None:
            if self._timer.when() <= when:
                return  # one that is too early only looks again
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        self.peer.poll(time.monotonic_ns())
        self.settle()

    def close(self) -> None:
        """Let go of the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._network)
        self._loop.remove_reader(self._device)
        for each in (self._network, self._probe, self._device):
            each.close()


class Tunnel:
    """Both ends of one VPN, in one process."""

    def __init__(self, order: Open, told: Callable[[News, str], None]) -> None:
        """``told`` gets the laptop's news, and where the concentrator sees it. Raises OSError."""
        rng = Random(order.seed)
        key = bytes.fromhex(order.key)
        version = ip_address(order.endpoint).version
        self._told = told
        with contextlib.ExitStack() as made:
            ours = _sockets(made, order.laptop, order.hidden, version, order.mark)
            theirs = _sockets(made, order.gateway, order.hidden, version, 0)
            theirs.network.bind((order.endpoint, order.port))
            made.pop_all()
        client, concentrator = (
            Peer(key, rng, is_initiator=first, keepalive=order.keepalive, rekey=order.rekey)
            for first in (True, False)
        )
        self.client = End(client, order.laptop, ours, self._news)
        self.concentrator = End(concentrator, order.gateway, theirs, lambda _: None)
        self._endpoint: Address = (order.endpoint, order.port)
        if version == 6:
            self._endpoint = (order.endpoint, order.port, 0, 0)
        self.tune(order.keepalive, order.rekey, order.frag_needed)

    def connect(self) -> None:
        """The client asks for a session."""
        self.client.remote = self._endpoint
        if self.client.peer.is_up:
            # It was lost and has just been found: whoever waits for that may not have heard it.
            self._news("established")
        self.client.peer.connect(time.monotonic_ns())
        self.client.settle()

    def disconnect(self) -> None:
        """The client ends it."""
        self.client.peer.disconnect()
        self.client.remote = None

    def renew(self, pause: int) -> None:
        """The client gives its session up, and asks for another one after ``pause`` ns."""
        self.client.peer.renew(time.monotonic_ns(), pause)
        self.client.settle()

    def silence(self, is_silent: bool) -> None:
        """The concentrator is dead, or lives again."""
        self.concentrator.is_silent = is_silent

    def tune(self, keepalive: int, rekey: int, frag_needed: bool) -> None:
        """Other times and manners."""
        for end in (self.client, self.concentrator):
            end.peer.keepalive, end.peer.rekey_after = keepalive, rekey
            end.frag_needed = frag_needed
        self.client.settle()

    def close(self) -> None:
        """Let go of everything."""
        self.client.close()
        self.concentrator.close()

    def _news(self, news: News) -> None:
        remote = self.concentrator.remote
        self._told(news, "" if remote is None else f"{remote[0]}:{remote[1]}")


@contextlib.contextmanager
def _inside(path: str) -> Iterator[None]:
    there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with namespace.inside(there):
            yield
    finally:
        os.close(there)


def _sockets(made: contextlib.ExitStack, side: Side, hidden: str, version: int, mark: int) -> Sockets:
    with _inside(side.namespace):
        network = made.enter_context(_network_socket(version, mark))
        probe = made.enter_context(_network_socket(version, mark))
    with _inside(hidden):
        return Sockets(network, probe, made.enter_context(_device_socket(side.device)))


def _network_socket(version: int, mark: int) -> socket.socket:
    made = socket.socket(
        socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    )
    if version == 4:
        made.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO)
    if mark:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    _enlarge(made)
    return made


def _device_socket(device: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    _enlarge(made)
    made.bind((device, _ETH_P_ALL))
    return made


def _enlarge(made: socket.socket) -> None:
    """As far as we may: beyond the machine's limit only its root does."""
    for force, option in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            made.setsockopt(socket.SOL_SOCKET, force, _BUFFER)
        except PermissionError:
            made.setsockopt(socket.SOL_SOCKET, option, _BUFFER)


def _tolerate(error: OSError) -> None:
    if error.errno not in _LOST:
        raise error
