"""UDP datagrams on a link (RFC 768)."""

from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question, equal
from guestnet.scenario.matchers.endpoint import EndpointLike, ends
from guestnet.scenario.matchers.layer import packets


def datagram(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    payload: bytes | str | None = None, contains: bytes | str = b"",
) -> Matcher[Packet]:  # fmt: skip
    """A datagram: with exactly this ``payload``, or with ``contains`` somewhere in it."""
    questions = ends(to, source)
    if payload is not None:
        questions.append(equal("payload", _octets(payload), _payload))
    if contains:
        wanted = _octets(contains)
        questions.append(Question(f"containing {wanted!r}", lambda packet: _contains(packet, wanted)))
    return packets("a UDP datagram", "udp", questions)


def _octets(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _payload(packet: Packet) -> bytes | None:
    return None if packet.udp is None else bytes(packet.udp.payload)


def _contains(packet: Packet, wanted: bytes) -> str | None:
    payload = _payload(packet)
    if payload is None:
        return ""
    return None if wanted in payload else f"its {len(payload)} octets do not have it"
