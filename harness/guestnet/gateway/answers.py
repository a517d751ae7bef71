"""What a guest is told when the host's side failed: what the host was told, so that errors mean the same."""

import errno
from typing import Final

from guestnet.gateway.events import IcmpCause
from guestnet.gateway.interface import Interface
from guestnet.wire import icmp, icmpv6
from guestnet.wire.icmp import Unreachable
from guestnet.wire.octets import Octets

_Error = tuple[int, int]
"""Type and code of an ICMP message."""

_DESTINATION: Final = icmp.Type.DESTINATION_UNREACHABLE
_DESTINATION_6: Final = icmpv6.Type.DESTINATION_UNREACHABLE
_TOO_BIG: Final = {
    4: (_DESTINATION, Unreachable.FRAGMENTATION_NEEDED),
    6: (icmpv6.Type.PACKET_TOO_BIG, 0),
}
NOBODY_THERE: Final[dict[int, _Error]] = {
    4: (_DESTINATION, Unreachable.PORT),
    6: (_DESTINATION_6, icmpv6.Unreachable.PORT),
}
"""No service listens at that port of the gateway."""
OUT_OF_HOPS: Final[dict[int, _Error]] = {
    4: (icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL),
    6: (icmpv6.Type.TIME_EXCEEDED, icmpv6.TimeExceeded.HOP_LIMIT),
}
BY_ERRNO: Final[dict[int, dict[int, _Error]]] = {
    4: {
        errno.ECONNREFUSED: (_DESTINATION, Unreachable.PORT),
        errno.EHOSTUNREACH: (_DESTINATION, Unreachable.HOST),
        errno.EHOSTDOWN: (_DESTINATION, Unreachable.HOST),
        errno.ENETUNREACH: (_DESTINATION, Unreachable.NET),
        errno.ENETDOWN: (_DESTINATION, Unreachable.NET),
        errno.EACCES: (_DESTINATION, Unreachable.COMMUNICATION_PROHIBITED),
        errno.EPERM: (_DESTINATION, Unreachable.COMMUNICATION_PROHIBITED),
        errno.EMSGSIZE: _TOO_BIG[4],
    },
    6: {
        errno.ECONNREFUSED: (_DESTINATION_6, icmpv6.Unreachable.PORT),
        errno.EHOSTUNREACH: (_DESTINATION_6, icmpv6.Unreachable.ADDRESS),
        errno.EHOSTDOWN: (_DESTINATION_6, icmpv6.Unreachable.ADDRESS),
        errno.ENETUNREACH: (_DESTINATION_6, icmpv6.Unreachable.NO_ROUTE),
        errno.ENETDOWN: (_DESTINATION_6, icmpv6.Unreachable.NO_ROUTE),
        # The laptop has no IPv6 at all, or no address of its own to speak from.
        errno.EAFNOSUPPORT: (_DESTINATION_6, icmpv6.Unreachable.NO_ROUTE),
        errno.EADDRNOTAVAIL: (_DESTINATION_6, icmpv6.Unreachable.NO_ROUTE),
        errno.EACCES: (_DESTINATION_6, icmpv6.Unreachable.PROHIBITED),
        errno.EPERM: (_DESTINATION_6, icmpv6.Unreachable.PROHIBITED),
        errno.EMSGSIZE: _TOO_BIG[6],
    },
}
"""By version and the host's errno, what brings a guest's kernel to the same errno or the nearest."""

LIMITED: Final = "limited"
"""There would have been an answer, but too many of its kind were given just now."""
_PASSED_ON: Final[dict[int, frozenset[int]]] = {
    4: frozenset({_DESTINATION, icmp.Type.TIME_EXCEEDED, icmp.Type.PARAMETER_PROBLEM}),
    6: frozenset(
        {
            _DESTINATION_6,
            icmpv6.Type.PACKET_TOO_BIG,
            icmpv6.Type.TIME_EXCEEDED,
            icmpv6.Type.PARAMETER_PROBLEM,
        }
    ),
}
"""Not redirects and source quench: they are the business of whom they were sent to (RFC 6633)."""
_PLAIN: Final = frozenset({Unreachable.NET, Unreachable.HOST, Unreachable.PROTOCOL, Unreachable.PORT})


def answer_error(
    interface: Interface, about: Octets, number: int, cause: IcmpCause | None, *, mtu: int = 0,
    is_owed: bool = False,
) -> str:  # fmt: skip
    """Tell the sender of ``about`` what went wrong with it; the answer's name, "none" or ``LIMITED``.

    What the network said is passed on from whom it came, so that traceroute shows the way; what the
    host's own kernel said (``number``; ``mtu`` with EMSGSIZE) comes from the gateway. ``is_owed`` as of
    ``Interface.send_error``.
    """
    version = about[0] >> 4
    source = None
    if cause is not None and cause.type in _PASSED_ON[version]:
        kind, code, rest = cause.type, cause.code, cause.mtu
        offender = interface.addressing.to_guest(cause.offender)
        # A router may have spoken as its link-local address, which means nobody to the guest.
        source = offender if interface.addressing.is_outside(offender) else None
    elif number in BY_ERRNO[version]:
        kind, code = BY_ERRNO[version][number]
        rest = mtu
    else:
        return "none"
    if (kind, code) != _TOO_BIG[version]:
        rest = 0
    if not interface.send_error(
        kind, code, about, version=version, source=source, rest=rest, is_owed=is_owed
    ):
        return LIMITED
    return show_error(kind, code, version)


def show_error(kind: int, code: int, version: int) -> str:
    """``host-unreachable``, ``communication-prohibited``, ``time-exceeded``: for the journal."""
    if version == 6:
        if kind == _DESTINATION_6 and code in set(icmpv6.Unreachable):
            return f"{icmpv6.Unreachable(code).name.lower().replace('_', '-')}-unreachable"
        known = kind in set(icmpv6.Type)
        return icmpv6.Type(kind).name.lower().replace("_", "-") if known else f"icmpv6 {kind}/{code}"
    if kind == _DESTINATION and code in set(Unreachable):
        name = Unreachable(code).name.lower().replace("_", "-")
        return f"{name}-unreachable" if code in _PLAIN else name
    return icmp.Type(kind).name.lower().replace("_", "-") if kind in set(icmp.Type) else f"icmp {kind}/{code}"


def show_errno(number: int) -> str:
    """``ECONNREFUSED``."""
    return errno.errorcode.get(number, str(number))
