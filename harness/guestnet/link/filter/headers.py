"""What a filter asks of a frame, read in one pass without building layers or checking checksums.

``wire.frame.decode`` is for people and knows all; this is for fifty thousand frames a second and knows where
things are: offsets into the frame, ports, flags. What is not there is zero or empty. Reading never raises.
"""

import struct
from collections.abc import Callable
from typing import Final

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.wire import ipv6
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import view

_IP4: Final = struct.Struct("!BBHHHBBH4s4s")
_IP6: Final = struct.Struct("!LHBB16s16s")
_PORTS: Final = struct.Struct("!HH")
_ETHERNET: Final = 14
_EXTENSIONS: Final = frozenset({0, 43, 44, 60})
IPV4: Final = int(EtherType.IPV4)
IPV6: Final = int(EtherType.IPV6)
TCP: Final = int(Protocol.TCP)
UDP: Final = int(Protocol.UDP)


class Headers:
    """Of one ``frame``. ``transport`` is where the transport header begins, 0 when there is none to be read.

    ``end`` is where the IP packet ends, ``data`` where the payload of TCP or UDP begins, both in the frame.
    """

    __slots__ = (
        "data", "destination", "destination_port", "end", "ethertype", "flags", "frame", "is_fragment",
        "protocol", "source", "source_port", "tos", "transport", "ttl",
    )  # fmt: skip

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.ethertype = self.protocol = self.transport = self.flags = self.ttl = self.tos = self.data = 0
        self.source_port = self.destination_port = -1
        self.source = self.destination = b""
        self.is_fragment = False
        self.end = len(frame)
        if self.end < _ETHERNET:
            return
        self.ethertype = frame[12] << 8 | frame[13]
        if self.ethertype == IPV4:
            self._ipv4()
        elif self.ethertype == IPV6:
            self._ipv6()

    @property
    def length(self) -> int:
        """Octets of payload of TCP or UDP; 0 without."""
        return self.end - self.data if self.data else 0

    def _ipv4(self) -> None:
        frame = self.frame
        if len(frame) < _ETHERNET + 20:
            return
        first, self.tos, total, _, fragment, self.ttl, self.protocol, _, self.source, self.destination = (
            _IP4.unpack_from(frame, _ETHERNET)
        )
        self.end = min(self.end, _ETHERNET + total)
        self.is_fragment = fragment & 0x3FFF > 0
        if not fragment & 0x1FFF:
            self._transport(_ETHERNET + (first & 15) * 4)

    def _ipv6(self) -> None:
        frame = self.frame
        if len(frame) < _ETHERNET + 40:
            return
        word, length, self.protocol, self.ttl, self.source, self.destination = _IP6.unpack_from(
            frame, _ETHERNET
        )
        self.tos = word >> 20 & 0xFF
        self.end = min(self.end, _ETHERNET + 40 + length)
        at = 40
        if self.protocol in _EXTENSIONS:
            try:
                octets = view(frame)[_ETHERNET : self.end]
                self.protocol, extensions, at = ipv6.walk(octets, self.protocol, at)
            except WireError:
                return
            for one in extensions:
                if isinstance(one, ipv6.Fragment) and not one.is_atomic:
                    self.is_fragment = True
                    if one.offset:
                        return
        self._transport(_ETHERNET + at)

    def _transport(self, at: int) -> None:
        frame, left = self.frame, self.end - at
        if self.protocol == TCP:
            if left < 20:
                return
            self.source_port, self.destination_port = _PORTS.unpack_from(frame, at)
            self.flags = frame[at + 13]
            self.data = min(at + (frame[at + 12] >> 4) * 4, self.end)
        elif self.protocol == UDP:
            if left < 8:
                return
            self.source_port, self.destination_port = _PORTS.unpack_from(frame, at)
            self.data = at + 8
        elif left < 1:
            return
        self.transport = at


Check = Callable[[Headers], bool]
"""Whether a frame with these headers is meant."""
