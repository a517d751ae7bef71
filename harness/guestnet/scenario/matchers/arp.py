"""ARP on a link (RFC 826, RFC 5227)."""

from guestnet.core.address import Mac
from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question, equal
from guestnet.scenario.matchers.endpoint import address_octets, show_address
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.arp import Operation


def request(
    target: str | None = None, *, sender: str | None = None, mac: Mac | str | None = None
) -> Matcher[Packet]:
    """Somebody (``sender``, ``mac``) asks who has the address ``target``."""
    questions = [_operation(Operation.REQUEST)]
    questions += _questions(target=target, sender=sender, mac=mac)
    return packets("an ARP request", "arp", questions)


def reply(
    sender: str | None = None, *, target: str | None = None, mac: Mac | str | None = None
) -> Matcher[Packet]:
    """``sender`` says to ``target`` that it is at ``mac``."""
    questions = [_operation(Operation.REPLY)]
    questions += _questions(target=target, sender=sender, mac=mac)
    return packets("an ARP reply", "arp", questions)


def probe(target: str | None = None, *, mac: Mac | str | None = None) -> Matcher[Packet]:
    """A request without a sender's address: is ``target`` free? (RFC 5227 1.1)"""
    questions = [_operation(Operation.REQUEST), *_questions(target=target, sender="0.0.0.0", mac=mac)]
    return packets("an ARP probe", "arp", questions)


def announcement(address: str, *, mac: Mac | str | None = None) -> Matcher[Packet]:
    """A packet that claims ``address`` for its sender (RFC 5227 1.1)."""
    return packets("an ARP announcement", "arp", _questions(target=address, sender=address, mac=mac))


def _operation(wanted: Operation) -> Question:
    def answer(packet: Packet) -> str | None:
        if packet.arp is None:
            return ""
        return (
            None
            if packet.arp.operation == wanted
            else f"it is a {Operation(packet.arp.operation).name.lower()}"
        )

    return Question("", answer)


def _questions(target: str | None, sender: str | None, mac: Mac | str | None) -> list[Question]:
    questions = []
    if target is not None:
        questions.append(_address("target", "for", target))
    if sender is not None:
        questions.append(_address("sender", "from", sender))
    if mac is not None:
        wanted = Mac.parse(mac) if isinstance(mac, str) else mac
        questions.append(equal("sender's MAC", wanted, lambda packet: packet.arp and packet.arp.sender_mac))
    return questions


def _address(side: str, word: str, wanted: str) -> Question:
    octets = address_octets(wanted)

    def answer(packet: Packet) -> str | None:
        if packet.arp is None:
            return ""
        actual: bytes = getattr(packet.arp, f"{side}_ip")
        return None if actual == octets else f"{side} is {show_address(actual)}, not {wanted}"

    return Question(f"{word} {wanted}", answer)
