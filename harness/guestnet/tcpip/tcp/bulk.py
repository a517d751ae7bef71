"""A run of data as segments, many at a time: the same octets as ``output.segment_run``, cut when needed."""

from collections.abc import Sequence
from typing import Final

from guestnet.frames.train import Train
from guestnet.tcpip.tcp.output import Template, segment_run
from guestnet.wire.octets import Octets

_WORTH_IT: Final = 4096
"""Octets from which on a train is quicker than a segment or two (measured)."""


def segment_runs(
    template: Template, seq: int, data: memoryview, size: int, last_flags: int
) -> list[Sequence[Octets]]:
    """See ``output.segment_run``: as a ``Train`` when there is much."""
    if len(data) < _WORTH_IT:
        return [segment_run(template, seq, data, size, last_flags)]
    header = template.head(seq, template.flags, 0)
    return [Train(header, data, size, template.addresses_sum, last_flags=last_flags)]
