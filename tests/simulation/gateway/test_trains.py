"""A large frame from a guest does just what the frames do that it stands for; and so does one to it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guestnet.core.port import Frame
from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.gateway import commands, events
from guestnet.wire.tcp import Flags
from tests.simulation.gateway.bench import SERVER
from tests.simulation.gateway.test_runs import SIZE, Upload
from tests.support.fake_guest import HOST
from tests.support.runs import undone


def large(upload: Upload, octets: int, **changed: Any) -> Train:
    """``octets`` of the upload as the kernel of a guest hands them over."""
    segment = replace(upload.segment(0), payload=bytes(range(251)) * (octets // 251 + 1), **changed)
    frame = upload.frame(replace(segment, payload=segment.payload[:octets]))
    train = virtio.receive(undone(frame, 34, 16, virtio.Gso.TCPV4, SIZE))
    assert isinstance(train, Train)
    return train


def assert_same(destination: bytes, octets: int, **changed: Any) -> bytes:
    one_by_one, together = Upload(destination), Upload(destination)
    frames: list[Frame] = [bytes(frame) for frame in large(one_by_one, octets, **changed)]
    expected = one_by_one.receive(frames)
    got = together.receive(large(together, octets, **changed))
    assert (got[0], got[2]) == (expected[0], expected[2])
    # What is less than two segments may be acknowledged earlier or later.
    assert octets < 2 * SIZE or got[1] == expected[1]
    return expected[0]


def test_a_large_frame_in_order_is_its_segments() -> None:
    for destination in (SERVER, HOST):
        for octets in (1, SIZE, SIZE + 1, 45 * SIZE):
            assert len(assert_same(destination, octets)) == octets


@given(
    st.integers(1, 60_000),
    st.sampled_from(
        [
            {"window": 499},
            {"flags": Flags.ACK | Flags.PSH},
            {"flags": Flags.ACK | Flags.FIN},
            {"flags": Flags.ACK | Flags.CWR},
            {"flags": Flags.ACK | Flags.RST},
            {"flags": Flags.ACK | Flags.ECE},
            {"flags": Flags(0)},
            {"seq": 4_000},
            {"timestamps": (1, 1)},
            {"timestamps": None},
            {"destination_port": 81},
        ]
    ),
)
def test_other_large_frames_are_their_segments(octets: int, changed: dict[str, Any]) -> None:
    assert_same(SERVER, octets, **changed)


@given(st.integers(1, 400_000))
def test_a_download_is_the_same_in_large_frames(octets: int) -> None:
    """What a TAP device is given, read back and cut, is what a port without offloads would have sent."""
    upload = Upload()
    handled = upload.bench.gateway.handle(
        [events.DataReceived(upload.flow, bytes(range(250)) * (octets // 250))], upload.bench.now
    )
    for command in handled:
        if isinstance(command, commands.SendFrames) and isinstance(command.frames, Train):
            back: list[bytes] = []
            for head, payload in virtio.send(command.frames):
                frame = virtio.receive(memoryview(bytearray(head + bytes(payload))))
                back += map(bytes, frame) if isinstance(frame, Train) else [bytes(frame)]
            assert back == [bytes(frame) for frame in command.frames]
