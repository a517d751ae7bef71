"""ARP (RFC 826) over the common machine of ``neighbour``.

We learn from what is addressed to us and refresh what we know from anything (RFC 826, "packet reception").
Requests for our own addresses are answered, and these are defended (RFC 5227 2.4).
"""

from guestnet.core.address import BROADCAST, Mac
from guestnet.tcpip.neighbour import NeighbourCache, Outgoing
from guestnet.wire import arp
from guestnet.wire.arp import Arp, Operation
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress


class ArpCache(NeighbourCache):
    """Of IPv4 addresses."""

    ethertype = EtherType.IPV4

    def on_arp(self, packet: Arp, now: int) -> None:
        """Learn from a packet and answer it."""
        sender, target = packet.sender_ip, packet.target_ip
        ours = self._addresses
        if packet.sender_mac == self.mac or packet.sender_mac.is_group:
            return
        if sender in ours:
            self._defend(sender, packet.sender_mac, now)
            return
        if any(sender):
            neighbour = self._neighbours.get(sender)
            if neighbour is None and target in ours:
                neighbour = self._add(sender)
            if neighbour is not None:
                self._confirm(sender, neighbour, packet.sender_mac, now)
        if packet.operation == Operation.REQUEST and target in ours:
            self._send(packet.sender_mac, arp.reply(packet, self.mac))

    def announce(self) -> None:
        """Tell everyone our addresses (RFC 5227 2.3)."""
        for address in self._addresses:
            self._claim(address)

    def _claim(self, address: IpAddress) -> None:
        self._send(BROADCAST, arp.request(self.mac, address, address))

    def _ask(self, address: IpAddress, mac: Mac | None) -> None:
        self._send(mac or BROADCAST, arp.request(self.mac, self._addresses[0], address))

    def _send(self, destination: Mac, packet: Arp) -> None:
        self._outgoing.append(Outgoing(destination, EtherType.ARP, arp.emit(packet)))
