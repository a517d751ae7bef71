"""Ends of a flow, as scenario authors write them, and what a packet says about its own."""

import ipaddress
from collections.abc import Callable
from typing import Literal, NamedTuple

from guestnet.core.endpoint import show_endpoint
from guestnet.core.errors import DescriptionError
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Question

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Endpoint(NamedTuple):
    """An address and a port; ``str()`` of it is "203.0.113.10:80"."""

    address: str
    port: int

    def __str__(self) -> str:
        return show_endpoint(self.address, self.port)


EndpointLike = str | int | _Address | tuple[str | _Address | None, int | None]
"""An address, a port, "address:port", or a pair of which either may be None."""


def port(value: object, *, least: int = 1) -> int:
    """``value`` if it is a port, ``least`` to 65535. Raises DescriptionError: 80800 would ask another one."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 65535:
        raise DescriptionError(f"{value!r} is no port", remedy=f"give a number from {least} to 65535")
    return value


class _Wanted(NamedTuple):
    address: _Address | None
    port: int | None


def parse(value: EndpointLike) -> _Wanted:
    """What ``value`` says. Raises DescriptionError when it is no address, port or pair."""
    if isinstance(value, int):
        return _Wanted(None, port(value, least=0))
    if isinstance(value, tuple):
        address, number = value
        return _Wanted(
            None if address is None else _address(address), None if number is None else port(number, least=0)
        )
    if isinstance(value, str):
        host, colon, port_text = value.rpartition(":")
        if colon and port_text.isdigit() and (":" not in host or host.startswith("[")):
            return _Wanted(_address(host.strip("[]")), port(int(port_text), least=0))
    return _Wanted(_address(value), None)


def _address(value: str | _Address) -> _Address:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        raise DescriptionError(
            f"{value!r} is no IP address", remedy='matchers take "203.0.113.10", 80 or ("203.0.113.10", 80)'
        ) from None


def address_octets(value: str | _Address) -> bytes:
    """An address as packets hold it. Raises DescriptionError."""
    return _address(value).packed


def show_address(octets: bytes) -> str:
    """The inverse of ``address_octets``."""
    return str(ipaddress.ip_address(octets))


def ends(to: EndpointLike | None, source: EndpointLike | None) -> list[Question]:
    """Questions about the ends of a packet's flow."""
    questions: list[Question] = []
    if to is not None:
        questions += _end("to", "destination", parse(to))
    if source is not None:
        questions += _end("from", "source", parse(source))
    return questions


def _end(word: str, side: Literal["source", "destination"], wanted: _Wanted) -> list[Question]:
    questions: list[Question] = []
    if wanted.address is not None:
        questions.append(Question(f"{word} {wanted.address}", _address_answer(side, wanted.address)))
    if wanted.port is not None:
        words = f"{word} port {wanted.port}" if wanted.address is None else f"port {wanted.port}"
        questions.append(Question(words, _port_answer(side, wanted.port)))
    return questions


def _address_answer(side: str, wanted: _Address) -> Callable[[Packet], str | None]:
    octets = wanted.packed

    def answer(packet: Packet) -> str | None:
        ip = packet.ip
        if ip is None:
            return ""
        actual: bytes = getattr(ip, side)
        return None if actual == octets else f"{side} is {show_address(actual)}, not {wanted}"

    return answer


def _port_answer(side: str, wanted: int) -> Callable[[Packet], str | None]:
    def answer(packet: Packet) -> str | None:
        transport = packet.tcp if packet.tcp is not None else packet.udp
        if transport is None:
            return ""
        actual: int = getattr(transport, f"{side}_port")
        return None if actual == wanted else f"{side} port is {actual}, not {wanted}"

    return answer
