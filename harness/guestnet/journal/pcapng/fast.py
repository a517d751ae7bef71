"""The blocks of many frames at once: the same octets as one by one (`emit`), at a fraction of the cost."""

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from guestnet.core.port import Frame
from guestnet.core.recorder import Mark
from guestnet.frames.run import Run
from guestnet.frames.train import LARGEST, Train
from guestnet.journal.pcapng.blocks import EPB_PACKET_ID, PACKET, PACKET_HEAD, Direction
from guestnet.journal.pcapng.emit import packet_options
from guestnet.wire.octets import Octets

_IDENTIFIED: Final = struct.Struct("<HHQII")
"""The end of a block: a packet id, the end of the options, the block's length."""


def packets(interface: int, at: int, frames: Sequence[Frame], snaplen: int, options: bytes) -> list[Frame]:
    """Pieces, to be joined, of the blocks of ``frames``, all seen at ``at``, each cut to ``snaplen`` octets.

    ``options`` come from ``packet_options``. All of a batch but its lengths is the same, and its lengths
    mostly are: so head and tail are made only when a length differs from the one before, which is what
    makes this cost a fifth of packing every block.
    """
    pieces: list[Frame] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    previous = -1
    head = tail = b""
    for frame in frames:
        length = len(frame)
        if length != previous:
            previous = length
            captured = min(length, snaplen)
            total = 32 + captured + (-captured % 4) + len(options)
            head = PACKET_HEAD.pack(PACKET, total, interface, high, low, captured, length)
            tail = bytes(-captured % 4) + options + total.to_bytes(4, "little")
        pieces += (head, frame[:snaplen] if length > snaplen else frame, tail)
    return pieces


def marked_packets(
    interface: int,
    at: int,
    frames: Sequence[Frame],
    snaplen: int,
    direction: Direction,
    marks: Sequence[Mark],
) -> list[Frame]:
    """``packets`` of which each has one of the ``marks``: a comment and a packet id, if it has them."""
    pieces: list[Frame] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    previous, spoken = -1, ""
    head = before = b""
    total = 0
    for frame, (comment, packet_id) in zip(frames, marks, strict=True):
        length = len(frame)
        if length != previous or comment != spoken:
            previous, spoken = length, comment
            captured = min(length, snaplen)
            # The direction is there: so are options, and their end.
            before = bytes(-captured % 4) + packet_options(direction, comment)[:-4]
            total = 28 + captured + len(before) + _IDENTIFIED.size
            head = PACKET_HEAD.pack(PACKET, total, interface, high, low, captured, length)
        octets = frame[:snaplen] if length > snaplen else frame
        if packet_id:
            pieces += (head, octets, before, _IDENTIFIED.pack(EPB_PACKET_ID, 8, packet_id, 0, total))
        else:
            alone = packet_options(direction, comment)
            pieces += packets(interface, at, (frame,), snaplen, alone)
    return pieces


def packet_run(interface: int, at: int, run: Run, snaplen: int, options: bytes) -> Octets:
    """``packets`` for a run: the same octets, as the rows of one matrix."""
    captured = min(run.length, snaplen)
    total = 32 + captured + (-captured % 4) + len(options)
    head = PACKET_HEAD.pack(PACKET, total, interface, at >> 32, at & 0xFFFFFFFF, captured, run.length)
    tail = bytes(-captured % 4) + options + total.to_bytes(4, "little")
    blocks = np.empty((run.rows, total), np.uint8)
    end = len(head) + captured
    blocks[:, : len(head)] = np.frombuffer(head, np.uint8)
    blocks[:, len(head) : end] = run.matrix(0, captured)
    blocks[:, end:] = np.frombuffer(tail, np.uint8)
    return blocks.reshape(-1).data


def packet_train(interface: int, at: int, train: Train, snaplen: int, options: bytes) -> list[Octets]:
    """Pieces of blocks with the large frames of a train, as they are where offloads are on.

    Those that are kept whole have complete checksums; of the others nobody could tell.
    """
    pieces: list[Octets] = []
    high, low = at >> 32, at & 0xFFFFFFFF
    for head, payload in train.large(summed=snaplen > LARGEST):
        length = len(head) + len(payload)
        captured = min(length, snaplen)
        total = 32 + captured + (-captured % 4) + len(options)
        pieces += (
            PACKET_HEAD.pack(PACKET, total, interface, high, low, captured, length), head[:captured],
            payload[: max(captured - len(head), 0)], bytes(-captured % 4), options,
            total.to_bytes(4, "little"),
        )  # fmt: skip
    return pieces
