"""Events of the journal."""

from collections.abc import Callable
from typing import Any, TypeVar

from guestnet.core.errors import DescriptionError
from guestnet.core.events import Event
from guestnet.scenario.matchers.base import Asking, Matchable, Matcher, Question, equal, matcher

E = TypeVar("E", bound=Event)


class OfKind(Asking[Event]):
    """Asks events of ``kind``."""

    def __init__(self, kind: type[Event], questions: list[Question]) -> None:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        title = "an event" if kind is Event else f"{article} {kind.__name__} event"
        super().__init__(title, lambda event: isinstance(event, kind), _other_kind, questions)
        self.kind = kind


def event(kind: type[E], where: Matchable[Any] | None = None, /, **fields: object) -> Matcher[Event]:
    """An event of ``kind`` (``Event``: of any) with these values of its fields, that ``where`` says yes to.

    Raises DescriptionError when the kind has no such field.
    """
    questions = []
    for name, wanted in fields.items():
        if name not in kind.__struct_fields__:
            allowed = ", ".join(kind.__struct_fields__)
            raise DescriptionError(f"{kind.__name__} has no field {name!r}", remedy=f"it has {allowed}")
        questions.append(equal(name, wanted, _getter(name)))
    if where is not None:
        questions.append(_where(kind, matcher(where)))
    return OfKind(kind, questions)


def _getter(name: str) -> Callable[[Event], object]:
    return lambda event: getattr(event, name, None)


def _other_kind(event: Event) -> str:
    return f"it is a {type(event).__name__}"


def _where(kind: type[Event], wanted: Matcher[Any]) -> Question:
    def answer(event: Event) -> str | None:
        return "; ".join(wanted.compare(event).misses) or None if isinstance(event, kind) else ""

    return Question(f"that is {wanted.describe()}", answer)
