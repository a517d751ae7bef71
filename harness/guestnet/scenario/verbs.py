"""Each verb of a scenario as an event of its journal: what was called from which line, and what came of it.

A verb is a method with `verb` before it; what it does inside goes by methods without. The event is written
when the verb ends: one request, for a beginning would be another.
"""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from guestnet.core.errors import GuestnetError, LabError
from guestnet.core.events import VerbRun
from guestnet.core.result import Result
from guestnet.scenario.observer import Observer

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE: Final = str(Path(__file__).parents[1]) + os.sep
_LONGEST: Final = 60
"""Characters that are shown of an argument or a result."""


class Actor(Protocol):
    """What has verbs."""

    _observer: Observer

    def _called(self) -> str:
        """How a scenario calls it: "lab.links.wifi"."""


A = TypeVar("A", bound=Actor)


def verb(method: Callable[Concatenate[A, P], R]) -> Callable[Concatenate[A, P], R]:
    """Let each call of ``method`` be a `VerbRun` in the journal."""

    @functools.wraps(method)
    def call(self: A, /, *arguments: P.args, **named: P.kwargs) -> R:
        __tracebackhide__ = True
        with running(self, method.__name__, *arguments, **named) as tell:
            answer = method(self, *arguments, **named)
            tell(answer)
            return answer

    return call


@contextmanager
def running(
    self: Actor, name: str, /, *arguments: object, **named: object
) -> Iterator[Callable[[object], None]]:
    """The verb ``name`` of an actor while the block runs, which may tell what came of it."""
    __tracebackhide__ = True
    answers: list[object] = []
    where, began = author(), time.monotonic()

    def written(result: str, *, raised: bool) -> VerbRun:
        return VerbRun(
            at=0, verb=f"{self._called()}.{name}", arguments=_listed(arguments, named), result=result,
            raised=raised, seconds=round(time.monotonic() - began, 6), where=where,
        )  # fmt: skip

    try:
        yield answers.append
    except GuestnetError as error:
        # A lab that is dead can't write any more, and is not what went wrong here.
        with suppress(LabError):
            self._observer.record(written(error.message, raised=True))
        raise
    self._observer.record(written(short(answers[-1]) if answers else "", raised=False))


def author() -> str:
    """The line of the scenario that is being run, as "test_shop.py:7": the innermost that is none of ours."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and file not in (functools.__file__, _CONTEXTLIB):
            return f"{_relative(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


_CONTEXTLIB: Final = contextmanager.__code__.co_filename


@functools.lru_cache(maxsize=64)
def _relative(file: str) -> str:
    """Below the folder that pytest was called in; else the name alone: reports tell no path of a machine."""
    path = Path(file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.name


def _listed(arguments: tuple[object, ...], named: Mapping[str, object]) -> str:
    return ", ".join([*map(short, arguments), *(f"{name}={short(value)}" for name, value in named.items())])


def short(value: Any) -> str:
    """``value`` in a few words: of a result what came of it, of octets their number."""
    if value is None:
        return "None"
    if isinstance(value, Result):
        return value.brief
    if isinstance(value, bytes | bytearray) and len(value) > _LONGEST // 2:
        return f"{len(value)} B"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
