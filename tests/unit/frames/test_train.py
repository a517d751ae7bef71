"""Trains and the header of virtio: the same frames, whoever cuts them."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.frames.virtio import ECN, NEEDS_CSUM, Gso, NetHeader
from guestnet.wire import checksum, ethernet, ipv4, tcp, udp
from guestnet.wire import frame as layers
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6
from guestnet.wire.ipv6 import emit as emit_ipv6
from guestnet.wire.tcp import Flags, Segment
from tests.support.runs import undone

TO, FROM = Mac(bytes.fromhex("5a94efe40cdd")), Mac(bytes.fromhex("525400650001"))
FOUR = bytes((192, 168, 65, 3)), bytes((192, 168, 65, 2))
SIX = bytes(15) + b"\3", bytes(15) + b"\2"
ACK = Flags.ACK
u8, u16, u32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def plain(segment: Segment, addresses: tuple[bytes, bytes] = FOUR) -> bytes:
    """The frame with ``segment``, the plain way."""
    octets = tcp.emit(segment, *addresses)
    if len(addresses[0]) == 4:
        packet = ipv4.emit(Ipv4(*addresses, Protocol.TCP, octets, dont_fragment=True))
        return ethernet.header(TO, FROM, 0x0800) + packet
    return ethernet.header(TO, FROM, 0x86DD) + emit_ipv6(Ipv6(*addresses, 6, octets))


def cut(segment: Segment, size: int) -> list[Segment]:
    """What a network card makes of a large segment (net/ipv4/tcp_offload.c)."""
    pieces = []
    for at in range(0, len(segment.payload), size):
        flags = int(segment.flags)
        if at:
            flags &= ~Flags.CWR
        if at + size < len(segment.payload):
            flags &= ~(Flags.FIN | Flags.PSH)
        pieces.append(
            Segment(
                segment.source_port, segment.destination_port, (segment.seq + at) & 0xFFFFFFFF, segment.ack,
                Flags(flags), segment.window, segment.payload[at : at + size], timestamps=segment.timestamps,
            )
        )  # fmt: skip
    return pieces


@given(st.builds(NetHeader, u8, u8, u16, u16, u16, u16))
def test_a_header_is_read_as_it_was_written(header: NetHeader) -> None:
    octets = virtio.emit(header)
    assert len(octets) == virtio.HEADER
    assert virtio.parse(octets + b"frame") == header


@given(
    length=st.integers(1, 65_000),
    size=st.sampled_from([536, 1001, 1448, 8948]),
    seq=u32,
    flags=st.sampled_from(
        [ACK, ACK | Flags.PSH, ACK | Flags.FIN | Flags.PSH, ACK | Flags.CWR, ACK | Flags.ECE]
    ),
    stamps=st.none() | st.tuples(u32, u32),
    addresses=st.sampled_from([FOUR, SIX]),
    fill=st.sampled_from([b"", b"\0", b"\xff"]),
)
def test_a_large_frame_stands_for_the_frames_that_it_is_cut_into(
    length: int, size: int, seq: int, flags: Flags, stamps: tuple[int, int] | None,
    addresses: tuple[bytes, bytes], fill: bytes,
) -> None:  # fmt: skip
    payload = fill * length if fill else random.Random(seq).randbytes(length)
    segment = Segment(40000, 80, seq, 7, flags, 512, payload, timestamps=stamps)
    kind = Gso.TCPV4 if addresses is FOUR else Gso.TCPV6
    start = 34 if addresses is FOUR else 54
    train = virtio.receive(undone(plain(segment, addresses), start, 16, kind, size))

    assert isinstance(train, Train)
    expected = [plain(piece, addresses) for piece in cut(segment, size)]
    assert [bytes(frame) for frame in train] == expected
    assert len(train) == len(expected)
    assert bytes(train.head[:14]) == expected[0][:14]
    assert [bytes(train[0]), bytes(train[-1])] == [expected[0], expected[-1]]
    (whole,) = (bytes(head) + bytes(rest) for head, rest in train.large(summed=True))
    assert whole == plain(segment, addresses)


@given(length=st.integers(1, 200_000), size=st.sampled_from([1001, 1448, 61440]), seq=u32)
def test_what_is_written_is_what_is_read(length: int, size: int, seq: int) -> None:
    """A train on its way to one kernel, and from another."""
    payload = random.Random(seq).randbytes(length)
    header = tcp.emit(Segment(80, 40000, seq, 7, ACK, 512, timestamps=(1, 2)), *FOUR)
    whole = Train(
        header, memoryview(payload), size, checksum.pseudo_sum(*FOUR, 6, 0), last_flags=Flags.PSH
    ).over(below)
    again = []
    for head, rest in virtio.send(whole):
        net = virtio.parse(head)
        assert net.hdr_len == len(head) - virtio.HEADER
        assert bool(net.gso_type) == (len(rest) > size)
        assert len(head) - virtio.HEADER + len(rest) <= 65535 + 14
        frame = virtio.receive(memoryview(bytearray(head + bytes(rest))))
        again += [bytes(one) for one in frame] if isinstance(frame, Train) else [bytes(frame)]
    assert again == [bytes(frame) for frame in whole]
    assert all(layers.decode(frame).error is None for frame in again)


@pytest.mark.parametrize("length", [0, 1, 1000, 1448])
def test_a_checksum_that_was_left_to_us_is_completed(length: int) -> None:
    segment = plain(Segment(40000, 80, 5, 7, ACK, 512, b"x" * length))
    assert bytes(one_frame(undone(segment, 34, 16))) == segment
    datagram = ipv4.emit(Ipv4(*FOUR, Protocol.UDP, udp.emit(udp.Datagram(1, 2, b"y" * length), *FOUR)))
    frame = ethernet.header(TO, FROM, 0x0800) + datagram
    assert bytes(one_frame(undone(frame, 34, 6))) == frame


def test_a_checksum_of_zero_stays_zero_but_in_udp() -> None:
    """There it would mean that there is none (RFC 768). As payload, the checksum of zeros makes it zero."""
    blank = plain(Segment(40000, 80, 5, 7, ACK, 512, bytes(2)))
    segment = plain(Segment(40000, 80, 5, 7, ACK, 512, blank[50:52]))
    assert segment[50:52] == bytes(2)
    assert bytes(one_frame(undone(segment, 34, 16))) == segment

    def datagram(payload: bytes) -> bytes:
        octets = udp.emit(udp.Datagram(1, 2, payload), *FOUR)
        return ethernet.header(TO, FROM, 0x0800) + ipv4.emit(Ipv4(*FOUR, Protocol.UDP, octets))

    frame = datagram(datagram(bytes(2))[40:42])
    assert frame[40:42] == b"\xff\xff"
    assert bytes(one_frame(undone(frame, 34, 6))) == frame


def test_a_large_single_segment_is_a_train_of_one() -> None:
    segment = plain(Segment(40000, 80, 5, 7, ACK | Flags.PSH, 512, bytes(range(256)) * 200))
    train = virtio.receive(undone(segment, 34, 16))
    assert isinstance(train, Train)
    assert [bytes(frame) for frame in train] == [segment]


def below(length: int) -> bytes:
    return plain(Segment(0, 0, 0, 0, ACK, 0, bytes(max(length - 20, 0))))[:34]


def one_frame(octets: memoryview) -> memoryview:
    frame = virtio.receive(octets)
    assert isinstance(frame, memoryview)
    return frame


def test_what_needs_nothing_done_stays_as_it_is() -> None:
    assert bytes(one_frame(memoryview(bytearray(virtio.COMPLETE + b"any frame")))) == b"any frame"


def test_the_mark_of_a_reduced_window_is_told_to_the_kernel() -> None:
    segment = plain(Segment(1, 2, 3, 4, ACK | Flags.CWR, 5, bytes(5000)))
    train = virtio.receive(undone(segment, 34, 16, Gso.TCPV4 | ECN, 1000))
    assert isinstance(train, Train)
    ((head, _),) = virtio.send(train)
    assert virtio.parse(head).gso_type == Gso.TCPV4 | ECN


def _with(change: Callable[[bytearray], None]) -> bytearray:
    octets = bytearray(undone(plain(Segment(1, 2, 3, 4, ACK, 5, bytes(5000))), 34, 16, Gso.TCPV4, 1000))
    change(octets)
    return octets


@given(octets=st.binary(max_size=200) | st.tuples(st.integers(0, 63), u8).map(
    lambda at: bytes(_with(lambda octets: octets.__setitem__(at[0], at[1])))
))  # fmt: skip
def test_nonsense_is_a_wire_error_or_a_frame(octets: bytes) -> None:
    try:
        frame = virtio.receive(memoryview(bytearray(octets)))
    except WireError:
        return
    assert len(frame) >= 0
    if isinstance(frame, Train):
        assert all(len(one) > 14 for one in frame)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (NetHeader(0, Gso.TCPV4, 0, 1000, 34, 16), "without a checksum"),
        (NetHeader(NEEDS_CSUM, Gso.UDP, 0, 1000, 34, 16), "gso_type"),
        (NetHeader(NEEDS_CSUM, Gso.TCPV4, 0, 0, 34, 16), "gso_type"),
        (NetHeader(NEEDS_CSUM, Gso.NONE, 0, 0, 9000, 16), "csum_start"),
        (NetHeader(NEEDS_CSUM, Gso.TCPV4, 0, 1000, 14, 16), "tcp data offset|octets of headers"),
    ],
)
def test_what_was_not_offered_is_refused(change: NetHeader, reason: str) -> None:
    octets = _with(lambda octets: None)
    octets[: virtio.HEADER] = virtio.emit(change)
    with pytest.raises(WireError, match=reason):
        virtio.receive(memoryview(octets))
