"""DHCP messages on a link (RFC 2131, RFC 2132)."""

from collections.abc import Mapping, Sequence
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question, equal
from guestnet.scenario.matchers.endpoint import EndpointLike, address_octets, ends, show_address
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.dhcp import MessageType, Options

_OPTIONS: Final = tuple(name for name in Options.__struct_fields__ if name not in ("message_type", "other"))


def discover(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client looks for servers."""
    return _message(MessageType.DISCOVER, mac, None, options)


def offer(*, mac: Mac | str | None = None, address: str | None = None, **options: object) -> Matcher[Packet]:
    """A server offers ``address`` (yiaddr)."""
    return _message(MessageType.OFFER, mac, address, options)


def request(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client asks for a lease; the address asked for is the option ``requested_address``."""
    return _message(MessageType.REQUEST, mac, None, options)


def ack(*, mac: Mac | str | None = None, address: str | None = None, **options: object) -> Matcher[Packet]:
    """A server leases ``address`` (yiaddr)."""
    return _message(MessageType.ACK, mac, address, options)


def nak(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A server refuses."""
    return _message(MessageType.NAK, mac, None, options)


def decline(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client says that the address is already used by somebody."""
    return _message(MessageType.DECLINE, mac, None, options)


def release(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client gives its address back."""
    return _message(MessageType.RELEASE, mac, None, options)


def message(
    kind: MessageType | None = None, *, mac: Mac | str | None = None, address: str | None = None,
    to: EndpointLike | None = None, source: EndpointLike | None = None, **options: object,
) -> Matcher[Packet]:  # fmt: skip
    """Any message; ``options`` go by the names of `guestnet.wire.dhcp.Options`, addresses as text.

    ``dhcp.ack(interface_mtu=1500, routers=["192.168.65.1"])``. Raises DescriptionError for an option
    that has no such name.
    """
    return _message(kind, mac, address, options, ends(to, source))


def _message(
    kind: MessageType | None, mac: Mac | str | None, address: str | None,
    options: Mapping[str, object], others: Sequence[Question] = (),
) -> Matcher[Packet]:  # fmt: skip
    title = "a DHCP message" if kind is None else f"a DHCP {kind.name}"
    questions: list[Question] = [] if kind is None else [_kind(kind)]
    if mac is not None:
        wanted = Mac.parse(mac) if isinstance(mac, str) else mac
        questions.append(
            equal("client", wanted, lambda packet: packet.dhcp and packet.dhcp.chaddr, words=f"of {wanted}")
        )
    if address is not None:
        octets = address_octets(address)
        questions.append(Question(f"for {address}", lambda packet: _yiaddr(packet, octets, address)))
    questions += others
    questions += [_option(name, value) for name, value in options.items()]
    return packets(title, "dhcp", questions)


def _kind(wanted: MessageType) -> Question:
    def answer(packet: Packet) -> str | None:
        if packet.dhcp is None:
            return ""
        actual = packet.dhcp.type
        if actual == wanted:
            return None
        return f"it is {'BOOTP' if actual is None else actual.name}, not {wanted.name}"

    return Question("", answer)


def _yiaddr(packet: Packet, octets: bytes, address: str) -> str | None:
    if packet.dhcp is None:
        return ""
    actual = packet.dhcp.yiaddr
    return None if actual == octets else f"yiaddr is {show_address(actual)}, not {address}"


def _option(name: str, wanted: object) -> Question:
    if name not in _OPTIONS:
        raise DescriptionError(
            f"there is no DHCP option {name!r}", remedy="give one of " + ", ".join(_OPTIONS)
        )
    shown = _show(wanted)

    def answer(packet: Packet) -> str | None:
        if packet.dhcp is None:
            return ""
        actual = getattr(packet.dhcp.options, name)
        if actual is None:
            return f"{name} is missing, not {shown}"
        return None if _show(actual) == shown else f"{name} is {_show(actual)}, not {shown}"

    return Question(f"with {name} {shown}", answer)


def _show(value: object) -> str:
    """An option's value as people write it: addresses as text, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value)) or "nothing"
    return show_address(value) if isinstance(value, bytes) and len(value) == 4 else str(value)
