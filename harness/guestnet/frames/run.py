"""A run: frames of the same length and with the same ethernet header, at equal distance in one buffer.

On their way down the layers, also what will be such frames: segments with room for their headers.

Bulk data comes and goes as runs. Whoever only passes frames on treats a run as the sequence of frames that it
is; whoever looks at each can do it for all at once, by ``matrix``. What is decided by length, ethernet
header and link is decided once.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from guestnet.core.port import Frame

Matrix: TypeAlias = NDArray[np.uint8]
"""Octets: a row for each frame."""


class Run(Sequence[Frame]):
    """``rows`` frames of ``length`` octets: the first at ``offset`` of ``buffer``, then one every ``stride``.

    The ``stride - length`` octets *before* each frame belong to no frame: room for the length that a carrier
    writes there.
    """

    __slots__ = ("buffer", "length", "offset", "rows", "stride")

    def __init__(self, buffer: memoryview, offset: int, stride: int, length: int, rows: int) -> None:
        self.buffer = buffer
        self.offset = offset
        self.stride = stride
        self.length = length
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self.rows))]
        if not -self.rows <= index < self.rows:
            raise IndexError(f"frame {index} of a run of {self.rows}")
        at = self.offset + (index % self.rows) * self.stride
        return self.buffer[at : at + self.length]

    def __iter__(self) -> Iterator[Frame]:
        buffer, length = self.buffer, self.length
        for at in range(self.offset, self.offset + self.rows * self.stride, self.stride):
            yield buffer[at : at + length]

    @property
    def lead(self) -> int:
        """Octets of room before each frame."""
        return self.stride - self.length

    def preceded(self, head: bytes) -> "Run":
        """Each with ``head`` before it, written into its lead: this run's room is used up then.

        Raises ValueError when there is less room, TypeError when the buffer cannot be written to.
        """
        if len(head) > self.lead:
            raise ValueError(f"{len(head)} octets before frames with room for {self.lead}")
        self.matrix(-len(head), 0)[:] = np.frombuffer(head, np.uint8)
        return Run(self.buffer, self.offset - len(head), self.stride, self.length + len(head), self.rows)

    def matrix(self, start: int, end: int) -> Matrix:
        """Octets ``start`` to ``end`` of every frame, not copied; negative ones lie before the frame."""
        return np.ndarray(
            (self.rows, end - start), np.uint8, self.buffer, self.offset + start, (self.stride, 1)
        )
