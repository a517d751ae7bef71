"""The table of TCP flows, and who gives way when it is full.

Every flow is in one of these stages, each in the order in which the flows entered it:

===========  ==============================================  ======================================
stage        since                                           gives way
===========  ==============================================  ======================================
connecting   the guest's SYN; the host's socket connects     see below
half-open    our SYN-ACK; the guest has not acknowledged it  after a second, to any new flow
open         the handshake                                   never
waiting      both ends closed in order (TIME-WAIT)           at once, to any new flow
===========  ==============================================  ======================================

Connects to somebody who never answers stay for minutes. So that they never hold up others, a full stage of
connects takes room from the destination that has most of it, if the new one has less; among equals whoever
waited for more than a second gives way. Who gives way is not told: the guest's SYN comes again.
"""

from collections.abc import Iterator
from typing import Final

from harness.core.time import SECOND
from harness.gateway.config import Limits
from harness.gateway.tcp_flow import Flow, Key
from harness.wire.ip import IpAddress

PATIENCE: Final = SECOND
"""For how long a connect or a half-open flow keeps its place before one that is no better."""


class TcpTable:
    """Of one gateway; flows are numbered from 1 on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_key: dict[Key, Flow] = {}
        self._by_number: dict[int, Flow] = {}
        self._connecting: dict[int, Flow] = {}
        self._by_destination: dict[IpAddress, dict[int, Flow]] = {}
        self._half_open: dict[int, Flow] = {}
        self._waiting: dict[int, Flow] = {}
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
        flow.is_connected = flow.is_half_open = True
        self._half_open[flow.number] = flow

    def opened(self, flow: Flow) -> None:
        """The guest acknowledged our SYN-ACK, or is gone."""
        flow.is_half_open = False
        self._half_open.pop(flow.number, None)

    def waits(self, flow: Flow) -> None:
        """Only time is left to pass."""
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
            if oldest is not None and now - oldest.opened_at < PATIENCE:
                oldest = None
            return "tcp_flows", oldest
        return "", None

    def _least_hopeful(self, destination: IpAddress, now: int) -> Flow | None:
        groups = self._by_destination
        if len(groups) < len(self._connecting):
            largest = max(groups.values(), key=len)
            if len(largest) > len(groups.get(destination, ())) + 1:
                return next(iter(largest.values()))
        oldest = next(iter(self._connecting.values()))
        return oldest if now - oldest.opened_at >= PATIENCE else None
