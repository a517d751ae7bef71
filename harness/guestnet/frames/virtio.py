"""The header before each frame of a TAP device with IFF_VNET_HDR: what the other side left undone.

A kernel with a network card of ours hands us frames with a checksum to be completed (NEEDS_CSUM: the field
holds the pseudo header's sum), and frames of up to 64 KiB that are to be cut into segments of ``gso_size``
octets of payload. It takes the same from us. Here such frames become trains, and trains such frames.

Source: virtio 1.2, 5.1.6; Linux's include/linux/virtio_net.h. In the machine's byte order, as tun(4) has it
unless TUNSETVNETLE says otherwise; without the field ``num_buffers``, which is for rings only.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.frames.train import Train
from guestnet.wire import checksum
from guestnet.wire.ethernet import EtherType
from guestnet.wire.octets import Octets, malformed, require, view

HEADER: Final = 10
NEEDS_CSUM: Final = 0x01
ECN: Final = 0x80
"""In ``gso_type``: the first segment has CWR, the others have not."""
COMPLETE: Final = bytes(HEADER)
"""Before a frame that needs nothing done."""
_HEADER: Final = struct.Struct("=BBHHHH")
_ETHERNET: Final = 14
_TCP: Final = 20
_TCP_CHECKSUM: Final = 16
_UDP_CHECKSUM: Final = 6
_SIZES: Final[dict[int, int]] = {EtherType.IPV4: 20, EtherType.IPV6: 40}
"""Of IP headers without options."""
_FIN_PSH: Final = 0x09
_CWR: Final = 0x80
_BULK: Final = 4096
"""Octets of payload from which on a segment stays a train rather than to have its checksum completed."""


class Gso(IntEnum):
    """Values of ``gso_type``."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    TCPV6 = 4
    UDP_L4 = 5


class NetHeader(NamedTuple):
    """``struct virtio_net_hdr``; offsets in octets, ``csum_offset`` from ``csum_start``."""

    flags: int = 0
    gso_type: int = Gso.NONE
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0


def parse(data: Octets) -> NetHeader:
    """Raises WireError when ``data`` is shorter."""
    octets = view(data)
    require(octets, HEADER, "virtio net header")
    return NetHeader._make(_HEADER.unpack_from(octets))


def emit(header: NetHeader) -> bytes:
    """Its ten octets."""
    return _HEADER.pack(*header)


def receive(data: memoryview) -> Frame | Train:
    """The frame behind the header at the beginning of ``data``; a checksum is completed in place.

    Raises WireError when the header does not fit the frame, or asks for what was not offered.
    """
    header = parse(data)
    frame = data[HEADER:]
    if not header.flags & NEEDS_CSUM:
        if header.gso_type != Gso.NONE:
            raise malformed("virtio gso_type", 1, f"{header.gso_type} without a checksum to complete")
        return frame
    start, field = header.csum_start, header.csum_start + header.csum_offset
    if start < _ETHERNET or start % 2 or field + 2 > len(frame):
        raise malformed("virtio csum_start", 6, f"{start}+{header.csum_offset} in {len(frame)} octets")
    kind = header.gso_type & ~ECN
    if kind == Gso.NONE:
        if header.csum_offset != _TCP_CHECKSUM or len(frame) - start < _BULK:
            value = checksum.internet(frame[start:])
            if header.csum_offset == _UDP_CHECKSUM:
                value = value or 0xFFFF  # RFC 768: zero says that there is none
            frame[field : field + 2] = value.to_bytes(2, "big")
            return frame
    elif kind not in (Gso.TCPV4, Gso.TCPV6) or not header.gso_size:
        raise malformed("virtio gso_type", 1, f"{header.gso_type} with segments of {header.gso_size} octets")
    return _train(frame, start, header.gso_size)


def _train(frame: memoryview, start: int, size: int) -> Train:
    require(frame, start + _TCP, "tcp header")
    end = start + (frame[start + 12] >> 4) * 4
    if end < start + _TCP or end > len(frame):
        raise malformed("tcp data offset", 12, f"{end - start} octets of {len(frame) - start}")
    header = bytearray(frame[start:end])
    length = len(frame) - start
    # The kernel has put the pseudo header's sum into the field (include/linux/skbuff.h, CHECKSUM_PARTIAL).
    pseudo = ((header[16] << 8 | header[17]) + 65535 - length) % 65535
    last_flags, first_flags = header[13] & _FIN_PSH, header[13] & _CWR
    header[13] &= 0xFF ^ (_FIN_PSH | _CWR)
    return Train(
        bytes(header), frame[end:], size or max(len(frame) - end, 1), pseudo,
        first_flags=first_flags, last_flags=last_flags, below=_Below(bytes(frame[:start])), uncut=frame,
    )  # fmt: skip


class _Below:
    """The headers of a frame below TCP, for segments of other lengths; most trains are never asked."""

    __slots__ = ("_headers", "_rest")

    def __init__(self, headers: bytes) -> None:
        kind = headers[12] << 8 | headers[13]
        needed = _SIZES.get(kind, 0)
        if not needed or len(headers) < _ETHERNET + needed:
            raise WireError(f"ethernet type 0x{kind:04x} with TCP after {len(headers)} octets of headers")
        self._headers = headers
        self._rest = -1

    def __call__(self, length: int) -> bytes:
        headers = self._headers
        total = len(headers) - _ETHERNET + length
        if headers[12] == 0x86:
            return b"".join((headers[:18], (total - 40).to_bytes(2, "big"), headers[20:]))
        if self._rest < 0:
            # RFC 1624: what the header sums to without length and checksum.
            ip = headers[_ETHERNET:]
            self._rest = sum(map(checksum.ones_sum, (ip[:2], ip[4:10], ip[12:])))
        check = checksum.fold(self._rest + total) ^ 0xFFFF
        return b"".join(
            (headers[:16], total.to_bytes(2, "big"), headers[18:24], check.to_bytes(2, "big"), headers[26:])
        )


def send(train: Train) -> Iterator[tuple[bytes, memoryview]]:
    """What to write for ``train``, frame by frame: all headers, and the payload."""
    start = len(train.head) - len(train.header)
    size = train.size
    six = start > _ETHERNET and train.head[12] == 0x86
    for head, payload in train.large(summed=False):
        kind = 0
        if len(payload) > size:
            kind = (Gso.TCPV6 if six else Gso.TCPV4) | (ECN if head[start + 13] & _CWR else 0)
        net = _HEADER.pack(NEEDS_CSUM, kind, len(head), size if kind else 0, start, _TCP_CHECKSUM)
        yield b"".join((net, head)), payload
