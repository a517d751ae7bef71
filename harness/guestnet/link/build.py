"""From settings to the rules that carry them out."""

from collections.abc import Callable, Sequence

from guestnet.core.rng import Stream
from guestnet.core.time import duration
from guestnet.link import delay as delays
from guestnet.link import drop as drops
from guestnet.link import filter as filters
from guestnet.link import quantities, words
from guestnet.link.change import Corruption, Duplicates
from guestnet.link.codel import Codel as CodelMachine
from guestnet.link.delay import Draw
from guestnet.link.entry import EntryRule
from guestnet.link.kinds import (
    Burst,
    Codel,
    Constant,
    Corrupt,
    Duplicate,
    GilbertElliott,
    Loss,
    Mtu,
    Normal,
    Pareto,
    Recorded,
    Reorder,
    Rule,
    Uniform,
)
from guestnet.link.loss import Bursts, Independent, Numbered
from guestnet.link.mtu import TooBig
from guestnet.link.quantities import Bound, share
from guestnet.link.queue import DEFAULT, Bucket, Rate, Server, Trace
from guestnet.link.reorder import Overtaking
from guestnet.link.settings import Impairments
from guestnet.link.terms import Check
from guestnet.link.trace import Opportunities, times_of
from guestnet.wire.ip import IpAddress

Streams = Callable[[str], Stream]
"""The random stream of a rule, by name."""


def check(value: object) -> Check | None:
    """That of the rule's filter, if it has one."""
    return filters.parse(value.only).check if isinstance(value, Rule) and value.only else None


def entry(
    settings: Impairments, field: str, streams: Streams, addresses: Sequence[IpAddress]
) -> list[EntryRule]:
    """The rules that ``field`` asks for; none when it is not set."""
    value = getattr(settings, field)
    if value is None:
        return []
    name, only = words.rule(settings, field), check(value)
    match field:
        case "mtu":
            mtu = value if isinstance(value, Mtu) else Mtu(value)
            return [TooBig(name, only, mtu.size, black_hole=mtu.black_hole, addresses=addresses)]
        case "drop":
            return [_numbered(text) for text in ((value,) if isinstance(value, str) else value)]
        case "loss":
            return _loss(name, only, value, streams("loss"))
        case "duplicate":
            copies = value if isinstance(value, Duplicate) else Duplicate(value)
            part = share(copies.share)
            return [Duplicates(name, only, streams("duplicate"), part)] if part else []
        case _:
            corrupt = value if isinstance(value, Corrupt) else Corrupt(value)
            part = share(corrupt.share)
            luck = streams("corrupt")
            return (
                [Corruption(name, only, luck, part, bits=corrupt.bits, repair=corrupt.repair)] if part else []
            )


def _numbered(text: str) -> Numbered:
    drop = drops.parse(text)
    only = filters.parse(drop.filter).check if drop.filter else None
    return Numbered(f"drop {text}", only, drop)


def _loss(name: str, only: Check | None, value: object, luck: Stream) -> list[EntryRule]:
    match value:
        case Burst(mean=mean, length=length):
            part, r = share(mean), 1 / length
            p = part * r / (1 - part) if part < 1 else 1.0
            return [Bursts(name, only, luck, p=p, r=r, bad=1.0, good=0.0)]
        case GilbertElliott(p=p, r=r, bad=bad, good=good):
            return [Bursts(name, only, luck, p=share(p), r=share(r), bad=share(bad), good=share(good))]
        case Loss(share=part):
            pass
        case str() | float() | int() as part:
            pass
        case _:
            raise TypeError(f"{value!r} is no loss")
    return [Independent(name, only, luck, share(part))] if share(part) else []


def delay(settings: Impairments, streams: Streams, now: int) -> tuple[Draw, int | None]:
    """How long the next frame is held, and the value if it is always the same."""
    value = settings.delay
    fixed: int | None = None
    match value:
        case None:
            fixed = 0
        case Constant(delay=time):
            fixed = duration(time)
        case str() | float() | int():
            fixed = duration(value)
    draw = _draw(value, streams, now) if fixed is None else delays.constant(fixed)
    jitter = duration(settings.jitter) if settings.jitter is not None else 0
    return (delays.jittered(draw, streams("jitter"), jitter), None) if jitter else (draw, fixed)


def _draw(value: object, streams: Streams, now: int) -> Draw:
    match value:
        case Uniform(least=least, most=most):
            return delays.uniform(streams("delay"), duration(least), duration(most))
        case Normal(mean=mean, deviation=deviation):
            return delays.normal(streams("delay"), duration(mean), duration(deviation))
        case Pareto(least=least, shape=shape, most=most):
            return delays.pareto(streams("delay"), duration(least), shape, duration(most))
        case Recorded(every=every):
            step = None if every is None else duration(every)
            return delays.recorded([duration(one) for one in value.each], step, now)
    raise TypeError(f"{value!r} is no delay")


def reorder(settings: Impairments, streams: Streams) -> Overtaking | None:
    """None when nothing is to be overtaken."""
    value = settings.reorder
    if value is None:
        return None
    wanted = value if isinstance(value, Reorder) else Reorder(value)
    return Overtaking(
        words.rule(settings, "reorder"), check(value), streams("reorder"), share(wanted.share),
        distance=wanted.distance, within=duration(wanted.within),
    )  # fmt: skip


def server(settings: Impairments, now: int, busy_until: int) -> Server | None:
    """What serves the queue from ``now`` on, a wire from ``busy_until``; None when there is no queue."""
    if settings.trace is not None:
        return Trace(Opportunities(times_of(settings.trace), now))
    if settings.rate is None:
        return None
    rate = quantities.rate(settings.rate)
    if settings.burst is not None:
        return Bucket(rate, quantities.size(settings.burst), now)
    return Rate(rate, busy_until)


def bound(settings: Impairments) -> Bound:
    """Of the queue."""
    return DEFAULT if settings.queue is None else quantities.bound(settings.queue)


def codel(settings: Impairments) -> CodelMachine | None:
    """What manages the queue, if anything does."""
    if not settings.codel:
        return None
    wanted = settings.codel if isinstance(settings.codel, Codel) else Codel()
    return CodelMachine(duration(wanted.target), duration(wanted.interval))
