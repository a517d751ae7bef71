"""The sending half of a connection, first part: what it knows, and how that changes when something is sent.

``undo``, ``recovery`` and ``sender`` go on from here, each on what the one before has; the theory is in
``sender``.
"""

from typing import NamedTuple

from guestnet.tcpip.tcp.buffer import SendBuffer
from guestnet.tcpip.tcp.config import Config
from guestnet.tcpip.tcp.congestion import CongestionControl, NewReno
from guestnet.tcpip.tcp.flight import SENT, Flight
from guestnet.tcpip.tcp.frto import ForwardRto
from guestnet.tcpip.tcp.path import PathMtu
from guestnet.tcpip.tcp.prr import RateReduction
from guestnet.tcpip.tcp.rack import Rack
from guestnet.tcpip.tcp.rtt import RttEstimator


class Cut(NamedTuple):
    """Octets to be sent now, as segments of at most ``size``. ``is_new``: for the first time."""

    seq: int
    length: int
    size: int
    is_new: bool


class Outstanding:
    """Sequence numbers as ``sequence`` counts them; times in nanoseconds."""

    __slots__ = (
        "_config", "_duplicate_octets", "_duplicates", "_fast", "_filled", "_force", "_forward",
        "_full_until", "_last_sent", "_marked", "_persist_backoff", "_probe_allowed", "_probe_end",
        "_probe_is_again", "_probe_room", "_recover", "_reduced_until", "_reduction", "_syn_sent_at",
        "_timeout_at", "_undo_from", "_undo_left", "buffer", "congestion", "cwr_due", "fin_queued",
        "flight", "max_window", "mss", "path", "persist_at", "probe_at", "probing", "rack",
        "recovery_point", "reorder_at", "retries", "rto_at", "rtt", "sack", "snd_nxt", "snd_una", "snd_wl1",
        "snd_wl2", "snd_wnd",
    )  # fmt: skip

    def __init__(self, config: Config, iss: int) -> None:
        self._config = config
        self.snd_una = iss
        self.snd_nxt = iss
        self.snd_wnd = 0
        self.snd_wl1 = 0
        self.snd_wl2 = 0
        self.max_window = 0
        self.mss = 536
        self.sack = False
        self.buffer = SendBuffer(iss + 1, config.send_buffer)
        self.fin_queued = False
        self.flight = Flight()
        self.rack = Rack()
        self.path = PathMtu(self.mss, 0, config.black_hole_timeouts)
        self.congestion: CongestionControl = NewReno(self.mss)
        self.rtt = RttEstimator(config.initial_rto, config.min_rto, config.max_rto)
        self.rto_at: int | None = None
        self.reorder_at: int | None = None
        self.probe_at: int | None = None
        self.persist_at: int | None = None
        self.retries = 0
        self.probing = False
        self.recovery_point: int | None = None
        self._persist_backoff = 0
        self._probe_end: int | None = None
        self._probe_is_again = False
        self._probe_allowed = True
        self._fast = False
        self._force = False
        self._reduction: RateReduction | None = None
        self._duplicates = 0
        self._duplicate_octets = 0
        self._undo_left: int | None = None
        self._undo_from = iss
        self._syn_sent_at: int | None = None
        self.cwr_due = False
        self._marked = False
        self._reduced_until = iss
        self._timeout_at: int | None = None
        self._forward: ForwardRto | None = None
        self._probe_room = 0
        self._recover = iss
        self._last_sent = 0
        self._full_until = iss
        self._filled = 0

    @property
    def end(self) -> int:
        """The end of all that is to be sent, FIN included."""
        return self.buffer.end + self.fin_queued

    @property
    def has_unsent(self) -> bool:
        """Whether something is to be sent, for the first time or again."""
        return self.flight.lost > 0 or self.snd_nxt < self.buffer.end + self.fin_queued

    @property
    def fin_acknowledged(self) -> bool:
        """Whether the peer has everything and our FIN."""
        return self.fin_queued and self.snd_una > self.buffer.end

    @property
    def pipe(self) -> int:
        """Octets that we believe to be in the network."""
        return max(self.flight.pipe - self._duplicate_octets, 0)

    @property
    def flight_size(self) -> int:
        """FlightSize (RFC 5681 2) when the last segments had been sent: while a batch is read it is less.

        At most ``cwnd``, for in a long recovery much of it is SACKed.
        """
        return min(max(self.snd_nxt - self.snd_una, self._filled), self.congestion.cwnd)

    # --- sending ---

    def _fresh(self, length: int, now: int, size: int) -> Cut:
        seq = self.snd_nxt
        self.snd_nxt = seq + length
        self.flight.add(seq, self.snd_nxt, now, size)
        return Cut(seq, length, size, is_new=True)

    def _sent(self, now: int) -> None:
        self._last_sent = now
        self.persist_at = None
        if self.rto_at is None:
            self.rto_at = now + self.rtt.rto

    def _resize(self, mss: int) -> None:
        self.mss = mss
        self.congestion.on_mss(mss)
        runs = self.flight.runs
        self.flight.lose(
            [run for run in runs if run.mark == SENT and min(run.size, run.end - run.start) > mss]
        )

    # --- recoveries ---

    def _go_back(self) -> None:
        """Send what is lost again without telling more losses from duplicates, until all is acknowledged."""
        self.recovery_point = self.snd_nxt
        self._reduction = None
        self._undo_left = None
        self._fast = False
        self._force = True
        self._duplicates = 0
        self._duplicate_octets = 0
        self._end_forward()
        self._probe_end = self.probe_at = self.reorder_at = None
        self._syn_sent_at = None

    def _leave_recovery(self) -> None:
        self.recovery_point = None
        self._reduction = None
        self._fast = False
        self._force = False
        self._duplicates = 0
        self._duplicate_octets = 0
        self._end_forward()
        self.rack.on_recovered()

    def _end_forward(self) -> None:
        """It is decided whether the last timeout was for a loss."""
        self._forward = None
        self._probe_room = 0
