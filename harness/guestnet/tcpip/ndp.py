"""Neighbour discovery (RFC 4861 7, RFC 4862 5.4) over the common machine of ``neighbour``.

``read`` takes a message apart and refuses what may be forged from afar; ``NdpCache`` has the neighbours.
An advertisement confirms a neighbour only when it is the answer to our question (RFC 4861 7.2.5); what is
heard otherwise is STALE, used as it is and soon probed.
"""

from collections.abc import Iterable
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.tcpip.neighbour import Config, Conflict, NeighbourCache, Outgoing, State
from guestnet.wire import icmpv6, ipv6, ndp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Ip6, Ipv6
from guestnet.wire.ndp import Ndp, NeighbourAdvertisement, NeighbourSolicitation, RouterSolicitation

_ALL_NODES_MAC: Final = Mac(ipv6.group_mac(ALL_NODES))


def read(packet: Ipv6, message: icmpv6.Icmpv6) -> Ndp:
    """The message in ``packet``. Raises WireError unless it is valid (RFC 4861 6.1, 7.1, 8.1)."""
    if packet.hop_limit != ndp.HOP_LIMIT:
        raise WireError(f"ndp with a hop limit of {packet.hop_limit}: it may have crossed a router")
    found = ndp.parse(message)
    if isinstance(found, NeighbourSolicitation) and packet.source == UNSPECIFIED:
        if packet.destination != ipv6.solicited_node(found.target):
            raise WireError("ndp solicitation without a source to another than the target's group")
        if found.options.source_mac is not None:
            raise WireError("ndp solicitation without a source that tells its link-layer address")
    elif isinstance(found, NeighbourAdvertisement):
        if found.solicited and ipv6.is_multicast(packet.destination):
            raise WireError("ndp advertisement to a group that says that it was solicited")
    elif isinstance(found, RouterSolicitation):
        if packet.source == UNSPECIFIED and found.options.source_mac is not None:
            raise WireError("ndp solicitation without a source that tells its link-layer address")
    elif isinstance(found, ndp.RouterAdvertisement | ndp.Redirect) and not ipv6.is_link_local(packet.source):
        raise WireError("ndp from a router that does not use its link-local address")
    return found


class NdpCache(NeighbourCache):
    """Of IPv6 addresses; the first of ours is the link-local one. ``router``: what our answers say we are."""

    ethertype = EtherType.IPV6

    def __init__(
        self, mac: Mac, addresses: Iterable[Ip6], config: Config | None = None, *, router: bool = True
    ) -> None:
        super().__init__(mac, addresses, config)
        self._router = router

    def on_solicitation(self, source: Ip6, packet: NeighbourSolicitation, mac: Mac, now: int) -> None:
        """A question that came from ``source`` in a frame from ``mac`` (RFC 4861 7.2.3)."""
        if packet.target not in self._addresses or mac == self.mac:
            return
        if source == UNSPECIFIED:
            # Somebody looks whether our address is free (RFC 4862 5.4.3).
            self._events.append(Conflict(packet.target, mac))
            self._advertise(_ALL_NODES_MAC, packet.target, ALL_NODES, solicited=False)
            return
        known = packet.options.source_mac
        if known is not None and not known.is_group:
            self.hint(source, known)
        self._advertise(known or mac, packet.target, source, solicited=True)

    def on_advertisement(self, packet: NeighbourAdvertisement, mac: Mac, now: int) -> None:
        """An answer, or an announcement, in a frame from ``mac`` (RFC 4861 7.2.5)."""
        target, told = packet.target, packet.options.target_mac
        if mac == self.mac:
            return
        if target in self._addresses:
            self._defend(target, told or mac, now)
            return
        neighbour = self._neighbours.get(target)
        if neighbour is None or (told is not None and told.is_group):
            return
        if neighbour.mac is None and told is None:
            return
        differs = told is not None and told != neighbour.mac
        if differs and neighbour.mac is not None and not packet.override:
            if neighbour.state is State.REACHABLE:
                neighbour.state = State.STALE
                self._expire_at(neighbour, None)
            return
        found = told if told is not None else neighbour.mac
        if found is None:
            return
        if packet.solicited:
            self._confirm(target, neighbour, found, now)
        elif differs:
            self._set(target, neighbour, found)

    def on_impostor(self, source: Ip6, mac: Mac, now: int) -> None:
        """``mac`` has sent a message of neighbour discovery as ``source``: it uses that address."""
        if source in self._addresses and mac != self.mac:
            self._defend(source, mac, now)

    def hint(self, address: Ip6, mac: Mac) -> None:
        """``address`` told its ``mac`` in a question of its own: STALE unless that is known already."""
        if address in self._addresses:
            return
        neighbour = self._neighbours.get(address) or self._add(address)
        if neighbour.mac != mac:
            self._set(address, neighbour, mac)

    def announce(self) -> None:
        """Tell everyone our addresses (RFC 4861 7.2.6)."""
        for address in self._addresses:
            self._claim(address)

    def _claim(self, address: IpAddress) -> None:
        self._advertise(_ALL_NODES_MAC, address, ALL_NODES, solicited=False)

    def _ask(self, address: IpAddress, mac: Mac | None) -> None:
        question = NeighbourSolicitation(address, ndp.Options(source_mac=self.mac))
        destination = address if mac is not None else ipv6.solicited_node(address)
        link = mac if mac is not None else Mac(ipv6.group_mac(destination))
        self._send(link, self._addresses[0], destination, question)

    def _advertise(self, link: Mac, target: Ip6, destination: Ip6, *, solicited: bool) -> None:
        answer = NeighbourAdvertisement(
            target, self._router, solicited, override=True, options=ndp.Options(target_mac=self.mac)
        )
        self._send(link, target, destination, answer)

    def _send(self, link: Mac, source: Ip6, destination: Ip6, message: Ndp) -> None:
        self._outgoing.append(Outgoing(link, EtherType.IPV6, packet_of(source, destination, message)))


def packet_of(source: Ip6, destination: Ip6, message: Ndp) -> bytes:
    """The packet that carries ``message``: with the hop limit that shows that no router was crossed."""
    octets = icmpv6.emit(ndp.emit(message), source, destination)
    return ipv6.emit(Ipv6(source, destination, Protocol.ICMPV6, octets, hop_limit=ndp.HOP_LIMIT))
