"""Columns of numbers as events carry them: each value as its difference to the one before.

What counts up, or hardly changes, is short like that. ``[7, 1, 1, 4]`` is 7, 8, 9, 13; in jq
``[foreach .delays[] as $more (0; . + $more)]``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import sub


def differences(numbers: Sequence[int]) -> list[int]:
    """``numbers`` as a column."""
    return [*numbers[:1], *map(sub, numbers[1:], numbers)]


def values(column: Iterable[int]) -> Iterator[int]:
    """What ``differences`` was made of."""
    return accumulate(column)
