"""A scripted peer, packetdrill's way: inject a segment, expect what comes back, let time pass.

Numbers are relative to either side's SYN: its SYN is 0, its first octet of data is 1. Segments that come
back read as ``"P. 1:101 ack 1"``: flags, from and to sequence number, acknowledgment, SACK blocks.
"""

from typing import Any

import msgspec

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Config, Connection, Endpoint, Event, State
from guestnet.wire import tcp
from guestnet.wire.ipv4 import ip4
from guestnet.wire.tcp import Flags, Segment

GUEST = Endpoint(ip4("192.168.65.3"), 40000)
SERVER = Endpoint(ip4("10.0.0.1"), 80)
ISS = 0xFFFFFFF0
PEER_ISS = 0xFFFFFF00
START = 1_700_000_000 * SECOND
_LETTERS = {
    "S": Flags.SYN, "F": Flags.FIN, "R": Flags.RST, "P": Flags.PSH, ".": Flags.ACK, "U": Flags.URG,
    "E": Flags.ECE, "W": Flags.CWR,
}  # fmt: skip
PLAIN = Config(timestamps=False, sack=False, window_scaling=False)


class Drill:
    """The connection under test is the server's side; the script plays the guest."""

    connection: Connection

    def __init__(
        self,
        config: Config = PLAIN,
        *,
        quick_acks: int = 0,
        guest: Endpoint = GUEST,
        server: Endpoint = SERVER,
    ) -> None:
        self.guest = guest
        self.server = server
        self.config = msgspec.structs.replace(config, quick_acks=quick_acks)
        self.now = START
        self.window = 65535
        self.sent: list[Segment] = []
        self.ect: list[bool] = []

    # --- opening ---

    def listen(self, flags: str = "S", **syn: Any) -> "Drill":
        """The guest's SYN has come."""
        syn.setdefault("mss", 1000)
        self.connection = Connection.from_syn(
            self.segment(flags, 0, **syn), self.now, self.config, source=self.guest.address,
            destination=self.server.address, iss=ISS,
        )  # fmt: skip
        return self

    def connect(self) -> "Drill":
        """We open; the SYN has not been looked at."""
        self.connection = Connection.connect(
            self.now, self.config, local=self.server, remote=self.guest, iss=ISS
        )
        return self

    def established(self, flags: str = "S", *, round_trip: int = 0, **syn: Any) -> "Drill":
        """Passively opened; the handshake is done and its segments and events are gone."""
        self.listen(flags, **syn)
        self.connection.accept(self.now)
        self.out()
        self.now += round_trip
        self.inject(".", 1, 1)
        self.expect()
        self.connection.events()
        return self

    # --- the script ---

    def segment(
        self,
        flags: str,
        seq: int,
        ack: int | None = None,
        data: bytes = b"",
        *,
        win: int | None = None,
        **rest: Any,
    ) -> Segment:
        bits = Flags(0)
        for letter in flags:
            bits |= _LETTERS[letter]
        number = 0 if ack is None else (ISS + ack) & 0xFFFFFFFF
        if "sack" in rest:
            rest["sack"] = tuple(
                ((ISS + left) & 0xFFFFFFFF, (ISS + right) & 0xFFFFFFFF) for left, right in rest["sack"]
            )
        window = self.window if win is None else win
        return Segment(
            self.guest.port,
            self.server.port,
            (PEER_ISS + seq) & 0xFFFFFFFF,
            number,
            bits,
            window,
            data,
            **rest,
        )

    def inject(
        self, flags: str, seq: int, ack: int | None = None, data: bytes = b"", *, ce: bool = False,
        **rest: Any,
    ) -> None:  # fmt: skip
        """A segment comes from the guest, ``ce`` with a congestion mark."""
        octets = tcp.emit(
            self.segment(flags, seq, ack, data, **rest), self.guest.address, self.server.address
        )
        self.connection.on_segment(
            tcp.parse(octets, self.guest.address, self.server.address), self.now, ce=ce
        )

    def out(self) -> list[Segment]:
        """What the connection sends now."""
        self.sent = []
        self.ect = []
        while batch := self.connection.transmit(self.now):
            self.ect += [self.connection.ect] * len(batch)
            self.sent += [tcp.parse(octets, self.server.address, self.guest.address) for octets in batch]
        return self.sent

    def expect(self, *lines: str) -> None:
        """Exactly these segments come back now."""
        came = [self.line(segment) for segment in self.out()]
        assert came == list(lines), f"expected {list(lines)}, came {came}"

    def line(self, segment: Segment) -> str:
        seq = ((segment.seq - ISS + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        text = f"{tcp.show_flags(segment.flags)} {seq}:{seq + len(segment.payload)}"
        if segment.flags & Flags.ACK:
            text += f" ack {(segment.ack - PEER_ISS) & 0xFFFFFFFF}"
        for left, right in segment.sack:
            text += f" sack {(left - PEER_ISS) & 0xFFFFFFFF}:{(right - PEER_ISS) & 0xFFFFFFFF}"
        return text

    def octets_sent(self) -> int:
        """How many octets of data the connection sends now."""
        return sum(len(segment.payload) for segment in self.out())

    def wait(self, duration: int) -> None:
        """Time passes; fails when a timer would have been due before its end."""
        due = self.connection.poll_at()
        self.now += duration
        assert due is None or due >= self.now, f"a timer was due {(self.now - due) / MILLISECOND} ms earlier"
        self.connection.on_timer(self.now)

    def until_timer(self) -> int:
        """Time passes until the next timer; returns how long that took."""
        due = self.connection.poll_at()
        assert due is not None, "no timer runs"
        passed = due - self.now
        self.now = due
        self.connection.on_timer(self.now)
        return passed

    def state(self) -> State:
        return self.connection.state

    def events(self) -> list[Event]:
        return self.connection.events()

    def read_all(self) -> bytes:
        runs = self.connection.read(1 << 30)
        data = b"".join(runs)
        self.connection.consumed(len(data))
        return data
