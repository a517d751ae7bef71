"""The gateway's network interface: ethernet and both versions of IP, in and out.

In: frames that are for us are taken apart and checked; fragments wait until they are whole; what is left is a
stream of IP packets from guests, each handed to ``deliver``. What is malformed, or pretends to come from
somewhere else, is dropped with a ``FrameDropped``.

Out: transport payloads become frames for the guest that has the address; the neighbour cache holds a few
while it asks who that is.

What differs between the versions is in ``Ipv4Layer`` and ``Ipv6Layer``.
"""

from collections.abc import Callable, Sequence
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.core.events import AddressConflict, FrameDropped
from guestnet.core.laptop import LaptopFacts
from guestnet.core.port import Frame
from guestnet.core.rng import Stream
from guestnet.core.time import earliest
from guestnet.frames.run import Run
from guestnet.frames.train import Train
from guestnet.gateway.addressing import Addressing
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.ip_layer import IpLayer, Ipv4Layer
from guestnet.gateway.ipv6_layer import Ipv6Layer
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.rate import RateLimit
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.icmpv6 import PacketProblem
from guestnet.tcpip.neighbour import Conflict, Event, Overflow
from guestnet.tcpip.reassembly import CrowdedOut
from guestnet.tcpip.tcp.coalesce import coalesce, merge
from guestnet.wire import arp, ethernet, icmpv6, ip
from guestnet.wire import frame as layers
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress, IpPacket, show_ip
from guestnet.wire.octets import Octets, view
from guestnet.wire.tcp import Segment

_LINK: Final = "gateway"
"""The name of the cable between the switch and us, in journal events."""
NOT_ECT: Final = 0
ECT_0: Final = 2
CE: Final = 3
"""The codepoints of RFC 3168 5 that we use: the last two bits of the former TOS octet."""
DSCP: Final = 0xFC
"""The others (RFC 2474 3)."""
_HOLDERS: Final = 1024
_HEADERS: Final = 256

Deliver = Callable[[IpPacket, bool], None]
"""A packet from a guest, and whether its frame was addressed to a group. May raise WireError."""
DeliverMerged = Callable[[IpPacket, Segment], bool]
"""The packets of a run as one, its checksums verified. False when they must come one by one."""


class Interface:
    """``now`` is the time of the turn, set by the gateway before anything else is called.

    ``is_stirred``: since the gateway last took it back, something came or went by which another part than the
    TCP flows may have work or a new deadline.
    """

    def __init__(
        self,
        config: GatewayConfig,
        addressing: Addressing,
        outbox: Outbox,
        turned_away: TurnedAway,
        draws: Stream,
    ) -> None:
        self.now = 0
        self.is_stirred = True
        self.addressing = addressing
        self.mtu = config.mtu
        self._mac = config.mac
        self._outbox = outbox
        self._ipv4 = Ipv4Layer(config, addressing)
        self._layers: dict[int, IpLayer] = {4: self._ipv4}
        self._ipv6 = Ipv6Layer(config, addressing, draws) if config.has_ipv6 else None
        if self._ipv6 is not None:
            self._layers[16] = self._ipv6
        self._by_type = {int(layer.ethertype): layer for layer in self._layers.values()}
        self._turned_away = turned_away
        rate, burst = config.limits.icmp_errors, config.limits.icmp_burst
        self._error_rate = rate
        self._errors = RateLimit(rate, burst)
        self._all_errors = RateLimit(10 * rate, 10 * burst)
        self._holders: dict[IpAddress, bytes] = {}
        self._conflicts = RateLimit(1, 1)
        self._headers: dict[tuple[IpAddress, IpAddress, int, int, int, Mac], bytes] = {}

    # --- in ---

    def receive(self, frames: Sequence[Frame], deliver: Deliver, deliver_merged: DeliverMerged) -> None:
        """A batch from the ethernet."""
        if (
            type(frames) is not list  # asking what else it is takes its time
            and isinstance(frames, (Run, Train))
            and self._receive_run(frames, deliver_merged)
        ):
            return
        for frame in frames:
            try:
                self._receive(view(frame), deliver)
            except PacketProblem as problem:
                self.is_stirred = True
                self._tell_problem(view(frame), problem)
                self._drop(frame, str(problem))
            except WireError as error:
                self.is_stirred = True
                self._drop(frame, str(error))

    def _receive_run(self, run: Run | Train, deliver_merged: DeliverMerged) -> bool:
        first = run.head if isinstance(run, Train) else run[0]
        holder = bytes(first[6:12])
        layer = self._by_type.get(first[12] << 8 | first[13])
        if layer is None or first[:6] != self._mac:
            return False
        merged = merge(run) if isinstance(run, Train) else coalesce(run, ethernet.HEADER)
        if merged is None:
            return False
        packet, segment = merged
        if not layer.is_credible(packet):
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
        layer = self._by_type.get(ethertype)
        if layer is not None:
            packet = layer.parse(frame[ethernet.HEADER :])
            mac = bytes(frame[6:12])
            if not layer.is_credible(packet):
                layer.on_impostor(packet, mac, self.now)
                raise WireError(f"ipv{layer.version} source {show_ip(packet.source)} is no guest's")
            self._note_holder(packet.source, mac)
            whole = layer.take(packet, mac, self.now)
            if whole is not packet:
                self.is_stirred = True
            if whole is not None:
                deliver(whole, group)
        elif ethertype == EtherType.ARP:
            self.is_stirred = True
            self._ipv4.arp.on_arp(arp.parse(frame[ethernet.HEADER :]), self.now)

    def _tell_problem(self, frame: memoryview, problem: PacketProblem) -> None:
        """Parameter problem; about what went to a group only where RFC 4443 2.4 e.3 lets us."""
        if not frame[0] & 1 or problem.to_group:
            kind = icmpv6.Type.PARAMETER_PROBLEM
            original = frame[ethernet.HEADER :]
            self.send_error(kind, problem.code, original, version=6, rest=problem.pointer)

    def is_holder(self, address: IpAddress, mac: bytes) -> bool:
        """Whether it was the station ``mac`` that spoke last as ``address``."""
        return self._holders.get(address) == mac

    def holder(self, address: IpAddress) -> Mac | None:
        """The station that spoke last as ``address``."""
        mac = self._holders.get(address)
        return Mac(mac) if mac is not None else None

    def _note_holder(self, address: IpAddress, mac: bytes) -> None:
        """Who speaks as ``address``: it is told when that changes, at most once a second for each address.

        It may be a guest made anew, or one that pretends to be another; so nothing is dropped.
        """
        holder = self._holders.get(address)
        if holder == mac:
            return
        if any(address):
            self._holders[address] = mac
            if len(self._holders) > _HOLDERS:
                del self._holders[next(iter(self._holders))]
            if holder is not None:
                self._conflict(address, Mac(holder), Mac(mac))

    def _conflict(self, address: IpAddress, holder: Mac, claimant: Mac) -> None:
        if self._conflicts.allows(address, self.now):
            self._outbox.record(
                AddressConflict(
                    at=self.now, address=show_ip(address), holder=str(holder), claimant=str(claimant)
                )
            )

    # --- out ---

    def send(
        self,
        source: IpAddress,
        destination: IpAddress,
        protocol: int,
        payloads: Sequence[Octets],
        ecn: int = NOT_ECT,
    ) -> None:
        """One packet for each payload, none larger than the MTU; never fragmented on the way (DF).

        ``ecn`` is the codepoint that the packets carry (RFC 3168 5).
        """
        layer = self._layers[len(destination)]
        mac = self._resolve(layer, source, destination, protocol, payloads)
        if mac is None:
            return
        if type(payloads) is not list and isinstance(payloads, Train):
            link = ethernet.header(mac, self._mac, layer.ethertype)
            train = payloads.over(
                lambda length: link + layer.header(source, destination, protocol, length, ecn)
            )
            self._outbox.frames(train)
            return
        if len(payloads) == 1:
            (payload,) = payloads
            header = self._header(layer, mac, source, destination, protocol, len(payload), ecn)
            self._outbox.frames([b"".join((header, payload))])
            return
        link = ethernet.header(mac, self._mac, layer.ethertype)
        frames: list[Frame] = []
        length = -1
        header = b""
        for payload in payloads:
            # Segments of a batch are equal and share their header with its identification (RFC 6864 4.1).
            if len(payload) != length:
                length = len(payload)
                header = link + layer.header(source, destination, protocol, length, ecn)
            frames.append(b"".join((header, payload)))
        self._outbox.frames(frames)

    def _header(
        self, layer: IpLayer, mac: Mac, source: IpAddress, destination: IpAddress, protocol: int, length: int,
        ecn: int,
    ) -> bytes:  # fmt: skip
        """Those of ethernet and IP; remembered, for requests and answers are mostly alike in them."""
        key = source, destination, protocol, length, ecn, mac
        header = self._headers.get(key)
        if header is None:
            link = ethernet.header(mac, self._mac, layer.ethertype)
            header = link + layer.header(source, destination, protocol, length, ecn)
            if len(self._headers) >= _HEADERS:
                self._headers.clear()
            self._headers[key] = header
        return header

    def send_packet(self, packet: IpPacket) -> None:
        """One packet to a guest, as fragments when it is larger than the MTU."""
        layer = self._layers[len(packet.destination)]
        for octets in layer.pieces(packet, self.mtu):
            mac = layer.neighbours.settled(packet.destination)
            if mac is None:
                self.is_stirred = True
                mac = layer.neighbours.send(packet.destination, octets, self.now)
            if mac is not None:
                self._outbox.frames([ethernet.header(mac, self._mac, layer.ethertype) + octets])

    def send_to(self, mac: Mac, packet: IpPacket) -> None:
        """One packet to a station that may not answer ARP yet (RFC 2131 4.1)."""
        layer = self._layers[len(packet.destination)]
        self._outbox.frames([ethernet.header(mac, self._mac, layer.ethertype) + ip.emit(packet)])

    def send_error(
        self,
        kind: int,
        code: int,
        original: Octets,
        *,
        version: int,
        source: IpAddress | None = None,
        rest: int = 0,
        is_owed: bool = False,
    ) -> bool:
        """An ICMP error about ``original``, a guest's packet or how it began, from ``source`` or the gateway.

        ``version`` of IP, 4 or 6; ``rest``: the MTU, or the pointer of a parameter problem. Not where RFC
        1122 3.2.2 or RFC 4443 2.4 forbids one. False when there were too many of its kind (RFC 1812 4.3.2.8,
        RFC 4443 2.4 f), each guest, code and source on its own, so that none of them starves the others;
        ``is_owed``: one that does not count, being the only answer to something bounded by itself.
        """
        layer = self._layers[4 if version == 4 else 16]
        source = source or layer.gateway
        error = layer.error(original, source, kind, code, rest)
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
        self, layer: IpLayer, source: IpAddress, destination: IpAddress, protocol: int,
        payloads: Sequence[Octets],
    ) -> Mac | None:  # fmt: skip
        """The station's address; None: the packets wait in the neighbour cache, as many as it keeps."""
        neighbours = layer.neighbours
        mac = neighbours.settled(destination)
        if mac is not None:
            return mac
        self.is_stirred = True
        mac = neighbours.lookup(destination)
        if mac is not None:
            # Nothing waits for a known address; the cache only notes that it is in use.
            return neighbours.send(destination, b"", self.now)
        for payload in payloads:
            header = layer.header(source, destination, protocol, len(payload), NOT_ECT)
            mac = neighbours.send(destination, b"".join((header, payload)), self.now)
            if mac is not None:
                break
        return mac

    def laptop_told(self, facts: LaptopFacts) -> None:
        """Advertise what routers advertise of ``facts``."""
        if self._ipv6 is not None:
            self._ipv6.laptop_told(facts, self.now)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return earliest(*[layer.poll_at() for layer in self._layers.values()])

    def flush(self) -> None:
        """At the end of a turn: timers, and what ARP and neighbour discovery have to say."""
        for layer in self._layers.values():
            for first in layer.on_timer(self.now):
                self.send_error(*layer.too_late, ip.emit(first), version=layer.version)
            for outgoing in layer.transmit():
                header = ethernet.header(outgoing.destination, self._mac, outgoing.ethertype)
                self._outbox.frames([header + outgoing.payload])
            for event in layer.neighbours.events():
                self._happened(layer, event)
            for gone in layer.crowded_out():
                self._crowded_out(gone)

    def _happened(self, layer: IpLayer, event: Event) -> None:
        if isinstance(event, Conflict):
            self._conflict(event.address, self._mac, event.mac)
            return
        packets = [event.packet] if isinstance(event, Overflow) else event.packets
        why = "too much waits for an answer to" if isinstance(event, Overflow) else "nobody answers"
        for packet in packets:
            self._drop(
                ethernet.header(bytes(6), self._mac, layer.ethertype) + packet,
                f"{why} {layer.asks} for {show_ip(event.address)}",
            )

    def _crowded_out(self, gone: CrowdedOut) -> None:
        if self._turned_away.shows("frames_dropped", self.now):
            shown = f"IP {show_ip(gone.source)} > {show_ip(gone.destination)} id {gone.identification:#x}"
            rule = f"gave way to newer fragments: no more than {gone.bound} {gone.limit} are kept"
            self._outbox.record(FrameDropped(at=self.now, link=_LINK, rule=rule, frame=shown))

    def _drop(self, frame: Frame, rule: str) -> None:
        if self._turned_away.shows("frames_dropped", self.now):
            shown = layers.show(layers.decode(frame))
            self._outbox.record(FrameDropped(at=self.now, link=_LINK, rule=rule, frame=shown))
