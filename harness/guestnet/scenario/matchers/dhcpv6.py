"""DHCPv6 messages on a link (RFC 8415, RFC 3646)."""

from collections.abc import Mapping, Sequence
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question
from guestnet.scenario.matchers.endpoint import EndpointLike, address_octets, ends, show_address
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.dhcpv6 import Dhcpv6, MessageType, Options, duid_mac

_OPTIONS: Final = tuple(name for name in Options.__struct_fields__ if name not in ("ia_na", "other"))


def solicit(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client looks for servers."""
    return _message(MessageType.SOLICIT, mac, None, options)


def advertise(
    *, mac: Mac | str | None = None, address: str | None = None, **options: object
) -> Matcher[Packet]:
    """A server offers ``address``."""
    return _message(MessageType.ADVERTISE, mac, address, options)


def request(
    *, mac: Mac | str | None = None, address: str | None = None, **options: object
) -> Matcher[Packet]:
    """A client asks for ``address``."""
    return _message(MessageType.REQUEST, mac, address, options)


def information_request(*, mac: Mac | str | None = None, **options: object) -> Matcher[Packet]:
    """A client that has an address asks for the rest (stateless DHCPv6)."""
    return _message(MessageType.INFORMATION_REQUEST, mac, None, options)


def reply(*, mac: Mac | str | None = None, address: str | None = None, **options: object) -> Matcher[Packet]:
    """A server answers, and with ``address`` leases it."""
    return _message(MessageType.REPLY, mac, address, options)


def message(
    kind: MessageType | None = None, *, mac: Mac | str | None = None, address: str | None = None,
    to: EndpointLike | None = None, source: EndpointLike | None = None, **options: object,
) -> Matcher[Packet]:  # fmt: skip
    """Any message; ``options`` go by the names of `guestnet.wire.dhcpv6.Options`, addresses as text.

    ``mac`` is the client's, when its DUID has one. ``dhcpv6.reply(dns_servers=["fd65:6775:6573:7400::1"])``.
    Raises DescriptionError for an option that has no such name.
    """
    return _message(kind, mac, address, options, ends(to, source))


def _message(
    kind: MessageType | None, mac: Mac | str | None, address: str | None,
    options: Mapping[str, object], others: Sequence[Question] = (),
) -> Matcher[Packet]:  # fmt: skip
    title = "a DHCPv6 message" if kind is None else f"a DHCPv6 {kind.name}"
    questions: list[Question] = [] if kind is None else [Question("", lambda packet: _kind(packet, kind))]
    if mac is not None:
        wanted = Mac.parse(mac) if isinstance(mac, str) else mac
        questions.append(Question(f"of {wanted}", lambda packet: _client(packet, wanted)))
    if address is not None:
        octets = address_octets(address)
        questions.append(Question(f"for {address}", lambda packet: _address(packet, octets, address)))
    return packets(title, "dhcpv6", [*questions, *others, *_all(options)])


def _kind(packet: Packet, wanted: MessageType) -> str | None:
    if packet.dhcpv6 is None:
        return ""
    actual = packet.dhcpv6.type
    return None if actual == wanted else f"it is {actual.name}, not {wanted.name}"


def _client(packet: Packet, wanted: Mac) -> str | None:
    if packet.dhcpv6 is None or packet.dhcpv6.options.client_id is None:
        return ""
    client = packet.dhcpv6.options.client_id
    actual = duid_mac(client)
    return None if actual == wanted else f"client is {actual or client.hex()}, not {wanted}"


def _address(packet: Packet, wanted: bytes, text: str) -> str | None:
    if packet.dhcpv6 is None:
        return ""
    actual = [one.address for each in packet.dhcpv6.options.ia_na for one in each.addresses]
    if wanted in actual:
        return None
    return f"addresses are {', '.join(map(show_address, actual)) or 'none'}, not {text}"


def _all(options: Mapping[str, object]) -> list[Question]:
    for name in options:
        if name not in _OPTIONS:
            raise DescriptionError(
                f"there is no DHCPv6 option {name!r}", remedy="give one of " + ", ".join(_OPTIONS)
            )
    return [_option(name, wanted) for name, wanted in options.items()]


def _option(name: str, wanted: object) -> Question:
    shown = _show(wanted)

    def answer(packet: Packet) -> str | None:
        message: Dhcpv6 | None = packet.dhcpv6
        if message is None:
            return ""
        actual = getattr(message.options, name)
        if actual is None or actual == ():
            return f"{name} is missing, not {shown}"
        return None if _show(actual) == shown else f"{name} is {_show(actual)}, not {shown}"

    return Question(f"with {name} {shown}", answer)


def _show(value: object) -> str:
    """An option's value as people write it: addresses as text, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value)) or "nothing"
    return show_address(value) if isinstance(value, bytes) and len(value) == 16 else str(value)
