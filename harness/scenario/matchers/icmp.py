"""ICMP messages on a link (RFC 792)."""

from collections.abc import Callable
from typing import Any, Final

from harness.core.errors import DescriptionError
from harness.journal.query import Packet
from harness.scenario.matchers.base import Matcher, Question, equal
from harness.scenario.matchers.endpoint import EndpointLike, ends
from harness.scenario.matchers.layer import packets
from harness.wire.icmp import TimeExceeded, Type, Unreachable

_NAMES: Final = {code.name.lower(): code for code in Unreachable}


def echo_request(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A ping."""
    return _echo("an ICMP echo request", Type.ECHO_REQUEST, to, source, identifier, sequence)


def echo_reply(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The answer to a ping."""
    return _echo("an ICMP echo reply", Type.ECHO_REPLY, to, source, identifier, sequence)


def unreachable(
    code: int | str | None = None, *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    about: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """Destination unreachable; ``code``: a number or a name of `harness.wire.icmp.Unreachable` ("host").

    ``about`` is where the packet that it quotes wanted to go. Raises DescriptionError for an unknown code.
    """
    questions = [_type(Type.DESTINATION_UNREACHABLE)]
    title = "an ICMP unreachable"
    if code is not None:
        wanted = _code(code)
        title = f"an ICMP {wanted.name.lower().replace('_', ' ')} unreachable"
        questions.append(_code_question(wanted))
    return packets(title, "icmp", questions + ends(to, source) + _about(about))


def time_exceeded(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None, about: EndpointLike | None = None
) -> Matcher[Packet]:
    """A packet, the one that it quotes, ran out of hops."""
    questions = [_type(Type.TIME_EXCEEDED), _number("code", TimeExceeded.TTL, words="")]
    return packets("an ICMP time exceeded", "icmp", questions + ends(to, source) + _about(about))


def _echo(
    title: str, kind: Type, to: EndpointLike | None, source: EndpointLike | None,
    identifier: int | None, sequence: int | None,
) -> Matcher[Packet]:  # fmt: skip
    questions = [_type(kind), *ends(to, source)]
    for name, wanted in (("identifier", identifier), ("sequence", sequence)):
        if wanted is not None:
            questions.append(_number(name, wanted))
    return packets(title, "icmp", questions)


def _field(packet: Packet, name: str) -> object:
    return None if packet.icmp is None else getattr(packet.icmp, name)


def _type(wanted: Type) -> Question:
    def answer(packet: Packet) -> str | None:
        if packet.icmp is None:
            return ""
        actual = packet.icmp.type
        return None if actual == wanted else f"type is {_type_name(actual)}, not {_type_name(wanted)}"

    return Question("", answer)


def _type_name(value: int) -> str:
    return Type(value).name.lower().replace("_", " ") if value in set(Type) else str(value)


def _code(code: int | str) -> Unreachable:
    name = code.lower().replace(" ", "_") if isinstance(code, str) else ""
    if name in _NAMES:
        return _NAMES[name]
    if isinstance(code, int) and code in set(Unreachable):
        return Unreachable(code)
    raise DescriptionError(
        f"there is no ICMP unreachable code {code!r}", remedy="give one of " + ", ".join(_NAMES)
    )


def _code_question(wanted: Unreachable) -> Question:
    def answer(packet: Packet) -> str | None:
        if packet.icmp is None or packet.icmp.type != Type.DESTINATION_UNREACHABLE:
            return ""
        actual = packet.icmp.code
        shown = Unreachable(actual).name.lower() if actual in set(Unreachable) else str(actual)
        return None if actual == wanted else f"code is {shown}, not {wanted.name.lower()}"

    return Question("", answer)


def _number(name: str, wanted: int, *, words: str | None = None) -> Question:
    return equal(name, int(wanted), lambda packet: _field(packet, name), words=words)


def _about(about: EndpointLike | None) -> list[Question]:
    """The questions of ``ends`` to the quoted packet."""
    questions = [Question(question.words, _quoted(question.answer)) for question in ends(about, None)]
    return [Question("about a packet", lambda packet: None), *questions] if questions else []


def _quoted(answer: Callable[[Any], str | None]) -> Callable[[Packet], str | None]:
    def of_quoted(packet: Packet) -> str | None:
        quoted = packet.layers.quoted
        if quoted is None:
            return ""
        why = answer(quoted)
        return f"the quoted packet's {why}" if why else why

    return of_quoted
