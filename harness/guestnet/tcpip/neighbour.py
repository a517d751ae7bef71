"""The neighbour cache: which MAC address has an IP address, as a machine: what ARP and NDP have in common.

Theory of operation. States and their names are RFC 4861's (7.3.2), which describe better what every ARP
does anyway:

    INCOMPLETE   asked of everyone, not answered yet; a few packets wait
    REACHABLE    confirmed within ``reachable_time``
    STALE        not confirmed for longer; used as it is, which begins
    DELAY        a while in which traffic may confirm it (``confirm``), then
    PROBE        asked by unicast; no answer: forgotten

How to ask, and what to learn from what is heard, say ``tcpip.arp`` and ``tcpip.ndp``. A conflict about one of
our addresses is reported and defended at most once in ten seconds (RFC 5227 2.4). All is bounded: entries,
packets that wait.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.core.time import SECOND
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ip import IpAddress
from guestnet.wire.octets import Octets

DEFEND_INTERVAL: Final = 10 * SECOND


class State(Enum):
    """Of one neighbour."""

    INCOMPLETE = "INCOMPLETE"
    REACHABLE = "REACHABLE"
    STALE = "STALE"
    DELAY = "DELAY"
    PROBE = "PROBE"


class Config(Struct, frozen=True):
    """Times in nanoseconds (the defaults are RFC 4861's 10), sizes in entries; ``max_waiting`` octets of one.

    A datagram of 64 KiB must fit, for its fragments are worth nothing without each other.
    """

    reachable_time: int = 30 * SECOND
    retrans_timer: int = 1 * SECOND
    delay_first_probe: int = 5 * SECOND
    max_solicitations: int = 3
    max_entries: int = 1024
    max_waiting: int = 128 << 10


class Outgoing(NamedTuple):
    """A frame to be sent: a question, an answer, or a packet that waited for the address."""

    destination: Mac
    ethertype: int
    payload: Octets


class Conflict(Struct, frozen=True):
    """``mac`` claims our ``address``."""

    address: IpAddress
    mac: Mac


class Unreachable(Struct, frozen=True):
    """Nobody answered for ``address``: these packets are dropped, an ICMP host unreachable is due."""

    address: IpAddress
    packets: tuple[Octets, ...]


class Overflow(Struct, frozen=True):
    """Too much waits for ``address``: this packet, the oldest, is dropped."""

    address: IpAddress
    packet: Octets


Event: TypeAlias = Conflict | Unreachable | Overflow


class _Neighbour:
    __slots__ = ("asked", "deadline", "mac", "octets", "state", "waiting")

    def __init__(self) -> None:
        self.state = State.INCOMPLETE
        self.mac: Mac | None = None
        self.deadline: int | None = None
        self.asked = 0
        self.waiting: list[Octets] = []
        self.octets = 0


class NeighbourCache(ABC):
    """For one interface with ``mac`` and the addresses that it answers for, its own first."""

    ethertype: EtherType
    """Of the packets that wait."""

    def __init__(self, mac: Mac, addresses: Iterable[IpAddress], config: Config | None = None) -> None:
        self.mac = mac
        self._addresses = tuple(addresses)
        self._config = config if config is not None else Config()
        self._neighbours: OrderedDict[IpAddress, _Neighbour] = OrderedDict()
        self._outgoing: list[Outgoing] = []
        self._events: list[Event] = []
        self._defended: dict[IpAddress, int] = {}
        # Deadlines change seldom and are asked for at every turn.
        self._poll_at: int | None = None
        self._is_polled = True

    def send(self, address: IpAddress, packet: Octets, now: int) -> Mac | None:
        """The MAC address to send ``packet`` to; None: it waits in the cache until the address is known.

        When too many wait, the oldest is dropped (RFC 1122 2.3.2.2 keeps the latest), and told as an event.
        """
        neighbour = self._neighbours.get(address)
        if neighbour is None:
            neighbour = self._add(address)
            self._solicit(address, neighbour, now)
        if neighbour.mac is None:
            self._wait(address, neighbour, packet)
            return None
        self._neighbours.move_to_end(address)
        if neighbour.state is State.STALE:
            neighbour.state = State.DELAY
            self._expire_at(neighbour, now + self._config.delay_first_probe)
        return neighbour.mac

    def state(self, address: IpAddress) -> State | None:
        """None when nothing is known of ``address``."""
        neighbour = self._neighbours.get(address)
        return neighbour.state if neighbour is not None else None

    def lookup(self, address: IpAddress) -> Mac | None:
        """The MAC address, if known, without using it."""
        neighbour = self._neighbours.get(address)
        return neighbour.mac if neighbour is not None else None

    def settled(self, address: IpAddress) -> Mac | None:
        """What ``send`` returns, when using the address changes no more than who was used last."""
        neighbour = self._neighbours.get(address)
        if neighbour is None or neighbour.state is State.STALE:
            return None
        self._neighbours.move_to_end(address)
        return neighbour.mac

    def learn(self, address: IpAddress, mac: Mac, now: int) -> None:
        """``address`` is known by other means, such as a DHCP lease or its packets."""
        self._confirm(address, self._neighbours.get(address) or self._add(address), mac, now)

    def forget(self, address: IpAddress) -> None:
        """Its lease has ended. What waits for it is dropped."""
        self._neighbours.pop(address, None)
        self._is_polled = False

    def confirm(self, address: IpAddress, now: int) -> None:
        """A transport saw progress: the neighbour receives what we send (RFC 4861 7.3.1)."""
        neighbour = self._neighbours.get(address)
        if neighbour is not None and neighbour.mac is not None:
            self._confirm(address, neighbour, neighbour.mac, now)

    @abstractmethod
    def announce(self) -> None:
        """Tell everyone our addresses."""

    @abstractmethod
    def _ask(self, address: IpAddress, mac: Mac | None) -> None:
        """Send a question for ``address``, to ``mac`` if that is known, else to everyone."""

    @abstractmethod
    def _claim(self, address: IpAddress) -> None:
        """Tell everyone that ``address`` is ours."""

    def transmit(self) -> list[Outgoing]:
        """The frames due now; drained."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[Event]:
        """What the owner has to know; drained."""
        drained, self._events = self._events, []
        return drained

    def poll_at(self) -> int | None:
        """When ``on_timer`` is due."""
        if not self._is_polled:
            deadlines = (neighbour.deadline for neighbour in self._neighbours.values())
            self._poll_at = min((deadline for deadline in deadlines if deadline is not None), default=None)
            self._is_polled = True
        return self._poll_at

    def on_timer(self, now: int) -> None:
        """Do what is due."""
        at = self.poll_at()
        if at is None or now < at:
            return
        for address, neighbour in list(self._neighbours.items()):
            if neighbour.deadline is not None and now >= neighbour.deadline:
                self._expire(address, neighbour, now)

    def _expire(self, address: IpAddress, neighbour: _Neighbour, now: int) -> None:
        if neighbour.state is State.REACHABLE:
            neighbour.state = State.STALE
            self._expire_at(neighbour, None)
        elif neighbour.state is State.DELAY:
            neighbour.state, neighbour.asked = State.PROBE, 0
            self._solicit(address, neighbour, now)
        elif neighbour.asked < self._config.max_solicitations:
            self._solicit(address, neighbour, now)
        else:
            del self._neighbours[address]
            self._is_polled = False
            if neighbour.waiting:
                self._events.append(Unreachable(address, tuple(neighbour.waiting)))

    def _solicit(self, address: IpAddress, neighbour: _Neighbour, now: int) -> None:
        neighbour.asked += 1
        self._expire_at(neighbour, now + self._config.retrans_timer)
        self._ask(address, neighbour.mac)

    def _confirm(self, address: IpAddress, neighbour: _Neighbour, mac: Mac, now: int) -> None:
        self._set(address, neighbour, mac)
        neighbour.state = State.REACHABLE
        self._expire_at(neighbour, now + self._config.reachable_time)

    def _expire_at(self, neighbour: _Neighbour, deadline: int | None) -> None:
        neighbour.deadline = deadline
        self._is_polled = False

    def _set(self, address: IpAddress, neighbour: _Neighbour, mac: Mac) -> None:
        """``mac`` is known but not confirmed: STALE. What waited is sent."""
        neighbour.state, neighbour.mac, neighbour.asked = State.STALE, mac, 0
        self._expire_at(neighbour, None)
        self._neighbours.move_to_end(address)
        self._outgoing += [Outgoing(mac, self.ethertype, packet) for packet in neighbour.waiting]
        neighbour.waiting, neighbour.octets = [], 0

    def _add(self, address: IpAddress) -> _Neighbour:
        """A new entry; the one used longest ago makes room."""
        if len(self._neighbours) >= self._config.max_entries:
            victim, neighbour = self._neighbours.popitem(last=False)
            self._is_polled = False
            if neighbour.waiting:
                self._events.append(Unreachable(victim, tuple(neighbour.waiting)))
        neighbour = self._neighbours[address] = _Neighbour()
        return neighbour

    def _wait(self, address: IpAddress, neighbour: _Neighbour, packet: Octets) -> None:
        waiting = neighbour.waiting
        waiting.append(packet)
        neighbour.octets += len(packet)
        while neighbour.octets > self._config.max_waiting and len(waiting) > 1:
            oldest = waiting.pop(0)
            neighbour.octets -= len(oldest)
            self._events.append(Overflow(address, oldest))

    def _defend(self, address: IpAddress, mac: Mac, now: int) -> None:
        """``mac`` claims our ``address``."""
        self._events.append(Conflict(address, mac))
        last = self._defended.get(address)
        if last is None or now - last >= DEFEND_INTERVAL:
            self._defended[address] = now
            self._claim(address)
