"""A run of data as segments, many at a time: the same octets as ``output.segment_run``, by numpy.

All segments of a run but the last are alike: a matrix with a row for each, of which only sequence number,
checksum and payload differ. A sum of a row's payload is the sum of its 32-bit words in the machine's order,
folded and swapped (RFC 1071 2.B).
"""

from typing import Final

import numpy as np

from harness.tcpip.tcp.output import Template, segment_run
from harness.tcpip.tcp.sequence import MASK
from harness.wire.octets import Octets

_WORTH_IT: Final = 8
"""Segments from which on the matrix is quicker than the loop (measured)."""


def segment_run_in_bulk(
    template: Template, seq: int, data: memoryview, size: int, last_flags: int
) -> list[Octets]:
    """See ``output.segment_run``. The segments are views of one buffer of their own."""
    count = (len(data) - 1) // size
    if count < _WORTH_IT or size % 4:
        return segment_run(template, seq, data, size, last_flags)
    whole = count * size
    payload = np.frombuffer(data, dtype=np.uint8, count=whole).reshape(count, size)
    header, width = template.header, template.header + size
    matrix = np.empty((count, width), dtype=np.uint8)
    matrix[:, :header] = np.frombuffer(template.head(0, template.flags, 0), dtype=np.uint8)
    matrix[:, header:] = payload
    numbers = (np.arange(count, dtype=np.uint64) * size + seq) & MASK
    sums = np.frombuffer(data, dtype="<u4", count=whole // 4).reshape(count, -1).sum(axis=1, dtype=np.uint64)
    sums = sums % 65535
    sums = (sums >> 8) | (sums & 0xFF) << 8
    # The header is never all zeros: a sum that is a multiple of 65535 is all ones, and its complement zero.
    checks = 65535 - (sums + numbers + (template.sum + template.flags + width)) % 65535
    matrix[:, 4:8] = numbers.astype(">u4").view(np.uint8).reshape(count, 4)
    matrix[:, 16:18] = (checks % 65535).astype(">u2").view(np.uint8).reshape(count, 2)
    octets = matrix.reshape(-1).data
    segments: list[Octets] = [octets[at : at + width] for at in range(0, count * width, width)]
    segments += segment_run(template, seq + whole & MASK, data[whole:], size, last_flags)
    return segments
