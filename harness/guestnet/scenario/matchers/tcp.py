"""TCP segments on a link (RFC 9293)."""

from collections.abc import Callable

from guestnet.journal.query import Packet
from guestnet.scenario.matchers.base import Matcher, Question, equal
from guestnet.scenario.matchers.endpoint import EndpointLike, ends
from guestnet.scenario.matchers.layer import packets
from guestnet.wire.tcp import Flags, Segment, show_flags


def syn(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    mss: int | None = None, window_scale: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The first segment of a connection: SYN without ACK."""
    questions = [_flags(on=Flags.SYN, off=Flags.ACK), *ends(to, source), *_options(mss, window_scale)]
    return packets("a TCP SYN", "tcp", questions)


def syn_ack(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None,
    mss: int | None = None, window_scale: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """The answer that accepts a connection: SYN and ACK."""
    questions = [_flags(on=Flags.SYN | Flags.ACK), *ends(to, source), *_options(mss, window_scale)]
    return packets("a TCP SYN-ACK", "tcp", questions)


def reset(*, to: EndpointLike | None = None, source: EndpointLike | None = None) -> Matcher[Packet]:
    """A segment with RST."""
    return packets("a TCP reset", "tcp", [_flags(on=Flags.RST), *ends(to, source)])


def fin(*, to: EndpointLike | None = None, source: EndpointLike | None = None) -> Matcher[Packet]:
    """A segment with FIN: its sender has no more data."""
    return packets("a TCP FIN", "tcp", [_flags(on=Flags.FIN), *ends(to, source)])


def data(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None, contains: bytes | str = b""
) -> Matcher[Packet]:
    """A segment that carries data, and in it ``contains``; octets that the capture cut off don't count."""
    wanted = contains.encode() if isinstance(contains, str) else contains
    questions = [Question("", _has_data), *ends(to, source)]
    if wanted:
        questions.append(Question(f"containing {wanted!r}", _contains(wanted)))
    return packets("TCP data", "tcp", questions)


def segment(
    *, to: EndpointLike | None = None, source: EndpointLike | None = None, flags: Flags | None = None,
    seq: int | None = None, ack: int | None = None, window: int | None = None,
) -> Matcher[Packet]:  # fmt: skip
    """Any segment; ``flags`` are those that it must have, others may be set as well."""
    questions = [] if flags is None else [_flags(on=flags)]
    questions += ends(to, source)
    for name, wanted in (("seq", seq), ("ack", ack), ("window", window)):
        if wanted is not None:
            questions.append(_field(name, wanted))
    title = "a TCP segment" if flags is None else f"a TCP segment with flags {show_flags(flags)}"
    return packets(title, "tcp", questions)


def _flags(on: Flags, off: int = 0) -> Question:
    want, mask = int(on), int(on | off)
    shown = show_flags(want)

    def answer(packet: Packet) -> str | None:
        if packet.tcp is None:
            return ""
        actual = int(packet.tcp.flags)
        return None if actual & mask == want else f"flags are {show_flags(actual)}, not {shown}"

    return Question("", answer)


def _field(name: str, wanted: int) -> Question:
    def get(packet: Packet) -> object:
        return None if packet.tcp is None else getattr(packet.tcp, name)

    return equal(name, wanted, get)


def _options(mss: int | None, window_scale: int | None) -> list[Question]:
    wanted = ("mss", mss), ("window_scale", window_scale)
    return [_field(name, value) for name, value in wanted if value is not None]


def _has_data(packet: Packet) -> str | None:
    # The IP payload may be cut by the capture, so lengths come from what was on the wire.
    segment, layers = packet.tcp, packet.layers
    if segment is None or layers.ip is None or layers.eth is None:
        return ""
    if len(segment.payload) or packet.record.is_cut:
        return None
    return "it carries no data"


def _contains(wanted: bytes) -> Callable[[Packet], str | None]:
    def answer(packet: Packet) -> str | None:
        segment: Segment | None = packet.tcp
        if segment is None:
            return ""
        return (
            None if wanted in bytes(segment.payload) else f"its {len(segment.payload)} octets do not have it"
        )

    return answer
