"""What a guest is told when the host's side failed: what the host was told, so that errors mean the same."""

import errno
from typing import Final

from harness.gateway.events import IcmpCause
from harness.gateway.interface import Interface
from harness.wire import icmp
from harness.wire.icmp import Unreachable
from harness.wire.ipv4 import Ipv4

UNREACHABLE: Final = {
    errno.ECONNREFUSED: Unreachable.PORT,
    errno.EHOSTUNREACH: Unreachable.HOST,
    errno.EHOSTDOWN: Unreachable.HOST,
    errno.ENETUNREACH: Unreachable.NET,
    errno.ENETDOWN: Unreachable.NET,
    errno.EACCES: Unreachable.COMMUNICATION_PROHIBITED,
    errno.EPERM: Unreachable.COMMUNICATION_PROHIBITED,
}
"""By the host's errno, the code with which a guest's kernel comes to the same errno or the nearest."""

_PLAIN: Final = frozenset({Unreachable.NET, Unreachable.HOST, Unreachable.PROTOCOL, Unreachable.PORT})


def answer_error(interface: Interface, about: Ipv4, number: int, cause: IcmpCause | None) -> str:
    """Tell the sender of ``about`` what went wrong with it; the answer's name, or "none".

    What the network said is passed on from whom it came, so that traceroute shows the way; what the
    host's own kernel said (``number``) comes from the gateway.
    """
    if cause is not None and cause.type in icmp.ERRORS:
        source = interface.addressing.to_guest(cause.offender)
        mtu = cause.mtu if cause.code == Unreachable.FRAGMENTATION_NEEDED else 0
        interface.send_error(cause.type, cause.code, about, source=source, mtu=mtu)
        return show_error(cause.type, cause.code)
    code = UNREACHABLE.get(number)
    if code is None:
        return "none"
    interface.send_error(icmp.Type.DESTINATION_UNREACHABLE, code, about)
    return show_error(icmp.Type.DESTINATION_UNREACHABLE, code)


def show_error(kind: int, code: int) -> str:
    """``host-unreachable``, ``communication-prohibited``, ``time-exceeded``: for the journal."""
    if kind == icmp.Type.DESTINATION_UNREACHABLE and code in set(Unreachable):
        name = Unreachable(code).name.lower().replace("_", "-")
        return f"{name}-unreachable" if code in _PLAIN else name
    return icmp.Type(kind).name.lower().replace("_", "-") if kind in set(icmp.Type) else f"icmp {kind}/{code}"


def show_errno(number: int) -> str:
    """``ECONNREFUSED``."""
    return errno.errorcode.get(number, str(number))
