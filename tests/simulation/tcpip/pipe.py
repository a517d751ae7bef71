"""Two TCP connections over a simulated pipe, in virtual time and from a seed."""

import heapq
import random
from collections.abc import Callable

from msgspec import Struct

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Aborted, Config, Connection, Endpoint, Event, Reset
from guestnet.tcpip.tcp.sequence import unwrap
from guestnet.wire import tcp
from guestnet.wire.ipv4 import ip4

GUEST = Endpoint(ip4("192.168.65.3"), 40000)
SERVER = Endpoint(ip4("10.0.0.1"), 80)


class Weather(Struct, frozen=True):
    """What the pipe does to a segment: probabilities from 0 to 1, times in nanoseconds.

    ``rate`` is in bit/s, 0 without limit; then what would wait behind more than ``queue`` octets is dropped.
    What is ECN-capable is marked with ``mark`` as its probability, and where half of the queue is full.
    ``batch``: segments are looked at only at multiples of this time, all that have come by then together.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    delay: int = 5 * MILLISECOND
    jitter: int = 0
    rate: int = 0
    queue: int = 1 << 30
    mark: float = 0.0
    batch: int = 0


class Side:
    """A connection and its application: writes ``to_send``, reads everything at its own pace, then closes."""

    def __init__(self, connection: Connection, to_send: bytes, *, read_limit: int = 1 << 20) -> None:
        self.connection = connection
        self.to_send = memoryview(to_send)
        self.received = bytearray()
        self.events: list[Event] = []
        self.read_limit = read_limit
        self.largest_window_use = 0

    def work(self) -> None:
        connection = self.connection
        self.events += connection.events()
        if self.events and isinstance(self.events[-1], Reset | Aborted):
            return
        while room := min(connection.send_room, len(self.to_send)):
            connection.write(bytes(self.to_send[:room]))
            self.to_send = self.to_send[room:]
        if not self.to_send:
            connection.shutdown()
        self.largest_window_use = max(self.largest_window_use, connection.receiver.held)
        for run in connection.read(self.read_limit):
            self.received += run
            connection.consumed(len(run))

    @property
    def saw_fin(self) -> bool:
        return self.connection.peer_closed


class Pipe:
    """Moves segments between two sides; every choice comes from ``seed``."""

    def __init__(self, weather: Weather, seed: int, *, read_every: int = 0) -> None:
        self.now = 1_700_000_000 * SECOND
        self.sides: list[Side] = []
        self.segments = 0
        self.marks = 0
        self.sent_twice = 0
        self.tap: Callable[[int, tcp.Segment], bool] | None = None
        self._weather = weather
        self._random = random.Random(seed)
        self._queue: list[tuple[int, int, int, bytes, bool]] = []
        self._free_at = [0, 0]
        self._paused_until = 0
        self._read_every = read_every
        self._read_at: int | None = None

    def open(self, client: Config, server: Config, up: bytes, down: bytes, *, iss: int = 1000) -> None:
        """A guest connects; the server's side exists once the SYN arrives."""
        connection = Connection.connect(self.now, client, local=GUEST, remote=SERVER, iss=iss)
        self.sides = [Side(connection, up)]
        self._server = server
        self._down = down
        self._server_iss = iss ^ 0x55
        self._flush(0)

    def run(self, seconds: int = 3600) -> None:
        """Until nothing is due any more. Fails when that takes longer than ``seconds`` of virtual time."""
        deadline = self.now + seconds * SECOND
        while True:
            times = [side.connection.poll_at() for side in self.sides]
            due = [time for time in times if time is not None]
            if self._queue:
                due.append(self._queue[0][0])
            if self._read_at is not None:
                due.append(self._read_at)
            if not due:
                return
            self.now = max(self.now, min(due))
            assert self.now < deadline, "the connections go on for ever"
            self._step()

    def run_until(self, done: Callable[[], bool]) -> None:
        """Until ``done``. Fails when nothing is left to happen before."""
        while not done():
            times = [side.connection.poll_at() for side in self.sides]
            due = [time for time in times if time is not None] + [entry[0] for entry in self._queue[:1]]
            self.now = max(self.now, min(due))
            self._step()

    def pause(self, duration: int) -> None:
        """Hold everything that is under way, and all that is sent meanwhile, for that long."""
        self._paused_until = self.now + duration
        until = self._paused_until
        self._queue = sorted(
            (max(due, until), number, to, octets, ce) for due, number, to, octets, ce in self._queue
        )

    def _step(self) -> None:
        came = set()
        while self._queue and self._queue[0][0] <= self.now:
            _, _, to, octets, ce = heapq.heappop(self._queue)
            self._deliver(to, octets, ce)
            came.add(to)
            if not self._weather.batch:
                self._flush(to)
        for index in sorted(came):
            self._flush(index)
        if self._read_at is not None and self._read_at <= self.now:
            self._read_at = None
            for index, side in enumerate(self.sides):
                side.work()
                self._flush(index)
        for index, side in enumerate(self.sides):
            poll_at = side.connection.poll_at()
            if poll_at is not None and poll_at <= self.now:
                side.connection.on_timer(self.now)
                self._flush(index)

    def _deliver(self, index: int, octets: bytes, ce: bool) -> None:
        source, destination = (SERVER, GUEST) if index == 0 else (GUEST, SERVER)
        segment = tcp.parse(octets, source.address, destination.address)
        if index < len(self.sides) and segment.payload:
            receiver = self.sides[index].connection.receiver
            seq = unwrap(segment.seq, receiver.rcv_nxt)
            early = any(left <= seq < right for left, right in receiver.buffer.blocks)
            self.sent_twice += early or seq < receiver.rcv_nxt
        if index == len(self.sides):
            connection = Connection.from_syn(
                segment, self.now, self._server, source=source.address, destination=destination.address,
                iss=self._server_iss,
            )  # fmt: skip
            connection.accept(self.now)
            self.sides.append(Side(connection, self._down))
        else:
            self.sides[index].connection.on_segment(segment, self.now, ce=ce)
        if self._read_every:
            if self._read_at is None:
                self._read_at = self.now + self._read_every
        else:
            self.sides[index].work()

    def _flush(self, index: int) -> None:
        connection = self.sides[index].connection
        while segments := connection.transmit(self.now):
            for octets in segments:
                self._send(index, bytes(octets), connection.ect)
        self.sides[index].events += connection.events()

    def _send(self, index: int, octets: bytes, ect: bool) -> None:
        self.segments += 1
        if self.tap is not None and not self.tap(index, tcp.parse(octets)):
            return
        weather, chance = self._weather, self._random
        copies = 0 if chance.random() < weather.loss else 1 + (chance.random() < weather.duplicate)
        ce = ect and chance.random() < weather.mark
        sent = self.now
        if weather.rate:
            free = max(self._free_at[index], self.now)
            waiting = (free - self.now) * weather.rate // (8 * SECOND)
            if waiting + len(octets) > weather.queue:
                return
            ce |= ect and waiting > weather.queue // 2
            sent = self._free_at[index] = free + len(octets) * 8 * SECOND // weather.rate
        self.marks += ce
        for copy in range(copies):
            due = sent + weather.delay + (chance.randrange(weather.jitter) if weather.jitter else 0)
            due = max(due, self._paused_until)
            due += -due % weather.batch if weather.batch else 0
            heapq.heappush(self._queue, (due, self.segments * 2 + copy, 1 - index, octets, ce))
