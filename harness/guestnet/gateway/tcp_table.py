"""The table of TCP flows, and who gives way when it is full.

Every flow is in one of these stages, each in the order in which the flows entered it:

===========  ==============================================  ======================================
stage        since                                           gives way
===========  ==============================================  ======================================
connecting   the guest's SYN; the host's socket connects     see below
half-open    our SYN-ACK; the guest has not acknowledged it  after a second, to any new flow
open         the handshake                                   never
half-closed  one end closed, the other did not               idle for 4 minutes, to any new flow
waiting      both ends closed in order (TIME-WAIT)           at once, to any new flow
===========  ==============================================  ======================================

A half-closed flow may be in use for as long as its ends like; but of most nothing will ever come again: the
guest's program is gone and the server never closes, or the guest was switched off. Four minutes are what
RFC 5382 REQ-5 grants such a connection. Nobody looks for them as long as there is room. They are not kept
in order of use, which would be work for each segment: who asks for room looks at some, and puts aside who
is in use.

When all places are taken and none of these gives way, the connect does that has been in vain for longest,
after a second.

Connects to somebody who never answers stay for minutes, and a guest may make any number of them. That they
never hold up a connect to somebody who lives is the work of these rules, in this order; the stage is full:

1. The destination that has most of it gives way, by its oldest connect, if the new one has less. So a scan of
   one dead host, or of some, leaves to every other destination what it wants. A few connects at once, or some
   more to a destination that has answered lately, count for nothing: who loads a page is no scan.
2. To a destination that has answered lately the connect that waits longest gives way, of one that has not. So
   whoever is known to live gets in at once, whatever else is asked, and stays.
3. To a destination that has no more than a few in flight the connect that waits longest gives way too, but
   only as fast as the stage may be turned over: a quarter of it at once, six times the whole in a second. So
   who gets in keeps its place for an eighth of a second at least, in which somebody who lives answers;
   without that limit a flood would take every place before its answer can come. By default 3,000
   destinations can be tried in a second, and none waits; who is turned away by more than that comes again,
   as does who lives far away.
4. What has waited for more than a second gives way.

Else the new one is not let in, which is said. Who gives way is not told either: the guest's SYN comes again.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Final

from guestnet.core.time import MINUTE, SECOND
from guestnet.gateway.config import Limits
from guestnet.gateway.rate import RateLimit
from guestnet.gateway.tcp_flow import Flow, Key
from guestnet.wire.ip import IpAddress

PATIENCE: Final = SECOND
"""For how long a connect or a half-open flow keeps its place before one that is no better."""
TURNOVER: Final = 6
"""How often a second all places of connects may be taken by others that are no better."""
BURST: Final = 4
"""Of which part of the places that may happen at once."""
_FEW: Final = 8
"""Connects in flight to one destination that are no scan of it."""
_FEW_TO_KNOWN: Final = 32
"""The same, to one that has answered."""
IDLE: Final = 4 * MINUTE
"""For how long a half-closed flow keeps its place after its last segment (RFC 5382 REQ-5)."""
_LOOKS: Final = 64
"""Half-closed flows that are looked at for one that wants a place."""
_HEARD: Final = 1024
"""Destinations that are remembered for having answered."""


class TcpTable:
    """Of one gateway; flows are numbered from 1 on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_key: dict[Key, Flow] = {}
        self._by_number: dict[int, Flow] = {}
        self._connecting: dict[int, Flow] = {}
        self._by_destination: dict[IpAddress, dict[int, Flow]] = {}
        self._half_open: dict[int, Flow] = {}
        self._half_closed: dict[int, Flow] = {}
        self._waiting: dict[int, Flow] = {}
        self._heard: OrderedDict[IpAddress, None] = OrderedDict()
        burst = max(limits.connecting // BURST, 1)
        self._turnover = RateLimit(TURNOVER * limits.connecting, burst, keys=1)
        self._next_number = 1

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._by_number.values())

    def by_key(self, key: Key) -> Flow | None:
        """The flow of these addresses and ports."""
        return self._by_key.get(key)

    def by_number(self, number: int) -> Flow | None:
        """None when the flow is forgotten."""
        return self._by_number.get(number)

    def number(self) -> int:
        """For the next flow."""
        number = self._next_number
        self._next_number += 1
        return number

    # --- stages ---

    def add(self, flow: Flow) -> None:
        """It is connecting."""
        self._by_key[flow.key] = self._by_number[flow.number] = flow
        self._connecting[flow.number] = flow
        self._by_destination.setdefault(flow.destination, {})[flow.number] = flow

    def connected(self, flow: Flow) -> None:
        """The host's socket is connected: the flow is half-open."""
        self._leave_connecting(flow)
        self.heard(flow.destination)
        flow.is_connected = flow.is_half_open = True
        self._half_open[flow.number] = flow

    def heard(self, destination: IpAddress) -> None:
        """It answered a connect, by whatever: it lives."""
        self._heard[destination] = None
        self._heard.move_to_end(destination)
        if len(self._heard) > _HEARD:
            self._heard.popitem(last=False)

    def silent(self, destination: IpAddress) -> None:
        """It cannot be reached any more."""
        self._heard.pop(destination, None)

    def opened(self, flow: Flow) -> None:
        """The guest acknowledged our SYN-ACK, or is gone."""
        flow.is_half_open = False
        self._half_open.pop(flow.number, None)

    def half_closed(self, flow: Flow) -> None:
        """One end will send no more, or the host's is lost."""
        self._half_closed.setdefault(flow.number, flow)

    def waits(self, flow: Flow) -> None:
        """Only time is left to pass."""
        self._half_closed.pop(flow.number, None)
        self._waiting[flow.number] = flow

    def detach(self, flow: Flow) -> None:
        """Free its addresses and ports for a new flow; it may still have to send."""
        if self._by_key.get(flow.key) is flow:
            del self._by_key[flow.key]

    def forget(self, flow: Flow) -> None:
        """It is over."""
        if not flow.is_connected:
            self._leave_connecting(flow)
        del self._by_number[flow.number]
        self.detach(flow)
        self._half_open.pop(flow.number, None)
        self._half_closed.pop(flow.number, None)
        self._waiting.pop(flow.number, None)

    def _leave_connecting(self, flow: Flow) -> None:
        del self._connecting[flow.number]
        group = self._by_destination[flow.destination]
        del group[flow.number]
        if not group:
            del self._by_destination[flow.destination]

    # --- bounds ---

    def full(self, destination: IpAddress, now: int) -> tuple[str, Flow | None]:
        """The bound that a new flow to ``destination`` meets, or an empty name; and who gives way, if any.

        The bound's name is that of its field in ``Limits``.
        """
        if len(self._connecting) >= self._limits.connecting:
            return "connecting", self._least_hopeful(destination, now)
        if len(self._by_number) >= self._limits.tcp_flows:
            if self._waiting:
                return "", next(iter(self._waiting.values()))
            oldest = next(iter(self._half_open.values()), None)
            if oldest is None or now - oldest.opened_at < PATIENCE:
                oldest = self._idle(now) or self._in_vain(now)
            return "tcp_flows", oldest
        return "", None

    def _idle(self, now: int) -> Flow | None:
        """A half-closed flow of which nothing was heard for long."""
        for number, flow in list(islice(self._half_closed.items(), _LOOKS)):
            if now - flow.connection.heard_at >= IDLE:
                return flow
            self._half_closed[number] = self._half_closed.pop(number)
        return None

    def _in_vain(self, now: int) -> Flow | None:
        """A connect that waits for somebody who has not answered lately."""
        for flow in self._connecting.values():
            if now - flow.opened_at < PATIENCE:
                break
            if flow.destination not in self._heard:
                return flow
        return None

    def knows(self, destination: IpAddress) -> bool:
        """Whether it has answered lately: then it lives."""
        return destination in self._heard

    def _least_hopeful(self, destination: IpAddress, now: int) -> Flow | None:
        """Who gives way to a connect to ``destination``, by the rules above."""
        groups, own = self._by_destination, self._weight(destination)
        if len(groups) < len(self._connecting):
            largest = max(groups, key=self._weight)
            if self._weight(largest) > own + 1:
                return next(iter(groups[largest].values()))
        oldest = next((one for one in self._connecting.values() if one.destination not in self._heard), None)
        if oldest is not None and own == 0:
            if destination in self._heard or now - oldest.opened_at >= PATIENCE:
                return oldest
            if self._turnover.allows("connecting", now):
                return oldest
        oldest = next(iter(self._connecting.values()))
        return oldest if now - oldest.opened_at >= PATIENCE else None

    def _weight(self, destination: IpAddress) -> int:
        """How much of the stage a destination takes; 0 for a few."""
        count = len(self._by_destination.get(destination, ()))
        return count if count > (_FEW_TO_KNOWN if destination in self._heard else _FEW) else 0
