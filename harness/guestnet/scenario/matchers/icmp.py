"""ICMP messages on a link (RFC 792): those of IPv4; `icmpv6` has those of IPv6."""

from typing import Final

from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher
from guestnet.scenario.matchers.control import Control
from guestnet.scenario.matchers.control import about as _about
from guestnet.scenario.matchers.endpoint import EndpointLike, ends
from guestnet.wire.icmp import TimeExceeded, Type, Unreachable

_ICMP: Final = Control("icmp", "ICMP", Type, Unreachable)


def echo_request(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A ping."""
    return _ICMP.echo("echo request", Type.ECHO_REQUEST, to, source, identifier, sequence)


def echo_reply(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The answer to a ping."""
    return _ICMP.echo("echo reply", Type.ECHO_REPLY, to, source, identifier, sequence)


def unreachable(
    code: int | str | None = None, *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    about: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """Destination unreachable; ``code``: a number or a name of `guestnet.wire.icmp.Unreachable` ("host").

    ``about`` is where the packet that it quotes wanted to go. Raises DescriptionError for an unknown code.
    """
    return _ICMP.unreachable(Type.DESTINATION_UNREACHABLE, code, ends(to, source) + _about(about))


def time_exceeded(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None, about: EndpointLike | None = None
) -> Matcher[Packet]:
    """A packet, the one that it quotes, ran out of hops."""
    questions = [_ICMP.number("code", TimeExceeded.TTL, words=""), *ends(to, source), *_about(about)]
    return _ICMP.message("time exceeded", Type.TIME_EXCEEDED, questions)
