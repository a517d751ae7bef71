"""What a connection expects goes a short way, and has the same effect as on the plain one."""

import inspect
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from guestnet.wire.tcp import Segment
from tests.unit.tcpip.drill import Drill

CONFIG = Config(receive_buffer=20_000, send_buffer=20_000, ecn=True, quick_delay=MILLISECOND)


class Pair:
    """Two connections that get the same: one on the plain way, one on the short way where that is open."""

    def __init__(self, config: Config, quick_acks: int, *, sack: bool, ecn: bool) -> None:
        self.plain, self.short = (Drill(config, quick_acks=quick_acks) for _ in range(2))
        self.went_short = 0
        self.value = 10
        self.flags = "SEW" if ecn else "S"
        for drill in (self.plain, self.short):
            drill.listen(self.flags, mss=1460, sack_permitted=sack, window_scale=3, timestamps=(1, 0))
            drill.connection.accept(drill.now)
            drill.out()
            drill.inject(".", 1, 1, timestamps=(2, 1))
            drill.events()

    @property
    def expected(self) -> int:
        """The next octet of the peer's, as the drill counts."""
        receiver = self.plain.connection.receiver
        return receiver.rcv_nxt - receiver.irs

    @property
    def in_flight(self) -> tuple[int, int]:
        """The first octet that is not acknowledged, and the next to be sent, as the drill counts."""
        sender = self.plain.connection.sender
        return sender.snd_una - 0xFFFFFFF0, sender.snd_nxt - 0xFFFFFFF0

    def segment(self, flags: str, early: int, ack: int, size: int, win: int, stale: int) -> None:
        self.value += 1
        echo = self.plain.connection._emitter.clock(self.plain.now) - 1
        made = self.plain.segment(
            flags, self.expected + early, ack, b"d" * size, win=win, timestamps=(self.value - stale, echo)
        )
        self.plain.connection.on_segment(made, self.plain.now)
        if set(flags) <= {".", "P"} and self._expected(made):
            self.went_short += 1
        else:
            self.short.connection.on_segment(made, self.short.now)
        for drill in (self.plain, self.short):
            drill.connection.read(drill.connection.readable)
            drill.events()

    def _expected(self, made: Segment) -> bool:
        assert made.timestamps is not None
        return self.short.connection.on_expected(
            made.seq, made.ack, made.window, made.timestamps, len(made.payload), self.short.now
        )

    def answer(self, size: int) -> None:
        size = min(size, self.plain.connection.send_room)
        self.plain.connection.write(b"a" * size)
        plain = [bytes(one) for one in self.plain.connection.transmit(self.plain.now)]
        octets = self.short.connection.answer(b"a" * size, self.short.now)
        if octets is not None:
            self.went_short += 1
            short = [octets]
        else:
            self.short.connection.write(b"a" * size)
            short = [bytes(one) for one in self.short.connection.transmit(self.short.now)]
        assert short == plain

    def exchange(self, asked: int, answered: int) -> None:
        self.segment("P.", 0, self.in_flight[1], asked, 8000, 0)
        self.compare(speak=False)
        self.consume(asked)
        self.answer(answered)

    def consume(self, size: int) -> None:
        for drill in (self.plain, self.short):
            receiver = drill.connection.receiver
            drill.connection.consumed(min(size, receiver.held - receiver.buffer.readable))

    def wait(self, duration: int) -> None:
        for drill in (self.plain, self.short):
            drill.now += duration
            drill.connection.on_timer(drill.now)

    def compare(self, *, speak: bool) -> None:
        if speak:
            plain, short = (
                [bytes(one) for one in drill.connection.transmit(drill.now)]
                for drill in (self.plain, self.short)
            )
            assert short == plain
        assert self.short.connection.poll_at() == self.plain.connection.poll_at()
        assert self.short.events() == self.plain.events()
        assert state(self.short.connection) == state(self.plain.connection)


def state(thing: Any) -> Any:
    """All that there is in it, to be compared."""
    if isinstance(thing, list | tuple):
        return [state(one) for one in thing]
    if isinstance(thing, memoryview):
        return bytes(thing)
    # Their slots, or what a class that is compiled has for them.
    slots = (
        name
        for kind in type(thing).__mro__
        for name, slot in vars(kind).items()
        if inspect.ismemberdescriptor(slot) or inspect.isgetsetdescriptor(slot)
    )
    names = [name for name in slots if not name.startswith("__")]
    if not names or isinstance(thing, Struct) or not type(thing).__module__.startswith("guestnet."):
        return thing
    return type(thing).__name__, {name: state(getattr(thing, name)) for name in names}


# Small sizes and steps, so that what is expected comes often, amid all that is not.
SEGMENTS = st.tuples(
    st.just("segment"),
    st.sampled_from(["P.", ".", "P.", ".", "E.", "W.", "F.", "R.", ".U"]),
    st.sampled_from([0, 0, 0, 0, 0, -1, 1, 1448]),
    st.sampled_from(["all", "all", "all", "nothing", "some", "old", "never sent"]),
    st.sampled_from([1, 1, 100, 0, 600, 1448, 3000]),
    st.sampled_from([8000, 8000, 8000, 0, 1, 100]),
    st.sampled_from([0, 0, 0, 0, 5]),
)
SIZES = st.sampled_from([1, 1, 100, 600, 1448])
STEPS = st.one_of(
    SEGMENTS,
    st.tuples(st.just("exchange"), SIZES, SIZES),
    st.tuples(st.just("exchange"), SIZES, SIZES),
    st.tuples(st.just("answer"), st.sampled_from([1, 1, 100, 1448, 1449, 3000])),
    st.tuples(st.just("consume"), st.integers(0, 5000)),
    st.tuples(st.just("wait"), st.sampled_from([1, MILLISECOND, 50 * MILLISECOND, 700 * MILLISECOND])),
    st.tuples(st.just("shut")),
)


@given(
    st.lists(st.tuples(STEPS, st.booleans()), max_size=25),
    st.sampled_from([0, 1, 16]),
    st.booleans(),
    st.booleans(),
)
def test_the_short_way_has_the_effect_of_the_plain_one(
    steps: list[tuple[tuple[Any, ...], bool]], quick_acks: int, sack: bool, ecn: bool
) -> None:
    pair = Pair(CONFIG, quick_acks, sack=sack, ecn=ecn)
    for (kind, *values), speak in steps:
        if kind == "segment":
            flags, early, what, size, win, stale = values
            una, nxt = pair.in_flight
            ack = {
                "all": nxt,
                "nothing": una,
                "some": (una + nxt) // 2,
                "old": una - 1,
                "never sent": nxt + 1,
            }
            pair.segment(flags, early, ack[what], size, win, stale)
        elif kind == "exchange":
            pair.exchange(*values)
        elif kind == "answer":
            pair.answer(values[0])
        elif kind == "consume":
            pair.consume(values[0])
        elif kind == "wait":
            pair.wait(values[0])
        else:
            pair.plain.connection.shutdown()
            pair.short.connection.shutdown()
        pair.compare(speak=speak)


def test_requests_and_answers_go_the_short_way() -> None:
    pair = Pair(CONFIG, 16, sack=True, ecn=True)
    for _ in range(50):
        pair.exchange(100, 300)
        pair.wait(MILLISECOND // 4)
        pair.compare(speak=True)
    assert pair.went_short == 100
