"""Segments in order, merged before they come to the connection: the same stream, window and ACK."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from guestnet.tcpip.tcp import Config
from guestnet.wire.tcp import Segment
from tests.unit.tcpip.drill import Drill

CONFIG = Config(receive_buffer=100_000)


def established(quick_acks: int) -> Drill:
    drill = Drill(CONFIG, quick_acks=quick_acks)
    drill.established(mss=1460, sack_permitted=True, window_scale=3, timestamps=(1, 0))
    drill.inject(".", 1, 1, timestamps=(2, 1))
    drill.connection.events()
    return drill


def batch(drill: Drill, at: int, size: int, count: int, value: int) -> list[Segment]:
    return [
        drill.segment(".", at + n * size, 1, bytes([n]) * size, timestamps=(value + n // 3, 1))
        for n in range(count)
    ]


def merged(segments: list[Segment]) -> Segment:
    whole = b"".join(segment.payload for segment in segments)
    return msgspec.structs.replace(segments[0], payload=memoryview(whole))


@given(
    st.lists(st.tuples(st.integers(1, 1448), st.integers(1, 12), st.integers(0, 20_000)), max_size=8),
    st.sampled_from([0, 1, 16]),
)
def test_a_merged_batch_has_the_effect_of_its_segments(
    batches: list[tuple[int, int, int]], quick_acks: int
) -> None:
    one_by_one, together = established(quick_acks), established(quick_acks)
    at, value = 1, 10
    streams = [b"", b""]
    for size, count, reads in batches:
        if one_by_one.connection.receiver.window < size * count:
            break
        segments = batch(one_by_one, at, size, count, value)
        at, value = at + size * count, value + count
        for segment in segments:
            one_by_one.connection.on_segment(segment, one_by_one.now)
        together.connection.on_segment(merged(segments), together.now)
        for index, drill in enumerate((one_by_one, together)):
            data = b"".join(drill.connection.read(reads))
            drill.connection.consumed(len(data))
            streams[index] += data
        # What is merged hides how large its segments were: it may be acknowledged earlier or later, once.
        for drill in (one_by_one, together):
            if not drill.out():
                drill.until_timer()
                drill.out()
            assert len(drill.sent) == 1
        one_by_one.now = together.now = max(one_by_one.now, together.now)
        first, second = one_by_one.sent[0], together.sent[0]
        assert (first.ack, first.window, first.seq, first.sack) == (
            second.ack, second.window, second.seq, second.sack,
        )  # fmt: skip
        assert first.timestamps is not None
        assert second.timestamps is not None
        assert first.timestamps[1] == second.timestamps[1]
        receivers = [drill.connection.receiver for drill in (one_by_one, together)]
        assert receivers[0].held == receivers[1].held
        assert receivers[0].rcv_adv == receivers[1].rcv_adv
        assert receivers[0].ts_recent == receivers[1].ts_recent
        assert one_by_one.events() == together.events()
    assert streams[0] == streams[1]
    assert one_by_one.read_all() == together.read_all()
