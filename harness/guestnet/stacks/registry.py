"""The stacks that exist: ours, and those that other distributions bring along."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.stacks.base import Stack, StackOptions

ENTRY_POINTS: Final = "guestnet.stacks"
"""The entry point group in which other distributions register a ``Factory`` under their stack's name."""

Factory = Callable[[StackOptions], Stack]

_OURS: Final = {
    name: EntryPoint(name, f"guestnet.stacks.{module}", ENTRY_POINTS)
    for name, module in {
        "builtin": "builtin:BuiltinStack",
        "kernel-nat": "kernel_nat:KernelNatStack",
        "passt": "passt:PasstStack",
        "slirp": "slirp:SlirpStack",
    }.items()
}


def stack_names() -> list[str]:
    """Every stack that can be opened here, sorted."""
    return sorted(_all())


def open_stack(name: str, options: StackOptions) -> Stack:
    """The stack called ``name``, not yet started. Raises DescriptionError naming those that exist."""
    entry = _all().get(name)
    if entry is None:
        raise DescriptionError(
            f"there is no stack called {name!r}", remedy="choose one of " + ", ".join(stack_names())
        )
    factory: Factory = entry.load()
    return factory(options)


def _all() -> dict[str, EntryPoint]:
    """By name; nobody else's takes the place of one of ours."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)} | _OURS
