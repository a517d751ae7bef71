"""Classes by what they have in common."""

from typing import TypeVar

T = TypeVar("T")


def subclasses(base: type[T]) -> list[type[T]]:
    """Those of ``base``, at any depth, in the order of their names."""
    found = set(base.__subclasses__())
    for each in list(found):
        found |= set(subclasses(each))
    return sorted(found, key=lambda each: each.__name__)
