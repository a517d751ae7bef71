"""TCP (RFC 9293) as a machine without I/O: ``Connection``; ``reset_for`` answers for what is not there."""

from harness.tcpip.tcp.config import Config, Endpoint
from harness.tcpip.tcp.connection import Connection
from harness.tcpip.tcp.events import (
    Aborted,
    Closed,
    DataReadable,
    Established,
    Event,
    PeerClosed,
    Reset,
    SendRoom,
)
from harness.tcpip.tcp.output import reset_for
from harness.tcpip.tcp.state import State

__all__ = [
    "Aborted",
    "Closed",
    "Config",
    "Connection",
    "DataReadable",
    "Endpoint",
    "Established",
    "Event",
    "PeerClosed",
    "Reset",
    "SendRoom",
    "State",
    "reset_for",
]
