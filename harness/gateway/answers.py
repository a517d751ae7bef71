"""What a guest is told when the host's side failed: what the host was told, so that errors mean the same."""

import errno
from typing import Final

from harness.gateway.events import IcmpCause
from harness.gateway.interface import Interface
from harness.wire import icmp
from harness.wire.icmp import Unreachable
from harness.wire.octets import Octets

UNREACHABLE: Final = {
    errno.ECONNREFUSED: Unreachable.PORT,
    errno.EHOSTUNREACH: Unreachable.HOST,
    errno.EHOSTDOWN: Unreachable.HOST,
    errno.ENETUNREACH: Unreachable.NET,
    errno.ENETDOWN: Unreachable.NET,
    errno.EACCES: Unreachable.COMMUNICATION_PROHIBITED,
    errno.EPERM: Unreachable.COMMUNICATION_PROHIBITED,
    errno.EMSGSIZE: Unreachable.FRAGMENTATION_NEEDED,
}
"""By the host's errno, the code with which a guest's kernel comes to the same errno or the nearest."""

LIMITED: Final = "limited"
"""There would have been an answer, but too many of its kind were given just now."""
_PASSED_ON: Final = frozenset(
    {icmp.Type.DESTINATION_UNREACHABLE, icmp.Type.TIME_EXCEEDED, icmp.Type.PARAMETER_PROBLEM}
)
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
    if cause is not None and cause.type in _PASSED_ON:
        kind, code, mtu = cause.type, cause.code, cause.mtu
        source = interface.addressing.to_guest(cause.offender)
    elif number in UNREACHABLE:
        kind, code, source = icmp.Type.DESTINATION_UNREACHABLE, UNREACHABLE[number], None
    else:
        return "none"
    if kind != icmp.Type.DESTINATION_UNREACHABLE or code != Unreachable.FRAGMENTATION_NEEDED:
        mtu = 0
    if not interface.send_error(kind, code, about, source=source, mtu=mtu, is_owed=is_owed):
        return LIMITED
    return show_error(kind, code)


def show_error(kind: int, code: int) -> str:
    """``host-unreachable``, ``communication-prohibited``, ``time-exceeded``: for the journal."""
    if kind == icmp.Type.DESTINATION_UNREACHABLE and code in set(Unreachable):
        name = Unreachable(code).name.lower().replace("_", "-")
        return f"{name}-unreachable" if code in _PLAIN else name
    return icmp.Type(kind).name.lower().replace("_", "-") if kind in set(icmp.Type) else f"icmp {kind}/{code}"


def show_errno(number: int) -> str:
    """``ECONNREFUSED``."""
    return errno.errorcode.get(number, str(number))
