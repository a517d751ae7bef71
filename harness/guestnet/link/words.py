"""Settings and rules in words: for the journal, the capture's comments and the report."""

from guestnet.link.quantities import duration, show_duration
from guestnet.link.rules import queue, rate
from guestnet.link.rules.base import Kind, Rule
from guestnet.link.settings import FIELDS, Impairments

_SAID_WITH_OTHERS = {"jitter", "keep_order", "burst", "queue", "codel", "only"}


def describe(settings: Impairments) -> str:
    """``"loss 3%, delay 40 ms ± 10 ms, rate 10 Mbit/s"``; "" when nothing is set."""
    texts = [
        rule(settings, field)
        for field in FIELDS
        if field not in _SAID_WITH_OTHERS and getattr(settings, field) is not None
    ]
    if settings.delay is None and settings.jitter is not None:
        texts.append(rule(settings, "delay"))
    return ", ".join(texts)


def rule(settings: Impairments, field: str) -> str:
    """The rule ``field`` of ``settings``, which is set: ``"loss 3%"``."""
    value = getattr(settings, field)
    match field:
        case "delay":
            text = _delay(settings)
        case "rate":
            text = f"rate {rate.show(value, settings.burst)}{queue.show(settings.queue, settings.codel)}"
        case "trace":
            text = f"trace {value.show()}{queue.show(settings.queue, settings.codel)}"
        case "down":
            text = "down" if value else "not down"
        case _:
            text = f"{field} {value.show()}"
    return f"{text} only {value.only}" if isinstance(value, Rule) and value.only else text


def _delay(settings: Impairments) -> str:
    texts = [settings.delay.show() if isinstance(settings.delay, Kind) else "0 ns"]
    if settings.jitter is not None:
        texts.append(f"± {show_duration(duration(settings.jitter))}")
    if settings.keep_order is False:
        texts.append("in any order")
    return "delay " + " ".join(texts)
