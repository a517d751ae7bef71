"""The gateway's network interface: ethernet, ARP and IPv4, in and out.

In: frames that are for us are taken apart and checked; fragments wait until they are whole; what is left is a
stream of IPv4 packets from guests, each handed to ``deliver``. What is malformed, or pretends to come from
somewhere else, is dropped with a ``FrameDropped``.

Out: transport payloads become frames for the guest that has the address; the ARP cache holds a few while
it asks who that is.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final

from harness.core.address import Mac
from harness.core.errors import WireError
from harness.core.events import AddressConflict, FrameDropped
from harness.core.port import Frame
from harness.gateway.addressing import Addressing
from harness.gateway.config import GatewayConfig
from harness.gateway.outbox import Outbox
from harness.gateway.rate import RateLimit
from harness.gateway.turned_away import TurnedAway
from harness.tcpip import icmp as icmp_errors
from harness.tcpip.arp import ArpCache
from harness.tcpip.neighbour import Conflict
from harness.tcpip.reassembly import Reassembler, fragment
from harness.tcpip.tcp.coalesce import coalesce, merge
from harness.wire import arp, ethernet, icmp, ipv4
from harness.wire import frame as layers
from harness.wire.ethernet import EtherType
from harness.wire.ipv4 import ANY, Ip4, Ipv4, show_ip4
from harness.wire.octets import Octets, view
from harness.wire.run import Run
from harness.wire.tcp import Segment
from harness.wire.train import Train

_LINK: Final = "gateway"
"""The name of the cable between the switch and us, in journal events."""
_IP_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
_DONT_FRAGMENT: Final = 0x4000
NOT_ECT: Final = 0
ECT_0: Final = 2
CE: Final = 3
"""The codepoints of RFC 3168 5 that we use: the last two bits of the former TOS octet."""
_HOLDERS: Final = 1024
_IPV4: Final = EtherType.IPV4.to_bytes(2, "big")

Deliver = Callable[[Ipv4, bool], None]
"""A packet from a guest, and whether its frame was addressed to a group. May raise WireError."""
DeliverMerged = Callable[[Ipv4, Segment], bool]
"""The packets of a run as one, its checksums verified. False when they must come one by one."""


class Interface:
    """``now`` is the time of the turn, set by the gateway before anything else is called."""

    def __init__(
        self, config: GatewayConfig, addressing: Addressing, outbox: Outbox, turned_away: TurnedAway
    ) -> None:
        self.now = 0
        self.addressing = addressing
        self.mtu = config.mtu
        self._mac = config.mac
        self._broadcasts = (config.broadcast,)
        self._outbox = outbox
        self._neighbours = ArpCache(config.mac, (config.gateway, config.host))
        self._reassembler = Reassembler[Ipv4]()
        self._identification = 0
        self._turned_away = turned_away
        rate, burst = config.limits.icmp_errors, config.limits.icmp_burst
        self._error_rate = rate
        self._errors = RateLimit(rate, burst)
        self._all_errors = RateLimit(10 * rate, 10 * burst)
        self._holders: dict[Ip4, bytes] = {}
        self._conflicts = RateLimit(1, 1)

    # --- in ---

    def receive(self, frames: Sequence[Frame], deliver: Deliver, deliver_merged: DeliverMerged) -> None:
        """A batch from the ethernet."""
        if isinstance(frames, (Run, Train)) and self._receive_run(frames, deliver_merged):
            return
        for frame in frames:
            try:
                self._receive(view(frame), deliver)
            except WireError as error:
                self._drop(frame, str(error))

    def _receive_run(self, run: Run | Train, deliver_merged: DeliverMerged) -> bool:
        first = run.head if isinstance(run, Train) else run[0]
        holder = bytes(first[6:12])
        if first[: ethernet.HEADER] != self._mac + holder + _IPV4:
            return False
        merged = merge(run) if isinstance(run, Train) else coalesce(run, ethernet.HEADER)
        if merged is None:
            return False
        packet, segment = merged
        if not isinstance(packet, Ipv4) or not self._is_credible(packet):
            return False
        self._note_holder(packet.source, holder)
        return deliver_merged(packet, segment)

    def _receive(self, frame: memoryview, deliver: Deliver) -> None:
        if len(frame) < ethernet.HEADER:
            raise WireError("shorter than an ethernet header")
        # The two fields that decide are read without making an object of the header.
        group = bool(frame[0] & 1)
        if not group and bytes(frame[:6]) != self._mac:
            return
        ethertype = frame[12] << 8 | frame[13]
        if ethertype == EtherType.IPV4:
            packet = ipv4.parse(frame[ethernet.HEADER :])
            if not self._is_credible(packet):
                raise WireError(f"ipv4 source {show_ip4(packet.source)} is no guest's")
            self._note_holder(packet.source, bytes(frame[6:12]))
            whole = self._reassembler.on_packet(packet, self.now) if packet.is_fragment else packet
            if whole is not None:
                deliver(whole, group)
        elif ethertype == EtherType.ARP:
            self._neighbours.on_arp(arp.parse(frame[ethernet.HEADER :]), self.now)

    def _is_credible(self, packet: Ipv4) -> bool:
        # A guest without an address speaks DHCP from 0.0.0.0 (RFC 2131 4.1).
        return self.addressing.is_guest(packet.source) or (
            packet.source == ANY and packet.protocol == ipv4.Protocol.UDP
        )

    def _note_holder(self, address: Ip4, mac: bytes) -> None:
        """Who speaks as ``address``: it is told when that changes, at most once a second for each address.

        It may be a guest made anew, or one that pretends to be another; so nothing is dropped.
        """
        holder = self._holders.get(address)
        if holder == mac:
            return
        if address != ANY:
            self._holders[address] = mac
            if len(self._holders) > _HOLDERS:
                del self._holders[next(iter(self._holders))]
            if holder is not None:
                self._conflict(address, Mac(holder), Mac(mac))

    def _conflict(self, address: Ip4, holder: Mac, claimant: Mac) -> None:
        if self._conflicts.allows(address, self.now):
            self._outbox.record(
                AddressConflict(
                    at=self.now, address=show_ip4(address), holder=str(holder), claimant=str(claimant)
                )
            )

    # --- out ---

    def send(
        self, source: Ip4, destination: Ip4, protocol: int, payloads: Sequence[Octets], ecn: int = NOT_ECT
    ) -> None:
        """One packet for each payload, none larger than the MTU; never fragmented on the way (DF).

        ``ecn`` is the codepoint that the packets carry (RFC 3168 5).
        """
        mac = self._resolve(source, destination, protocol, payloads)
        if mac is None:
            return
        link = ethernet.header(mac, self._mac, EtherType.IPV4)
        if isinstance(payloads, Train):
            train = payloads.over(lambda length: link + _header(source, destination, protocol, length, ecn))
            self._outbox.frames(train)
            return
        frames: list[Frame] = []
        length = -1
        header = b""
        for payload in payloads:
            # Segments of a batch are equal and share their header with its identification (RFC 6864 4.1).
            if len(payload) != length:
                length = len(payload)
                header = link + _header(source, destination, protocol, length, ecn)
            frames.append(b"".join((header, payload)))
        self._outbox.frames(frames)

    def send_packet(self, packet: Ipv4) -> None:
        """One packet to a guest, as fragments when it is larger than the MTU."""
        if not packet.dont_fragment:
            self._identification = (self._identification + 1) & 0xFFFF
            packet = Ipv4(
                packet.source, packet.destination, packet.protocol, packet.payload, packet.ttl,
                self._identification, tos=packet.tos,
            )  # fmt: skip
        for piece in fragment(packet, self.mtu):
            octets = ipv4.emit(piece)
            mac = self._neighbours.send(packet.destination, octets, self.now)
            if mac is not None:
                self._outbox.frames([ethernet.header(mac, self._mac, EtherType.IPV4) + octets])

    def send_to(self, mac: Mac, packet: Ipv4) -> None:
        """One packet to a station that may not answer ARP yet (RFC 2131 4.1)."""
        self._outbox.frames([ethernet.header(mac, self._mac, EtherType.IPV4) + ipv4.emit(packet)])

    def send_error(
        self,
        kind: int,
        code: int,
        original: Octets,
        *,
        source: Ip4 | None = None,
        mtu: int = 0,
        is_owed: bool = False,
    ) -> bool:
        """An ICMP error about ``original``, a guest's packet or how it began, from ``source`` or the gateway.

        Not where RFC 1122 3.2.2 forbids one. False when there were too many of its kind (RFC 1812 4.3.2.8),
        each guest, code and source on its own, so that none of them starves the others; ``is_owed``: one that
        does not count, being the only answer to something bounded by itself.
        """
        source = source or self.addressing.gateway
        error = icmp_errors.error_about(original, source, kind, code, mtu=mtu, broadcasts=self._broadcasts)
        if error is None:
            return True
        if not is_owed and not (
            self._errors.allows((error.destination, kind, code, source), self.now)
            and self._all_errors.allows("", self.now)
        ):
            self._turned_away.note("icmp_errors", self._error_rate, self.now)
            return False
        self.send_packet(error)
        return True

    def _resolve(
        self, source: Ip4, destination: Ip4, protocol: int, payloads: Sequence[Octets]
    ) -> Mac | None:
        """The station's address; None: the packets wait in the ARP cache, as many as it keeps."""
        mac = self._neighbours.lookup(destination)
        if mac is not None:
            # Nothing waits for a known address; the cache only notes that it is in use.
            return self._neighbours.send(destination, b"", self.now)
        for payload in payloads:
            octets = b"".join((_header(source, destination, protocol, len(payload)), payload))
            mac = self._neighbours.send(destination, octets, self.now)
            if mac is not None:
                break
        return mac

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        times = (self._neighbours.poll_at(), self._reassembler.poll_at())
        return min((at for at in times if at is not None), default=None)

    def flush(self) -> None:
        """At the end of a turn: timers, and what ARP has to say."""
        self._neighbours.on_timer(self.now)
        for first in self._reassembler.on_timer(self.now):
            self.send_error(icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.REASSEMBLY, ipv4.emit(first))
        for outgoing in self._neighbours.transmit():
            header = ethernet.header(outgoing.destination, self._mac, outgoing.ethertype)
            self._outbox.frames([header + outgoing.payload])
        for event in self._neighbours.events():
            if isinstance(event, Conflict):
                self._conflict(event.address, self._mac, event.mac)
            else:
                for packet in event.packets:
                    self._drop(
                        ethernet.header(bytes(6), self._mac, EtherType.IPV4) + packet,
                        f"nobody answers ARP for {show_ip4(event.address)}",
                    )

    def _drop(self, frame: Frame, rule: str) -> None:
        if self._turned_away.shows("frames_dropped", self.now):
            shown = layers.show(layers.decode(frame))
            self._outbox.record(FrameDropped(at=self.now, link=_LINK, rule=rule, frame=shown))


def _header(source: Ip4, destination: Ip4, protocol: int, length: int, ecn: int = NOT_ECT) -> bytes:
    """An IPv4 header with DF and identification 0: an atomic datagram (RFC 6864 4)."""
    return ipv4.checksummed(
        _IP_HEADER.pack(0x45, ecn, 20 + length, 0, _DONT_FRAGMENT, 64, protocol, 0, source, destination)
    )
