"""What may be chosen about a connection."""

from typing import Final, Literal, NamedTuple

from msgspec import Struct

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.wire.ip import IpAddress

MAX_WINDOW_SCALE: Final = 14
_PAGE: Final = 4096


class Endpoint(NamedTuple):
    """A socket address; that of IPv6 has sixteen octets."""

    address: IpAddress
    port: int

    @property
    def ip_header(self) -> int:
        """Octets of the IP header before a segment to or from here."""
        return 20 if len(self.address) == 4 else 40


class Config(Struct, frozen=True):
    """Bounds in octets, times in nanoseconds.

    ``mtu`` is of the interface: the MSS is less by both headers (RFC 9293 3.7.1). ``min_rto`` is Linux's 200
    ms rather than the second of RFC 6298 2.4: the peer is a guest on the same machine. ``delayed_ack`` is
    Linux's shortest (RFC 9293 3.8.6.3 asks for less than 500 ms); the first ``quick_acks`` segments, and
    the FIN, are delayed by ``quick_delay`` only, so that a request in two small writes does not wait for it
    (Nagle): with 0 not at all, as in Linux; a little saves an ACK when the answer comes soon.

    ``stretch_ack`` is how many octets may be acknowledged at once, when a peer has sent ``stretch_after``
    octets and so has left slow start; what is less waits ``stretch_delay``, long before a Linux would probe
    for a lost tail (two ticks at least). With 0 every second segment is acknowledged (RFC 5681 4.2).

    ``ecn`` asks for ECN (RFC 3168) and grants it. It is off for owners that do not carry the bits of the IP
    header: to grant it and not to hear of marks would make a peer deaf to congestion.

    ``urgent`` says what becomes of urgent octets (``receiver``); their mark is lost in either case.

    ``black_hole_timeouts`` in a row for a large segment make segments small (``path``), 0 never does.

    ``keepalive`` is how long a peer may be silent before it is asked whether it is there, 0: for ever (RFC
    9293 3.8.4 wants that default); ``keepalive_probes`` without an answer, each ``keepalive_interval`` after
    the other, end the connection.
    """

    mtu: int = 1500
    congestion: Literal["cubic", "newreno"] = "cubic"
    receive_buffer: int = 256 * 1024
    send_buffer: int = 256 * 1024
    timestamps: bool = True
    sack: bool = True
    window_scaling: bool = True
    ecn: bool = False
    urgent: Literal["inline", "strip"] = "inline"
    delayed_ack: int = 40 * MILLISECOND
    quick_acks: int = 16
    quick_delay: int = 0
    stretch_ack: int = 0
    stretch_delay: int = 3 * MILLISECOND
    stretch_after: int = 512 * 1024
    initial_rto: int = 1 * SECOND
    min_rto: int = 200 * MILLISECOND
    max_rto: int = 60 * SECOND
    retries: int = 15
    syn_retries: int = 6
    time_wait: int = 60 * SECOND
    black_hole_timeouts: int = 3
    max_out_of_order: int = 1024
    keepalive: int = 0
    keepalive_interval: int = 75 * SECOND
    keepalive_probes: int = 9

    def mss(self, ip_header: int = 20) -> int:
        """What we advertise in a SYN, where the IP header has that many octets.

        For a large MTU whole pages beside the timestamps, as passt does: what the guest has to copy is then
        aligned, and an emulated one sends a fifth more.
        """
        if self.mtu < 4 * _PAGE:
            return self.mtu - ip_header - 20
        return (self.mtu - ip_header - 32) // _PAGE * _PAGE + 12

    @property
    def window_scale(self) -> int:
        """The smallest shift with which the whole receive buffer can be advertised (RFC 7323 2.3)."""
        shift = 0
        while self.receive_buffer >> shift > 0xFFFF and shift < MAX_WINDOW_SCALE:
            shift += 1
        return shift
