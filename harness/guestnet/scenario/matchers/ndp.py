"""Neighbour discovery on a link (RFC 4861): routers, neighbours, duplicate addresses."""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_network
from typing import TypeVar

from guestnet.core.address import Mac
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question
from guestnet.scenario.matchers.endpoint import EndpointLike, address_octets, ends, show_address
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.ndp import (
    Ndp,
    NeighbourAdvertisement,
    NeighbourSolicitation,
    Redirect,
    RouterAdvertisement,
    RouterSolicitation,
)

M = TypeVar("M", bound=Ndp)

_TITLES: dict[type[Ndp], str] = {
    RouterSolicitation: "a router solicitation",
    RouterAdvertisement: "a router advertisement",
    NeighbourSolicitation: "a neighbour solicitation",
    NeighbourAdvertisement: "a neighbour advertisement",
    Redirect: "a redirect",
}


def router_solicitation(*, source: EndpointLike | None = None) -> Matcher[Packet]:
    """A host looks for routers."""
    return _message(RouterSolicitation, ends(None, source))


def router_advertisement(
    *, source: EndpointLike | None = None, to: EndpointLike | None = None, prefix: str | None = None,
    dns: Sequence[str] | None = None, mtu: int | None = None, lifetime: int | None = None,
    managed: bool | None = None, other_config: bool | None = None, captive_portal: str | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """A router tells of itself and its link; ``dns`` are all of its RDNSS addresses, in order.

    ``captive_portal`` is the URI that RFC 8910 section 2.3 has, "" for none.
    """
    questions = ends(to, source)
    if prefix is not None:
        questions.append(_prefix(prefix))
    if dns is not None:
        questions.append(_has(RouterAdvertisement, "dns servers", ", ".join(dns) or "none", _dns))
    for name, wanted, get in (
        ("mtu", mtu, lambda message: message.options.mtu),
        ("lifetime", lifetime, lambda message: message.router_lifetime),
        ("managed", managed, lambda message: message.managed),
        ("other_config", other_config, lambda message: message.other_config),
        ("captive_portal", captive_portal, lambda message: message.options.captive_portal or ""),
    ):
        if wanted is not None:
            questions.append(_has(RouterAdvertisement, name, str(wanted), get))
    return _message(RouterAdvertisement, questions)


def neighbour_solicitation(
    target: str | None = None, *, source: EndpointLike | None = None, to: EndpointLike | None = None
) -> Matcher[Packet]:
    """Who has the address ``target``?"""
    return _message(NeighbourSolicitation, _target(NeighbourSolicitation, target) + ends(to, source))


def probe(target: str | None = None) -> Matcher[Packet]:
    """A solicitation from nobody: is ``target`` free? (Duplicate address detection, RFC 4862 5.4)"""
    questions = _target(NeighbourSolicitation, target) + ends(None, "::")
    return packets("a duplicate address probe", "ndp", [_kind(NeighbourSolicitation), *questions])


def neighbour_advertisement(
    target: str | None = None, *, mac: Mac | str | None = None, source: EndpointLike | None = None,
    to: EndpointLike | None = None, router: bool | None = None, solicited: bool | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """``target`` is at ``mac``."""
    questions = _target(NeighbourAdvertisement, target) + ends(to, source)
    for name, wanted, get in (
        ("mac", Mac.parse(mac) if isinstance(mac, str) else mac, lambda message: message.options.target_mac),
        ("router", router, lambda message: message.router),
        ("solicited", solicited, lambda message: message.solicited),
    ):
        if wanted is not None:
            questions.append(_has(NeighbourAdvertisement, name, str(wanted), get))
    return _message(NeighbourAdvertisement, questions)


def redirect(*, source: EndpointLike | None = None) -> Matcher[Packet]:
    """A router knows a better way."""
    return _message(Redirect, ends(None, source))


def _message(kind: type[Ndp], questions: list[Question]) -> Matcher[Packet]:
    return packets(_TITLES[kind], "ndp", [_kind(kind), *questions])


def _kind(kind: type[Ndp]) -> Question:
    def answer(packet: Packet) -> str | None:
        if packet.ndp is None:
            return ""
        return None if isinstance(packet.ndp, kind) else f"it is {_TITLES[type(packet.ndp)]}"

    return Question("", answer)


def _has(kind: type[M], name: str, wanted: str, get: Callable[[M], object]) -> Question:
    """Compared as text: that is how addresses, numbers and flags are told apart by people."""

    def answer(packet: Packet) -> str | None:
        if not isinstance(packet.ndp, kind):
            return ""
        actual = get(packet.ndp)
        if actual is None:
            return f"{name} is missing, not {wanted}"
        return None if str(actual) == wanted else f"{name} is {actual}, not {wanted}"

    return Question(f"with {name} {wanted}", answer)


def _target(kind: type[NeighbourSolicitation | NeighbourAdvertisement], target: str | None) -> list[Question]:
    if target is None:
        return []
    octets = address_octets(target)

    def answer(packet: Packet) -> str | None:
        message = packet.ndp
        if not isinstance(message, NeighbourSolicitation | NeighbourAdvertisement):
            return ""
        actual = message.target
        return None if actual == octets else f"target is {show_address(actual)}, not {target}"

    return [Question(f"for {target}", answer)]


def _dns(message: RouterAdvertisement) -> str:
    servers = [server for each in message.options.dns_servers for server in each.servers]
    return ", ".join(map(show_address, servers)) or "none"


def _prefix(wanted: str) -> Question:
    network = ip_network(wanted)

    def answer(packet: Packet) -> str | None:
        if not isinstance(packet.ndp, RouterAdvertisement):
            return ""
        shown = [f"{IPv6Address(one.prefix)}/{one.length}" for one in packet.ndp.options.prefixes]
        if str(network) in shown:
            return None
        return f"prefixes are {', '.join(shown) or 'none'}, not {network}"

    return Question(f"with prefix {network}", answer)
