"""ICMPv6 messages on a link (RFC 4443); `ndp` has those of neighbour discovery."""

from typing import Final

from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher
from guestnet.scenario.matchers.control import Control
from guestnet.scenario.matchers.control import about as _about
from guestnet.scenario.matchers.endpoint import EndpointLike, ends
from guestnet.wire.icmpv6 import TimeExceeded, Type, Unreachable

_ICMPV6: Final = Control("icmpv6", "ICMPv6", Type, Unreachable)


def echo_request(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A ping."""
    return _ICMPV6.echo("echo request", Type.ECHO_REQUEST, to, source, identifier, sequence)


def echo_reply(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    identifier: int | None = None, sequence: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The answer to a ping."""
    return _ICMPV6.echo("echo reply", Type.ECHO_REPLY, to, source, identifier, sequence)


def unreachable(
    code: int | str | None = None, *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    about: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """Destination unreachable; ``code``: a number or a name of `guestnet.wire.icmpv6.Unreachable` ("port").

    ``about`` is where the packet that it quotes wanted to go. Raises DescriptionError for an unknown code.
    """
    return _ICMPV6.unreachable(Type.DESTINATION_UNREACHABLE, code, ends(to, source) + _about(about))


def packet_too_big(
    *, mtu: int | None = None, to: EndpointLike | None = None, source: EndpointLike | None = None,
    about: EndpointLike | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The packet that it quotes does not fit into the next link, whose MTU is ``mtu``."""
    questions = [] if mtu is None else [_ICMPV6.number("mtu", mtu)]
    return _ICMPV6.message(
        "packet too big", Type.PACKET_TOO_BIG, questions + ends(to, source) + _about(about)
    )


def time_exceeded(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None, about: EndpointLike | None = None
) -> Matcher[Packet]:
    """A packet, the one that it quotes, ran out of hops."""
    questions = [_ICMPV6.number("code", TimeExceeded.HOP_LIMIT, words=""), *ends(to, source), *_about(about)]
    return _ICMPV6.message("time exceeded", Type.TIME_EXCEEDED, questions)
