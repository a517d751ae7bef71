"""TCP (RFC 9293) as a machine without I/O: ``Connection``; ``reset_for`` answers for what is not there."""

from guestnet.tcpip.tcp.config import Config, Endpoint
from guestnet.tcpip.tcp.connection import Connection
from guestnet.tcpip.tcp.events import (
    Aborted,
    Closed,
    Established,
    Event,
    Reset,
)
from guestnet.tcpip.tcp.output import reset_for
from guestnet.tcpip.tcp.state import State

__all__ = [
    "Aborted",
    "Closed",
    "Config",
    "Connection",
    "Endpoint",
    "Established",
    "Event",
    "Reset",
    "State",
    "reset_for",
]
