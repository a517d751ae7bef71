"""How TCP flows end: what the host's socket is told, what the journal says, what is forgotten.

A flow is *recorded* when its end is in the journal. That is so once the host's socket is closed, while its
connection with the guest may stay for a while yet: through TIME-WAIT.
"""

import errno

from guestnet.core.events import FlowClosed
from guestnet.gateway import commands, events
from guestnet.gateway.answers import show_errno
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.tcp_flow import Flow, ends, refused
from guestnet.gateway.tcp_segments import transmit
from guestnet.gateway.tcp_table import TcpTable
from guestnet.gateway.timers import Timers


class Ending:
    """Of the flows in ``table``. ``dated`` are those whose deadline ``timers`` does not know yet."""

    def __init__(
        self,
        table: TcpTable,
        interface: Interface,
        outbox: Outbox,
        timers: Timers[int],
        dated: dict[int, Flow],
    ) -> None:
        self._table = table
        self._interface = interface
        self._outbox = outbox
        self._timers = timers
        self._dated = dated

    def lost(self, event: events.ConnectionLost, now: int) -> None:
        """The host's socket failed: the guest gets a reset, after all that came before it.

        A program on the laptop reads what has arrived before it is told of a reset; and so does the guest's.
        """
        flow = self._table.by_number(event.flow)
        if flow is None or flow.lost:
            return
        flow.lost = (
            "reset by the host" if event.errno == errno.ECONNRESET else f"host: {show_errno(event.errno)}"
        )
        flow.host_done = flow.write_shut = True
        self._table.half_closed(flow)
        self.settle_lost(flow, now)

    def settle_lost(self, flow: Flow, now: int) -> None:
        """Bring a flow without a host forward: its reset is due when the guest has acknowledged all."""
        transmit(self._interface, flow, now)
        buffer = flow.connection.sender.buffer
        if buffer.end != buffer.start:
            self._timers.set(flow.number, flow.connection.poll_at())
            self._dated.pop(flow.number, None)
            return
        flow.connection.abort()
        transmit(self._interface, flow, now)
        self._record(flow, flow.lost, now)
        self.forget(flow)

    def give_up(self, flow: Flow, reason: str, now: int) -> None:
        """At once, and the host's peer is told by a reset."""
        self._outbox.command(commands.Reset(flow.number))
        if flow.is_connected:
            self._record(flow, reason, now)
        else:
            self._outbox.record(refused(flow.number, flow.key, reason, "none", now))
        self.forget(flow)

    def close_host(self, flow: Flow, now: int) -> None:
        """Both directions are closed, and the host has all octets."""
        if not flow.is_recorded:
            self._outbox.command(commands.Close(flow.number))
            self._record(flow, "closed by both sides", now)

    def detach(self, flow: Flow) -> None:
        """Make room for a new flow of the same addresses and ports."""
        if flow.is_recorded:
            self.forget(flow)
        else:
            self._table.detach(flow)

    def forget(self, flow: Flow) -> None:
        """Nothing is left to be done about it."""
        self._table.forget(flow)
        self._timers.set(flow.number, None)
        self._dated.pop(flow.number, None)

    def _record(self, flow: Flow, reason: str, now: int) -> None:
        if flow.is_recorded:
            return
        flow.is_recorded = True
        guest, remote = ends(flow.key)
        self._outbox.record(
            FlowClosed(
                at=now, flow=flow.number, transport="tcp", guest=guest, remote=remote, reason=reason,
                up=flow.up, down=flow.down,
            )
        )  # fmt: skip
