"""What there is of a kind in a lab, by name: ``lab.uplinks["wifi"]``, ``lab.vpns``, ``lab.portals``."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from guestnet.core.errors import DescriptionError, GuestnetError

V = TypeVar("V")


class Views(Mapping[str, V]):
    """All of a kind, in the order of the profile. Raises DescriptionError for a name that there is not.

    ``noun`` is what one is called, ``table`` where a profile has them, ``make`` makes the view of one.
    """

    def __init__(
        self, noun: str, table: str, names: Callable[[], Iterable[str]], make: Callable[[str], V]
    ) -> None:
        self._noun = noun
        self._table = table
        self._names = names
        self._make = make

    def __getitem__(self, name: str) -> V:
        names = list(self)
        if name not in names:
            remedy = f"there are {self._show(names)}"
            raise DescriptionError(f"there is no {self._noun} {name!r}", remedy=remedy)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(list(self._names()))

    @property
    def only(self) -> V:
        """The one of a world that has one. Raises DescriptionError."""
        names = list(self)
        if len(names) != 1:
            remedy = f"say lab.{self._table}[…]; there are {self._show(names)}"
            raise DescriptionError(f"this world has {len(names)} {self._noun}s", remedy=remedy)
        return self._make(names[0])

    def _show(self, names: list[str]) -> str:
        return ", ".join(names) or f"none: this world has no [{self._table}]"

    def __repr__(self) -> str:
        return f"<lab.{self._table}: {told(lambda: ', '.join(self) or 'none')}>"


def told(ask: Callable[[], str]) -> str:
    """What ``ask`` says, for a person at a prompt; why not, where the lab has ended."""
    try:
        return ask()
    except GuestnetError as error:
        return error.message
