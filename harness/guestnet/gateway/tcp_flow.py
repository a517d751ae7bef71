"""One TCP flow: what is known of it, and how the journal names it."""

from typing import TypeAlias

from guestnet.core.events import FlowRefused
from guestnet.gateway.interface import DSCP
from guestnet.tcpip.tcp import events as tcp_events
from guestnet.tcpip.tcp.connection import Connection
from guestnet.wire.ip import IpAddress, IpPacket, show_end

Key: TypeAlias = bytes
"""Guest's address, destination and both ports: one after the other as they are in the guest's packets."""


class Flow:
    """``syn`` is the guest's latest, kept while the host connects; ``credit`` and ``unsent`` in octets.

    ``tos`` is the DSCP of what the guest sends, which the host's socket sends with.

    ``lost`` is why the host has failed, while the guest gets what came before that.
    """

    __slots__ = (
        "connection", "credit", "down", "host_done", "is_answering", "is_connected",
        "is_half_open", "is_recorded", "key", "lost", "number", "opened_at", "syn", "tos", "unsent", "up",
        "write_shut",
    )  # fmt: skip

    def __init__(self, number: int, key: Key, syn: IpPacket, connection: Connection, now: int) -> None:
        self.number = number
        self.key = key
        self.connection = connection
        self.syn: IpPacket | None = syn
        self.tos = syn.tos & DSCP
        self.lost = ""
        self.opened_at = now
        self.is_connected = False
        self.is_half_open = False
        self.is_answering = False
        self.is_recorded = False
        self.host_done = False
        self.write_shut = False
        self.credit = 0
        self.unsent = 0
        self.up = 0
        self.down = 0

    @property
    def guest(self) -> IpAddress:
        """The guest's address."""
        return self.connection.remote.address

    @property
    def destination(self) -> IpAddress:
        """Whom the guest talks to."""
        return self.connection.local.address

    @property
    def is_out(self) -> bool:
        """Whether the host has all that the guest will ever send."""
        return self.write_shut and self.unsent == 0


def key_of(guest: IpAddress, guest_port: int, remote: IpAddress, remote_port: int) -> Key:
    """The key of the flow between these two."""
    return b"".join((guest, remote, guest_port.to_bytes(2, "big"), remote_port.to_bytes(2, "big")))


def ends(key: Key) -> tuple[str, str]:
    """The guest's end and the remote one, as the journal writes them."""
    half = len(key) // 2 - 2
    guest = show_end(key[:half], int.from_bytes(key[-4:-2], "big"))
    return guest, show_end(key[half:-4], int.from_bytes(key[-2:], "big"))


def refused(number: int, key: Key, error: str, answer: str, now: int) -> FlowRefused:
    """For the journal."""
    guest, remote = ends(key)
    return FlowRefused(
        at=now, flow=number, transport="tcp", guest=guest, remote=remote, error=error, answer=answer
    )


def ending(happened: list[tcp_events.Event]) -> str:
    """Why the guest's side is over when it did not end in order; else empty."""
    for event in happened:
        if isinstance(event, tcp_events.Reset):
            return "reset by the guest"
        if isinstance(event, tcp_events.Aborted):
            return f"gave up: {event.reason}"
    return ""
