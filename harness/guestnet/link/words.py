"""Settings and rules in words: for the journal, the capture's comments and the report."""

from guestnet.core.time import duration
from guestnet.link import quantities
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
from guestnet.link.quantities import show_duration, show_rate, show_share, show_size
from guestnet.link.settings import FIELDS, Impairments
from guestnet.link.trace import times_of


def describe(settings: Impairments) -> str:
    """``"loss 3%, delay 40 ms ± 10 ms, rate 10 Mbit/s"``; "" when nothing is set."""
    texts = [
        rule(settings, field)
        for field in FIELDS
        if field not in ("jitter", "keep_order", "burst", "queue", "codel", "only")
        and getattr(settings, field) is not None
    ]
    if settings.delay is None and settings.jitter is not None:
        texts.append(rule(settings, "delay"))
    return ", ".join(texts)


def rule(settings: Impairments, field: str) -> str:
    """The rule ``field`` of ``settings``, which is set: ``"loss 3%"``."""
    value = getattr(settings, field)
    text = _SHOWN[field](settings) if field in _SHOWN else f"{field} {_value(value)}"
    return f"{text} only {value.only}" if isinstance(value, Rule) and value.only else text


def _value(value: object) -> str:
    match value:
        case Loss(share=share) | Duplicate(share=share) | Corrupt(share=share) | Reorder(share=share):
            return show_share(quantities.share(share))
        case Burst(mean=mean, length=length):
            return f"{show_share(quantities.share(mean))} in bursts of {length:g}"
        case GilbertElliott(p=p, r=r, bad=bad, good=good):
            shares = [show_share(quantities.share(one)) for one in (p, r, bad, good)]
            return "Gilbert-Elliott p {}, r {}, bad {}, good {}".format(*shares)
        case Constant(delay=delay):
            return show_duration(duration(delay))
        case Uniform(least=least, most=most):
            return f"{show_duration(duration(least))} to {show_duration(duration(most))}"
        case Normal(mean=mean, deviation=deviation):
            return f"{show_duration(duration(mean))}, normal with {show_duration(duration(deviation))}"
        case Pareto(least=least, shape=shape):
            return f"from {show_duration(duration(least))}, Pareto with {shape:g}"
        case Recorded():
            return f"of a trace of {len(value.each)}"
        case str() | float() | int():
            return show_share(quantities.share(value))
    raise TypeError(f"{value!r} is no value of a rule")


def _delay(settings: Impairments) -> str:
    delay = settings.delay
    plain = Constant(delay) if isinstance(delay, str | float | int) else delay
    texts = [_value(plain)] if plain is not None else ["0 ns"]
    if settings.jitter is not None:
        texts.append(f"± {show_duration(duration(settings.jitter))}")
    if settings.keep_order is False:
        texts.append("in any order")
    return "delay " + " ".join(texts)


def _corrupt(settings: Impairments) -> str:
    value = settings.corrupt
    text = f"corrupt {_value(value)}"
    if not isinstance(value, Corrupt):
        return text
    bits = f"{value.bits} bits" if value.bits > 1 else "1 bit"
    return f"{text} by {bits}{' with a good checksum' if value.repair else ''}"


def _reorder(settings: Impairments) -> str:
    value = settings.reorder
    distance = value.distance if isinstance(value, Reorder) else Reorder(0.0).distance
    return f"reorder {_value(value)} by {distance}"


def _rate(settings: Impairments) -> str:
    assert settings.rate is not None
    burst = (
        f" in bursts of {show_size(quantities.size(settings.burst))}" if settings.burst is not None else ""
    )
    return f"rate {show_rate(quantities.rate(settings.rate))}{burst}{_queue(settings)}"


def _trace(settings: Impairments) -> str:
    assert settings.trace is not None
    times = times_of(settings.trace)
    return f"trace of {len(times)} in {times[-1]} ms{_queue(settings)}"


def _queue(settings: Impairments) -> str:
    texts = []
    if settings.queue is not None:
        texts.append(f"queue {quantities.bound(settings.queue)}")
    if settings.codel:
        codel = settings.codel if isinstance(settings.codel, Codel) else Codel()
        texts.append(
            f"CoDel {show_duration(duration(codel.target))} {show_duration(duration(codel.interval))}"
        )
    return f" ({', '.join(texts)})" if texts else ""


def _mtu(settings: Impairments) -> str:
    value = settings.mtu
    size = value.size if isinstance(value, Mtu) else value
    return f"mtu {size}{' black hole' if isinstance(value, Mtu) and value.black_hole else ''}"


def _drop(settings: Impairments) -> str:
    value = settings.drop
    assert value is not None
    return "drop " + (value if isinstance(value, str) else "; ".join(value))


def _flap(settings: Impairments) -> str:
    assert settings.flap is not None
    up, down = duration(settings.flap.up), duration(settings.flap.down)
    return f"flap {show_duration(up)} up, {show_duration(down)} down"


_SHOWN = {
    "delay": _delay,
    "corrupt": _corrupt,
    "reorder": _reorder,
    "rate": _rate,
    "trace": _trace,
    "mtu": _mtu,
    "drop": _drop,
    "down": lambda settings: "down" if settings.down else "not down",
    "flap": _flap,
}
