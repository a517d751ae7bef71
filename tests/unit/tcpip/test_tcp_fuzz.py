"""Whatever a peer sends, a connection neither fails nor grows, and its timers end when it is aborted."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.time import SECOND
from guestnet.tcpip.tcp import Config, Connection, State
from guestnet.wire.tcp import Flags
from tests.unit.tcpip.drill import ISS, PEER_ISS, Drill

CONFIG = Config(
    receive_buffer=20_000, send_buffer=10_000, retries=4, ecn=True, urgent="strip", keepalive=30 * SECOND
)
near = st.integers(-70_000, 70_000) | st.sampled_from([-1, 0, 1, 2, 20_000, 20_001, 1 << 31])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("segment"),
            st.integers(0, 255),
            near,
            near,
            st.integers(0, 3000),
            st.sampled_from([0, 1, 500, 65535]),
            st.none() | st.tuples(st.integers(0, 1 << 32).map(lambda n: n & 0xFFFFFFFF), st.just(0)),
            st.lists(st.tuples(near, near), max_size=2).map(tuple),
        ),
        st.tuples(st.just("sane"), st.integers(0, 3), st.integers(0, 3000)),
        st.tuples(
            st.just("acknowledge"), st.integers(0, 10_000), st.lists(st.integers(0, 10_000), max_size=6)
        ),
        st.tuples(st.just("too big"), st.sampled_from([0, 67, 68, 300, 576, 1000, 1400, 65535]), near),
        st.tuples(st.sampled_from(["write", "read", "timer", "transmit"]), st.integers(0, 5000)),
        st.tuples(st.sampled_from(["shutdown", "accept", "abort"])),
    ),
    max_size=60,
)


def check_flight(connection: Connection) -> None:
    """What is in flight is known without gaps, and its counts are right."""
    sender, flight = connection.sender, connection.sender.flight
    edge = sender.snd_una
    counts = [0, 0, 0]
    for run in flight.runs:
        assert run.start == edge < run.end
        edge = run.end
        counts[run.mark] += run.end - run.start
    assert edge == sender.snd_nxt or connection.state in (State.SYN_SENT, State.SYN_RECEIVED, State.CLOSED)
    assert counts == [flight.pipe, flight.lost, flight.sacked]
    assert sender.mss >= 8
    assert sender.congestion.cwnd > 0
    if flight.pipe and connection.state is not State.CLOSED:
        assert sender.rto_at is not None or sender.persist_at is not None


@given(steps, st.booleans(), st.booleans(), st.booleans())
def test_no_sequence_of_segments_breaks_a_connection(
    script: list[tuple[Any, ...]], active: bool, stamped: bool, sack: bool
) -> None:
    drill = Drill(CONFIG)
    options: dict[str, Any] = {
        "timestamps": (1, 0) if stamped else None,
        "sack_permitted": sack,
        "window_scale": 2,
    }
    if active:
        drill.connect()
    else:
        drill.listen(**options)
    connection = drill.connection
    received = 0
    for name, *arguments in script:
        if name == "segment":
            bits, seq, ack, size, window, stamps, blocks = arguments
            segment = drill.segment(
                "", seq, ack, bytes(size), win=window, timestamps=stamps, sack=blocks
            )  # fmt: skip
            segment = msgspec.structs.replace(segment, flags=Flags(bits), urgent=size)
            connection.on_segment(segment, drill.now, ce=bool(size & 1))
        elif name == "sane":
            kind, size = arguments
            seq = (connection.receiver.rcv_nxt - connection.receiver.irs) if connection.receiver.irs else 0
            ack = connection.sender.snd_nxt - 0xFFFFFFF0
            stamps = (1, 0) if stamped else None
            if connection.state is State.SYN_SENT:
                drill.inject("S.", 0, 1, **options)
            else:
                drill.inject(("." if kind else "F."), seq, ack, bytes(size), timestamps=stamps)
        elif name == "acknowledge":
            acked, edges = arguments
            sender = connection.sender
            una = min(sender.snd_una + acked, sender.snd_nxt) - ISS
            pairs = zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False)
            blocks = tuple((una + left, una + right) for left, right in pairs)
            seq = connection.receiver.rcv_nxt - PEER_ISS
            drill.inject(".", seq, una, sack=blocks, timestamps=(1, 0) if stamped else None)
        elif name == "too big":
            mtu, seq = arguments
            connection.on_packet_too_big(mtu, (ISS + seq) & 0xFFFFFFFF, drill.now)
        elif name == "write":
            connection.write(bytes(min(arguments[0], connection.send_room)))
        elif name == "read":
            data = connection.read(arguments[0])
            received += sum(map(len, data))
            connection.consumed(sum(map(len, data)))
        elif name == "timer":
            drill.now += arguments[0] * SECOND // 100
            connection.on_timer(drill.now)
        elif name == "transmit":
            drill.out()
        else:
            getattr(connection, name)(*([drill.now] if name == "accept" else []))
        receiver = connection.receiver
        assert connection.readable <= receiver.held <= CONFIG.receive_buffer + 8
        assert all(block[1] <= receiver.rcv_adv for block in receiver.buffer.blocks)
        assert 0 <= connection.sender.snd_nxt - connection.sender.snd_una <= CONFIG.send_buffer + 2
        assert len(connection.events()) < 10
        check_flight(connection)
    drill.out()
    connection.abort()
    drill.out()
    assert connection.state is State.CLOSED
    assert connection.poll_at() is None
