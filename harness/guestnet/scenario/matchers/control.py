"""What the matchers of ICMP and of ICMPv6 have in common: questions about type, code and quoted packet."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Generic, Literal, TypeVar

from guestnet.core.errors import DescriptionError
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question, equal
from guestnet.scenario.matchers.endpoint import EndpointLike, ends
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6

C = TypeVar("C", bound=IntEnum)


class Control(Generic[C]):
    """One of the two protocols: its ``layer``, its ``name``, the types and the codes of unreachable."""

    def __init__(self, layer: Literal["icmp", "icmpv6"], name: str, types: type[IntEnum], codes: type[C]):
        self._layer = layer
        self._name = name
        self._types = types
        self._codes = codes

    def message(self, title: str, kind: IntEnum, questions: list[Question]) -> Matcher[Packet]:
        """A message of type ``kind``: "an ICMP ``title``"."""
        return packets(f"an {self._name} {title}", self._layer, [self._type(kind), *questions])

    def echo(
        self, title: str, kind: IntEnum, to: EndpointLike | None, source: EndpointLike | None,
        identifier: int | None, sequence: int | None,
    ) -> Matcher[Packet]:  # fmt: skip
        """A ping or its answer."""
        wanted = ("identifier", identifier), ("sequence", sequence)
        numbers = [self.number(name, value) for name, value in wanted if value is not None]
        return self.message(title, kind, [*ends(to, source), *numbers])

    def unreachable(self, kind: IntEnum, code: int | str | None, others: list[Question]) -> Matcher[Packet]:
        """Destination unreachable, with ``code`` by number or name. Raises DescriptionError."""
        if code is None:
            return self.message("unreachable", kind, others)
        wanted = self._code(code)
        return self.message(f"{_words(wanted)} unreachable", kind, [self._code_is(kind, wanted), *others])

    def number(self, name: str, wanted: int, *, words: str | None = None) -> Question:
        """Whether the field ``name`` is ``wanted``."""
        return equal(name, int(wanted), lambda packet: getattr(self._of(packet), name, None), words=words)

    def _of(self, packet: Packet) -> Icmp | Icmpv6 | None:
        return packet.icmp if self._layer == "icmp" else packet.icmpv6

    def _type(self, wanted: IntEnum) -> Question:
        def show(value: int) -> str:
            return _words(self._types(value)) if value in set(self._types) else str(value)

        def answer(packet: Packet) -> str | None:
            message = self._of(packet)
            if message is None:
                return ""
            return None if message.type == wanted else f"type is {show(message.type)}, not {show(wanted)}"

        return Question("", answer)

    def _code(self, code: int | str) -> C:
        names = {one.name.lower(): one for one in self._codes}
        name = code.lower().replace(" ", "_") if isinstance(code, str) else ""
        if name in names:
            return names[name]
        if isinstance(code, int) and code in set(self._codes):
            return self._codes(code)
        raise DescriptionError(
            f"there is no {self._name} unreachable code {code!r}", remedy="give one of " + ", ".join(names)
        )

    def _code_is(self, kind: IntEnum, wanted: C) -> Question:
        def answer(packet: Packet) -> str | None:
            message = self._of(packet)
            if message is None or message.type != kind:
                return ""
            actual = message.code
            shown = self._codes(actual).name.lower() if actual in set(self._codes) else str(actual)
            return None if actual == wanted else f"code is {shown}, not {wanted.name.lower()}"

        return Question("", answer)


def about(place: EndpointLike | None) -> list[Question]:
    """The questions of ``ends`` to the packet that an error quotes."""
    questions = [Question(question.words, _quoted(question.answer)) for question in ends(place, None)]
    return [Question("about a packet", lambda packet: None), *questions] if questions else []


def _quoted(answer: Callable[[Any], str | None]) -> Callable[[Packet], str | None]:
    def of_quoted(packet: Packet) -> str | None:
        quoted = packet.layers.quoted
        if quoted is None:
            return ""
        why = answer(quoted)
        return f"the quoted packet's {why}" if why else why

    return of_quoted


def _words(value: IntEnum) -> str:
    return value.name.lower().replace("_", " ")
