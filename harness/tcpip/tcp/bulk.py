"""A run of data as segments, many at a time: the same octets as ``output.segment_run``, by numpy.

All segments of a run but the last are alike: a matrix with a row for each, of which only sequence number,
checksum and payload differ. A sum of a row's payload is the sum of its 32-bit words in the machine's order,
folded and swapped (RFC 1071 2.B). Before each row there is room for the headers of the layers below, so that
the payload is copied once on its whole way.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from harness.tcpip.tcp.output import Template, segment_run
from harness.tcpip.tcp.sequence import MASK
from harness.wire.octets import Octets
from harness.wire.run import Run

HEADROOM: Final = 4 + 14 + 20
"""Octets before each segment of a run: a carrier's length, ethernet and IPv4."""
_WORTH_IT: Final = 4
"""Segments from which on the matrix is quicker than the loop (measured)."""


def segment_runs(
    template: Template, seq: int, data: memoryview, size: int, last_flags: int
) -> list[Sequence[Octets]]:
    """See ``output.segment_run``: the full segments as a ``Run`` with ``HEADROOM``, then the last one."""
    count = (len(data) - 1) // size
    if count < _WORTH_IT or size % 4:
        return [segment_run(template, seq, data, size, last_flags)]
    whole = count * size
    header, width = template.header, template.header + size
    matrix = np.empty((count, HEADROOM + width), dtype=np.uint8)
    segments = matrix[:, HEADROOM:]
    segments[:, :header] = np.frombuffer(template.head(0, template.flags, 0), dtype=np.uint8)
    segments[:, header:] = np.frombuffer(data, dtype=np.uint8, count=whole).reshape(count, size)
    numbers = (np.arange(count, dtype=np.uint64) * size + seq) & MASK
    sums = np.frombuffer(data, dtype="<u4", count=whole // 4).reshape(count, -1).sum(axis=1, dtype=np.uint64)
    sums = sums % 65535
    sums = (sums >> 8) | (sums & 0xFF) << 8
    # The header is never all zeros: a sum that is a multiple of 65535 is all ones, and its complement zero.
    checks = 65535 - (sums + numbers + (template.sum + template.flags + width)) % 65535
    segments[:, 4:8] = numbers.astype(">u4").view(np.uint8).reshape(count, 4)
    segments[:, 16:18] = (checks % 65535).astype(">u2").view(np.uint8).reshape(count, 2)
    run = Run(matrix.reshape(-1).data, HEADROOM, HEADROOM + width, width, count)
    return [run, segment_run(template, seq + whole & MASK, data[whole:], size, last_flags)]
