"""What can be wrong with one direction of a link: the frozen model, the same in Python and in TOML.

A field that is None is not set; ``merged`` lays new settings over old ones, so that setting one leaves the
others; ``cleared`` takes some back. What is written stays as its author wrote it ("40ms", 0.03): it is
checked here and compiled by ``link.build``; what has a unit must be written with it. In TOML a rule in place
of a number is a table with a ``kind``::

    [links.wifi.impair]
    delay = "40ms"
    jitter = "10ms"
    loss = { kind = "burst", mean = "3%", length = 5 }

Words and combination follow netem (tc-netem(8)) where that has them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.time import MILLISECOND
from guestnet.link import quantities
from guestnet.link.filter import language as filters
from guestnet.link.quantities import duration
from guestnet.link.rules.base import Duration, EntryKind, Kind, Rule, Share, a_delay, within
from guestnet.link.rules.codel import Codel
from guestnet.link.rules.corrupt import Corrupt
from guestnet.link.rules.delay import Constant, Normal, Pareto, Recorded, Uniform
from guestnet.link.rules.drop import Drop
from guestnet.link.rules.duplicate import Duplicate
from guestnet.link.rules.flap import Flap
from guestnet.link.rules.loss import Burst, GilbertElliott, Loss
from guestnet.link.rules.mtu import Mtu
from guestnet.link.rules.reorder import Reorder
from guestnet.link.rules.trace import Trace

__all__ = [
    "FIELDS", "NOTHING", "Burst", "Codel", "Constant", "Corrupt", "Drop", "Duplicate", "Duration", "Flap",
    "GilbertElliott", "Impairments", "Loss", "Mtu", "Normal", "Pareto", "Recorded", "Reorder", "Schedule",
    "SettingError", "Share", "Step", "Trace", "Uniform", "cleared", "impairments", "merged",
]  # fmt: skip


class SettingError(DescriptionError):
    """A setting that can't be; ``field`` is its name, "" when it is about several."""

    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(f"{field}: {message}" if field else message, remedy=remedy)
        self.field = field


RULES: Final[Mapping[str, type[Kind]]] = {
    "mtu": Mtu,
    "drop": Drop,
    "loss": Loss,
    "duplicate": Duplicate,
    "corrupt": Corrupt,
    "reorder": Reorder,
    "trace": Trace,
    "delay": Constant,
}
"""The fields that hold rules, in the order in which frames meet them: what a plain value stands for."""

ENTRY: Final = tuple(name for name, kind in RULES.items() if issubclass(kind, EntryKind))
"""Those that frames meet as they enter."""

_FILTERABLE: Final = tuple(name for name, kind in RULES.items() if issubclass(kind, Rule))

_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "only": filters.parse,
    "jitter": a_delay,
    "rate": quantities.rate,
    "burst": lambda value: within("a burst", quantities.size(value), 64, 1 << 30),
    "queue": quantities.bound,
}
"""Of the other fields."""


class Impairments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is wrong with one direction of a link; None is not set. Raises SettingError.

    A frame meets ``mtu``, ``drop``, ``loss``, ``duplicate``, ``corrupt`` and ``reorder`` in this order, then
    waits in the queue of ``rate`` or ``trace``, then for ``delay`` and ``jitter``.
    """

    delay: Duration | Constant | Uniform | Normal | Pareto | Recorded | None = None
    jitter: Duration | None = None
    """Uniform, up to this much more or less delay."""
    keep_order: bool | None = None
    """Whether frames that are delayed stay in order (the default) or overtake each other.

    In order, a frame waits for the one before it: of many at once most wait for the slowest.
    """
    loss: Share | Loss | Burst | GilbertElliott | None = None
    drop: str | tuple[str, ...] | Drop | None = None
    """Frames lost by their number: ``"first 2 tcp syn-ack to :443"``; see ``link.rules.drop``."""
    duplicate: Share | Duplicate | None = None
    reorder: Share | Reorder | None = None
    corrupt: Share | Corrupt | None = None
    rate: str | float | None = None
    """``"10Mbit/s"``, of ethernet frames."""
    burst: str | int | None = None
    """A token bucket of this size, as "64KiB": so much passes at once after a pause."""
    queue: str | int | None = None
    """What waits for ``rate`` or ``trace`` at most: ``"64KiB"``, ``"100 packets"``; else 1,000 packets."""
    codel: bool | Codel | None = None
    trace: str | tuple[int, ...] | Trace | None = None
    """Delivery opportunities as of mahimahi, in ms, or the text of such a file: see
    ``link.rules.trace``."""
    mtu: int | Mtu | None = None
    down: bool | None = None
    flap: Flap | None = None
    only: str | None = None
    """A filter (``link.filter.language``) for the rules set together with it that have none of their own."""

    def __post_init__(self) -> None:
        made: Mapping[str, Callable[[Any], object]] = {**_CHECKS, **RULES}
        for field, make in made.items():
            value = getattr(self, field)
            if value is not None and not isinstance(value, Kind):
                try:
                    rule = make(value)
                except DescriptionError as error:
                    raise SettingError(field, error.message, error.remedy) from None
                if isinstance(rule, Kind):
                    msgspec.structs.force_setattr(self, field, rule)
        if self.only is not None and all(getattr(self, field) is None for field in _FILTERABLE):
            remedy = "set it together with one of " + ", ".join(_FILTERABLE)
            raise SettingError("only", "nothing that is set takes a filter", remedy)
        if self.trace is not None and (self.rate is not None or self.burst is not None):
            remedy = "clear one of them: a trace is a rate that changes"
            raise SettingError("trace", "a trace and a rate at the same time", remedy)

    def settled(self) -> "Impairments":
        """The same without ``only``, which its rules have now."""
        if self.only is None:
            return self
        changes: dict[str, Any] = {"only": None}
        for field in _FILTERABLE:
            if (value := getattr(self, field)) is not None:
                changes[field] = value.filtered(self.only)
        return msgspec.structs.replace(self, **changes)


FIELDS: Final = Impairments.__struct_fields__
NOTHING: Final = Impairments()


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At ``at`` after the start of a schedule: ``clear`` these fields ("all" for all), then set ``impair``.

    Without a ``direction``, in both.
    """

    at: Duration
    impair: Impairments = NOTHING
    clear: tuple[str, ...] = ()
    direction: Literal["up", "down"] | None = None

    def __post_init__(self) -> None:
        duration(self.at)
        for name in self.clear:
            _known(name)


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Steps in the order of their times, all over again after ``repeat`` if given. Raises SettingError."""

    steps: tuple[Step, ...]
    repeat: Duration | None = None

    def __post_init__(self) -> None:
        times = [duration(step.at) for step in self.steps]
        if not times:
            raise SettingError("steps", "a schedule without steps", "give at least one")
        if times != sorted(times):
            raise SettingError("steps", "their times are not in order", "put the earliest first")
        if self.repeat is not None and duration(self.repeat) < max(times[-1] + 1, 10 * MILLISECOND):
            remedy = "give a time after all steps, 10 ms at least"
            raise SettingError("repeat", "it is not later than the last step", remedy)


def impairments(**changes: Any) -> Impairments:
    """``Impairments(**changes)``; a wrong name or type is a SettingError too."""
    try:
        return msgspec.convert(changes, Impairments)
    except msgspec.ValidationError as error:
        for name in changes:
            _known(name)
        raise SettingError("", str(error), "see guestnet.link.settings for what each takes") from None


def merged(old: Impairments, new: Impairments) -> Impairments:
    """``old`` with what ``new`` sets: all else stays, but a rate and a trace take each other's place."""
    settled = new.settled()
    changes = {field: value for field in FIELDS if (value := getattr(settled, field)) is not None}
    if "trace" in changes:
        changes |= {"rate": None, "burst": None}
    elif "rate" in changes or "burst" in changes:
        changes["trace"] = None
    return msgspec.structs.replace(old, **changes)


def cleared(old: Impairments, *names: str) -> Impairments:
    """``old`` without the fields ``names``; without any when none is given, or "all". Raises SettingError."""
    for name in names:
        _known(name)
    if not names or "all" in names:
        return NOTHING
    return msgspec.structs.replace(old, **dict.fromkeys(names))


def _known(name: str) -> None:
    if name != "all" and name not in FIELDS:
        raise SettingError(name, "there is no such impairment", "write one of " + ", ".join(FIELDS))
