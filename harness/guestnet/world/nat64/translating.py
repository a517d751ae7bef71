"""A NAT64 that runs: packets from and to a host's links, translated in this process.

::

    router ── link ── host      kernel: owns the next hop's addresses, answers for them, drops all else
                       ├─ packet sockets   what the router sends it, a copy before the kernel drops it
                       └─ raw sockets      what comes of it; the kernel finds the next hop

Nothing here forwards as fast as a kernel would; tens of thousands of packets a second are enough.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import Final

from guestnet.core.errors import EnvironmentMissing, LabError, WireError
from guestnet.system import offloads
from guestnet.tcpip import siit
from guestnet.wire import ipv4, ipv6
from guestnet.wire.ipv4 import Ip4
from guestnet.wire.ipv6 import Ip6
from guestnet.wire.octets import Octets
from guestnet.world.described.nat64 import Nat64
from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces

_IPV4, _IPV6 = 0x0800, 0x86DD
_OUTGOING: Final = 4
"""PACKET_OUTGOING of linux/if_packet.h."""
_BATCH: Final = 64
_LARGEST: Final = 65535
_BUFFER: Final = 1 << 20

_log = logging.getLogger(__name__)


class Pool:
    """Which IPv6 client has which address of the pool; who was silent for longest gives way."""

    def __init__(self, prefix: str, pool: str) -> None:
        self._prefix: Ip6 = IPv6Network(prefix).network_address.packed
        network = IPv4Network(pool)
        self._network = network
        self._free = iter(network.hosts())
        self._four: dict[Ip6, Ip4] = {}
        self._six: dict[Ip4, Ip6] = {}

    def to_ip4(self, address: Ip6) -> Ip4 | None:
        """What is embedded in an address of the prefix; another's own of the pool."""
        if address[:12] == self._prefix[:12]:
            return address[12:]
        if address in self._four:
            self._four[address] = self._four.pop(address)
        else:
            self._give(address)
        return self._four[address]

    def to_ip6(self, address: Ip4) -> Ip6 | None:
        """Whose the address of the pool is, None when nobody's; any other within the prefix."""
        if ipv4_in(address, self._network):
            return self._six.get(address)
        return siit.embedded(self._prefix, address)

    def is_ours(self, destination: bytes) -> bool:
        """Whether a packet to ``destination`` is to be translated."""
        if len(destination) == len(self._prefix):
            return destination[:12] == self._prefix[:12]
        return ipv4_in(destination, self._network)

    def _give(self, client: Ip6) -> None:
        free = next(self._free, None)
        if free is None:
            given = self._four.pop(next(iter(self._four)))
        else:
            given = free.packed
        self._four[client], self._six[given] = given, client


def ipv4_in(address: Ip4, network: IPv4Network) -> bool:
    """Whether ``address`` is in ``network``."""
    mask = int(network.netmask)
    return int.from_bytes(address, "big") & mask == int(network.network_address)


class Translating:
    """One NAT64. Starts when it is made: in any thread; ``run`` is for that of the event loop."""

    def __init__(self, name: str, nat64: Nat64, world: World, namespaces: Namespaces) -> None:
        """Raises EnvironmentMissing."""
        self._name = name
        self._pool = Pool(nat64.prefix, nat64.pool)
        own4, own6, mtu = _place_of(nat64.host, world)
        self._translator = siit.Translator(self._pool, own4, own6, mtu)
        self._sockets: list[socket.socket] = []
        self._readers: list[int] = []
        try:
            for link_name, link in world.links.items():
                if nat64.host in link.ends:
                    # Else a packet might be as large as 64 KiB, and without checksum.
                    for host in link.ends:
                        with namespaces.inside(host):
                            offloads.switch_off(link_name)
            with namespaces.inside(nat64.host):
                self._from4, self._from6 = self._listen(_IPV4), self._listen(_IPV6)
                self._to4 = self._open(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                self._to6 = self._open(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        except OSError as error:
            self.close()
            raise EnvironmentMissing(
                f"the NAT64 {name} got no socket ({error.strerror})", remedy="use a kernel with CONFIG_PACKET"
            ) from error

    def run(self) -> None:
        """Translate from now on, under the running loop."""
        loop = asyncio.get_running_loop()
        for sock, translate, at in (
            (self._from4, self._translator.four_to_six, 16),
            (self._from6, self._translator.six_to_four, 24),
        ):
            loop.add_reader(sock, self._readable, sock, translate, at)
            self._readers.append(sock.fileno())

    def close(self) -> None:
        """Stop, and let go of the sockets. Idempotent."""
        for reader in self._readers:
            asyncio.get_running_loop().remove_reader(reader)
        self._readers.clear()
        while self._sockets:
            self._sockets.pop().close()

    def _open(self, family: int, kind: int, protocol: int) -> socket.socket:
        sock = socket.socket(family, kind, protocol)
        self._sockets.append(sock)
        sock.setblocking(False)
        return sock

    def _listen(self, protocol: int) -> socket.socket:
        sock = self._open(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        return sock

    def _readable(self, sock: socket.socket, translate: Callable[[Octets], siit.Translated], at: int) -> None:
        for _ in range(_BATCH):
            try:
                octets, where = sock.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            length = 4 if at == 16 else 16
            if where[2] == _OUTGOING or not self._pool.is_ours(octets[at : at + length]):
                continue
            try:
                onward, back = translate(octets)
            except WireError as error:
                _log.info("%s: %s", self._name, error)
                continue
            for packet in (*onward, *back):
                self._send(packet)

    def _send(self, packet: bytes) -> None:
        try:
            if packet[0] >> 4 == 4:
                self._to4.sendto(packet, (socket.inet_ntop(socket.AF_INET, packet[16:20]), 0))
            else:
                self._to6.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))
        except OSError as error:
            # A router that can't send drops; of a full buffer, senders learn by their own losses.
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                _log.info("%s: %s", self._name, error)


def _place_of(host: str, world: World) -> tuple[Ip4, Ip6, int]:
    """The host's first addresses on its links, and the smallest MTU of these."""
    links = [link for link in world.links.values() if host in link.ends]
    own = [ip_interface(each).ip for link in links for each in link.ends[host]]
    four = next((each.packed for each in own if each.version == 4), None)
    six = next((each.packed for each in own if each.version == 6), None)
    if four is None or six is None:
        raise LabError(f"{host} lacks a version of IP", remedy="give it addresses of both")
    assert len(four) == ipv4.HEADER // 5
    assert len(six) == len(ipv6.UNSPECIFIED)
    return four, six, min(link.mtu for link in links)
