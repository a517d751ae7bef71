"""The parts of the TCP machine, each against a plain model of what it should be."""

import random
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers import inet

from guestnet.core.time import HOUR, MILLISECOND, SECOND
from guestnet.tcpip.tcp.buffer import ReceiveBuffer, SendBuffer
from guestnet.tcpip.tcp.bulk import segment_runs
from guestnet.tcpip.tcp.challenge import ChallengeLimit
from guestnet.tcpip.tcp.config import Config, Endpoint
from guestnet.tcpip.tcp.output import ACK, FIN, PSH, Emitter, segment_run
from guestnet.tcpip.tcp.rtt import RttEstimator
from guestnet.tcpip.tcp.sequence import MASK, is_before, unwrap
from guestnet.wire import ipv4, tcp
from guestnet.wire.ipv4 import Ipv4, ip4
from guestnet.wire.tcp import Flags, Segment

LOCAL, REMOTE = Endpoint(ip4("10.0.0.1"), 80), Endpoint(ip4("192.168.65.3"), 40000)


@given(st.integers(0, 1 << 40), st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_a_number_from_the_wire_is_put_near_a_known_one(near: int, distance: int) -> None:
    assert unwrap((near + distance) & MASK, near) == near + distance


@pytest.mark.parametrize(
    ("left", "right", "before"), [(1, 2, True), (2, 1, False), (1, 1, False), (MASK, 0, True)]
)
def test_timestamps_compare_modulo_their_wrap(left: int, right: int, before: bool) -> None:
    assert is_before(left, right) is before


@given(st.lists(st.binary(max_size=3000), max_size=20), st.data())
def test_a_send_buffer_gives_back_what_was_written(writes: list[bytes], data: st.DataObject) -> None:
    buffer = SendBuffer(1000, 1 << 20)
    stream = b"".join(writes)
    for piece in writes:
        buffer.write(piece)
    acknowledged = 0
    for _ in range(5):
        acknowledged = data.draw(st.integers(acknowledged, len(stream)))
        buffer.acknowledge(1000 + acknowledged)
        start = data.draw(st.integers(acknowledged, len(stream)))
        length = data.draw(st.integers(0, len(stream) - start))
        assert buffer.peek(1000 + start, length) == stream[start : start + length]
        assert buffer.room == (1 << 20) - len(stream) + acknowledged


def test_small_writes_do_not_cost_a_run_each() -> None:
    buffer = SendBuffer(0, 1 << 20)
    for _ in range(10_000):
        buffer.write(b"x")
    assert len(buffer._runs) < 20
    assert buffer.peek(0, 10_000) == b"x" * 10_000


@given(st.integers(1, 2000), st.integers(0, 2**32))
def test_a_receive_buffer_puts_segments_in_order(size: int, seed: int) -> None:
    chance = random.Random(seed)
    stream = chance.randbytes(size)
    cuts = [
        (at, min(at + chance.randrange(1, 60), size)) for at in (chance.randrange(size) for _ in range(60))
    ]
    cuts += [(at, min(at + 50, size)) for at in range(0, size, 50)]
    chance.shuffle(cuts)
    buffer = ReceiveBuffer(1024)
    have: set[int] = set()
    expected, got = 0, b""
    for start, end in cuts:
        expected = buffer.insert(start, memoryview(stream)[start:end], expected)
        have |= set(range(start, end))
        front = next((at for at in range(size) if at not in have), size)
        assert expected == front
        early = {at for left, right in buffer.blocks for at in range(left, right)}
        assert early == {at for at in have if at > front}
        if start > front:
            assert buffer.blocks[0][0] <= start < end <= buffer.blocks[0][1]
        got += b"".join(buffer.read(chance.randrange(100)))
        assert buffer.readable == expected - len(got)
    assert got + b"".join(buffer.read(size)) == stream


def test_early_segments_are_bounded_in_number() -> None:
    buffer = ReceiveBuffer(100)
    for at in range(10, 10_000, 2):
        buffer.insert(at, memoryview(b"x"), 0)
    assert len(buffer.blocks) == 100


def test_a_small_segment_that_waits_does_not_keep_a_large_read_alive() -> None:
    whole = bytearray(1 << 16)
    buffer = ReceiveBuffer(100)
    buffer.insert(0, memoryview(bytes(10)), 0)
    buffer.insert(20, memoryview(whole)[20:30], 10)
    whole.clear()  # raises BufferError while a view is kept
    assert buffer.read(10) == [bytes(10)]


def test_the_timeout_follows_rfc_6298() -> None:
    rtt = RttEstimator(1 * SECOND, 0, 60 * SECOND)
    assert rtt.rto == 1 * SECOND
    rtt.sample(100 * MILLISECOND)
    assert (rtt.srtt, rtt.rttvar, rtt.rto) == (100 * MILLISECOND, 50 * MILLISECOND, 300 * MILLISECOND)
    rtt.sample(180 * MILLISECOND)
    assert rtt.srtt == 110 * MILLISECOND
    assert rtt.rttvar == 57_500_000
    rtt.back_off()
    rtt.back_off()
    assert rtt.rto == 4 * (110 * MILLISECOND + 4 * 57_500_000)
    rtt.sample(110 * MILLISECOND)
    assert rtt.rto < SECOND


def test_the_timeout_is_bounded() -> None:
    rtt = RttEstimator(1 * SECOND, 200 * MILLISECOND, 60 * SECOND)
    rtt.sample(1000)
    assert rtt.rto == 200 * MILLISECOND
    for _ in range(100):
        rtt.back_off()
    assert rtt.rto == 60 * SECOND


def test_a_night_is_no_round_trip() -> None:
    rtt = RttEstimator(1 * SECOND, 200 * MILLISECOND, 60 * SECOND)
    rtt.sample(100 * MILLISECOND)
    before = rtt.rto
    rtt.back_off()
    rtt.sample(8 * HOUR)
    assert (rtt.srtt, rtt.rto) == (100 * MILLISECOND, before)
    rtt.sample(60 * SECOND)
    assert rtt.rto > 30 * SECOND


@pytest.mark.parametrize(
    ("buffer", "scale"), [(65535, 0), (65536, 1), (256 * 1024, 3), (1 << 20, 5), (1 << 30, 14)]
)
def test_the_window_scale_fits_the_buffer(buffer: int, scale: int) -> None:
    assert Config(receive_buffer=buffer).window_scale == scale


def test_challenges_a_second() -> None:
    limit = ChallengeLimit()
    assert [limit.permits(5 * SECOND) for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.permits(6 * SECOND)


@given(st.binary(max_size=5000), st.integers(1, 1460), st.integers(0, MASK), st.booleans())
def test_a_run_of_segments_is_what_the_wire_format_would_emit(
    data: bytes, size: int, seq: int, stamped: bool
) -> None:
    emitter = Emitter(LOCAL, REMOTE, 77)
    emitter.timestamps = stamped
    template = emitter.template(0x1_2345_6789, 512, 5 * SECOND, 99)
    run = segment_run(template, seq, memoryview(data), size, PSH | FIN)
    starts = range(0, max(len(data), 1), size)
    expected = [
        tcp.emit(
            Segment(
                80, 40000, (seq + at) & MASK, 0x2345_6789,
                Flags(ACK | (PSH | FIN if at == starts[-1] else 0)), 512, data[at : at + size],
                timestamps=(5077, 99) if stamped else None,
            ),
            LOCAL.address, REMOTE.address,
        )
        for at in starts
    ]  # fmt: skip
    assert run == expected


@given(
    st.integers(0, 70_000), st.sampled_from([4, 100, 536, 1000, 1001, 1448, 1460]), st.integers(0, MASK),
    st.booleans(), st.integers(0, 2**32), st.sampled_from([b"", b"\0", b"\xff"]),
)  # fmt: skip
def test_a_run_in_bulk_is_the_plain_run(
    length: int, size: int, seq: int, stamped: bool, seed: int, fill: bytes
) -> None:
    length = min(length, size * 100)
    data = fill * length if fill else random.Random(seed).randbytes(length)
    emitter = Emitter(LOCAL, REMOTE, 77)
    emitter.timestamps = stamped
    template = emitter.template(seed, 512, 5 * SECOND, 99)
    plain = segment_run(template, seq, memoryview(data), size, PSH)
    runs = segment_runs(template, seq, memoryview(data), size, PSH)
    assert [segment for run in runs for segment in run] == plain


def test_scapy_reads_our_segments() -> None:
    emitter = Emitter(LOCAL, REMOTE, 0)
    emitter.timestamps = True
    template = emitter.template(5, 512, SECOND, 99)
    for octets in [
        *segment_run(template, 7, memoryview(bytes(3000)), 1448, PSH),
        emitter.ack(7, template, [(100, 200), (300, 400), (500, 600), (700, 800)]),
        emitter.syn(7, None, 65535, mss=1460, window_scale=3, sack_permitted=True, timestamps=(1, 0)),
        emitter.rst(7, 5),
    ]:
        whole = ipv4.emit(Ipv4(LOCAL.address, REMOTE.address, 6, octets))
        again = inet.IP(whole)
        seen = (again[inet.TCP].seq, dict(again[inet.TCP].options).get("SAck", ()))
        assert seen in [(7, ()), (1455, ()), (2903, ()), (7, (100, 200, 300, 400, 500, 600))]
        del again[inet.TCP].chksum
        assert bytes(again) == whole
