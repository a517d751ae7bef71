"""How matchers say yes, how near a no is, and why it is a no.

A matcher is a list of questions (`Question`) to an item: to a captured packet or to an event of the journal.
An item fits when every answer is the wanted one. When nothing fits, the items with the most wanted answers
are the nearest misses, and the other answers tell the reader what to look at: "flags are S, not R".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Fit(NamedTuple):
    """How well an item answers: how many questions as wanted, and what is wrong with the other answers."""

    fitting: int
    misses: tuple[str, ...]


class Matcher(ABC, Generic[T]):
    """Says whether an item is what somebody looks for; callable as a predicate.

    Combine with ``&``, ``|`` and ``~``; the other operand may be a plain function of an item.
    """

    @abstractmethod
    def describe(self) -> str:
        """What it looks for, as in "there was no …"."""

    @abstractmethod
    def compare(self, item: T) -> Fit:
        """How well ``item`` fits, and why it does not."""

    def matches(self, item: T) -> bool:
        """Whether ``item`` fits."""
        return not self.compare(item).misses

    def __call__(self, item: T) -> bool:
        return self.matches(item)

    def __and__(self, other: "Matchable[T]") -> "Matcher[T]":
        return _Both(self, matcher(other))

    def __rand__(self, other: "Matchable[T]") -> "Matcher[T]":
        return _Both(matcher(other), self)

    def __or__(self, other: "Matchable[T]") -> "Matcher[T]":
        return _Either(self, matcher(other))

    def __ror__(self, other: "Matchable[T]") -> "Matcher[T]":
        return _Either(matcher(other), self)

    def __invert__(self) -> "Matcher[T]":
        return _Not(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"


Matchable = Matcher[T] | Callable[[T], object]
"""A matcher or a plain function of an item."""


def matcher(what: Matchable[T]) -> Matcher[T]:
    """``what`` as a matcher."""
    return what if isinstance(what, Matcher) else _Predicate(what)


class Question(NamedTuple):
    """One thing to ask about an item, whose type only the asking matcher knows.

    ``words`` go into the description ("to 10.0.0.1:80"). ``answer`` returns None when the item fits,
    "" when the item has no such thing at all, or else what is wrong: "to port is 81, not 80".
    """

    words: str
    answer: Callable[[Any], str | None]


def equal(name: str, wanted: object, get: Callable[[Any], object], *, words: str | None = None) -> Question:
    """The question whether ``get(item)`` is ``wanted``; None from ``get``: the item has no such thing."""

    def answer(item: object) -> str | None:
        actual = get(item)
        if actual is None:
            return ""
        return None if actual == wanted else f"{name} is {_show(actual)}, not {_show(wanted)}"

    return Question(f"with {name} {_show(wanted)}" if words is None else words, answer)


def _show(value: object) -> str:
    return (
        repr(value)
        if isinstance(value, str | bytes) and (not value or len(value.split()) != 1)
        else str(value)
    )


class Asking(Matcher[T]):
    """A matcher made of questions to items of one kind.

    ``is_kind`` tells whether an item is of that kind, quickly; ``other_kind`` says of which it is instead.
    """

    def __init__(
        self,
        title: str,
        is_kind: Callable[[T], bool],
        other_kind: Callable[[T], str],
        questions: Iterable[Question],
    ) -> None:
        self._title = title
        self._is_kind = is_kind
        self._other_kind = other_kind
        self._questions = tuple(questions)

    def describe(self) -> str:
        return " ".join([self._title, *(question.words for question in self._questions if question.words)])

    def compare(self, item: T) -> Fit:
        is_kind = self._is_kind(item)
        fitting = int(is_kind)
        misses = [] if is_kind else [self._other_kind(item)]
        for question in self._questions:
            answer = question.answer(item)
            if answer is None:
                fitting += 1
            elif answer:
                misses.append(answer)
            elif is_kind and question.words:
                misses.append(f"it has nothing {question.words}")
        return Fit(fitting, tuple(misses))

    def matches(self, item: T) -> bool:
        return self._is_kind(item) and all(question.answer(item) is None for question in self._questions)


class _Predicate(Matcher[T]):
    def __init__(self, predicate: Callable[[T], object]) -> None:
        self._predicate = predicate
        name = getattr(predicate, "__name__", type(predicate).__name__)
        self._name = "what the scenario's function accepts" if name == "<lambda>" else f"what {name} accepts"

    def describe(self) -> str:
        return self._name

    def compare(self, item: T) -> Fit:
        if self._predicate(item):
            return Fit(1, ())
        return Fit(0, (f"it is not {self._name}",))


class _Both(Matcher[T]):
    def __init__(self, left: Matcher[T], right: Matcher[T]) -> None:
        self._left = left
        self._right = right

    def describe(self) -> str:
        return f"{self._left.describe()} that is {self._right.describe()}"

    def compare(self, item: T) -> Fit:
        left, right = self._left.compare(item), self._right.compare(item)
        return Fit(left.fitting + right.fitting, tuple(dict.fromkeys(left.misses + right.misses)))

    def matches(self, item: T) -> bool:
        return self._left.matches(item) and self._right.matches(item)


class _Either(Matcher[T]):
    def __init__(self, left: Matcher[T], right: Matcher[T]) -> None:
        self._left = left
        self._right = right

    def describe(self) -> str:
        return f"{self._left.describe()} or {self._right.describe()}"

    def compare(self, item: T) -> Fit:
        return max(
            (self._left.compare(item), self._right.compare(item)),
            key=lambda fit: (not fit.misses, fit.fitting, -len(fit.misses)),
        )

    def matches(self, item: T) -> bool:
        return self._left.matches(item) or self._right.matches(item)


class _Not(Matcher[T]):
    def __init__(self, inner: Matcher[T]) -> None:
        self._inner = inner

    def describe(self) -> str:
        return f"not {self._inner.describe()}"

    def compare(self, item: T) -> Fit:
        if self._inner.matches(item):
            return Fit(0, (f"it is {self._inner.describe()}",))
        return Fit(1, ())

    def matches(self, item: T) -> bool:
        return not self._inner.matches(item)


class Miss(NamedTuple, Generic[T]):
    """An item that came near, and why it is not it."""

    item: T
    misses: tuple[str, ...]


def nearest(matcher: Matcher[T], items: Iterable[T], count: int = 3) -> list[Miss[T]]:
    """The ``count`` items that come nearest without fitting, nearest first, of equals the latest first.

    Items of which nothing fits are left out.
    """
    ranked: list[tuple[int, int, int, T, tuple[str, ...]]] = []
    for order, item in enumerate(items):
        fit = matcher.compare(item)
        if fit.misses and fit.fitting:
            ranked.append((fit.fitting, -len(fit.misses), order, item, fit.misses))
    ranked.sort(key=lambda entry: entry[:3], reverse=True)
    return [Miss(item, misses) for *_, item, misses in ranked[:count]]
