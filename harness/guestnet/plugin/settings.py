"""What the command line and the marker of a scenario say about its lab."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
import pytest

from guestnet.core import rng
from guestnet.core.errors import DescriptionError

Keep = Literal["on", "off", "retain-on-failure"]
KEEP: Final[tuple[Keep, ...]] = get_args(Keep)
GUESTS: Final = ("qemu", "netns")
DEFAULT_SEED: Final = 1
DEFAULT_STACK: Final = "builtin"
DEFAULT_IMAGE: Final = "tiny"

SEED_BITS: Final = 48
"""Of a scenario's seed: exact as a number of JavaScript too, which the report is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run."""

    seed: int
    stacks: tuple[str, ...] = ()
    """Those asked for; none means that each scenario runs on its own, by default on ``builtin``."""
    guest: str | None = None
    image: str = DEFAULT_IMAGE
    """Of scenarios that do not ask for one themselves."""
    keep: Keep = "retain-on-failure"
    report: str | None = None
    """The run folder, absolute."""
    strict_environment: bool = False
    needs_guests: bool = False
    """Exit status 2 when a lab could not start for want of something that this machine has not."""


def parse_seed(value: str) -> int:
    """A seed as it is written on the command line. Raises ValueError."""
    if value == "random":
        return secrets.randbelow(10**6)
    seed = int(value)
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    return seed


def parse_stacks(values: Iterable[str]) -> tuple[str, ...]:
    """``["builtin,slirp", "passt"]`` as names, each once. Raises pytest.UsageError on an empty name."""
    names = [name.strip() for value in values for name in value.split(",")]
    if not all(names):
        raise pytest.UsageError("--guestnet-stack: a name is empty; write builtin, or builtin,slirp")
    return tuple(dict.fromkeys(names))


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What ``@pytest.mark.lab(...)`` of one test says; ``where`` is its file and line."""

    where: str
    stacks: tuple[str, ...] = ()
    """Only on these."""
    guest: str | None = None
    """Only with this kind of guest."""
    needs: tuple[str, ...] = ()
    """Capabilities that the stack must have (guestnet.stacks.base.Stack)."""
    fields: dict[str, Any] = {}
    """Of the LabDescription, as they are."""


def read_marks(marks: Iterable[pytest.Mark], where: str) -> Wishes:
    """The wishes of ``marks``, the closest to the test first; a closer one wins, key by key.

    Raises DescriptionError on a positional argument, an unknown key, or a value that the key can't have.
    """
    keys: dict[str, Any] = {}
    for mark in marks:
        if mark.args:
            raise DescriptionError(
                f"{where}: @pytest.mark.lab takes no positional argument ({mark.args[0]!r})",
                remedy=f"name it: {', '.join(_allowed())}",
            )
        for key, value in mark.kwargs.items():
            keys.setdefault(key, value)
    unknown = [key for key in keys if key not in _allowed()]
    if unknown:
        raise DescriptionError(
            f"{where}: @pytest.mark.lab has no key {unknown[0]!r}", remedy=f"it takes {', '.join(_allowed())}"
        )
    stacks, needs = (_names(keys.pop(key, ()), key, where) for key in ("stack", "needs"))
    if keys.get("keepalive") and "keepalive" not in needs:
        needs = (*needs, "keepalive")
    guest = keys.pop("guest", None)
    _check(where, keys if guest is None else {**keys, "guest": guest})
    return Wishes(where=where, stacks=stacks, guest=guest, needs=needs, fields=keys)


def _fields() -> dict[str, Any]:
    from guestnet.lab.requests.description import LabDescription

    return {field.name: field.type for field in msgspec.structs.fields(LabDescription)}


def _allowed() -> list[str]:
    """The keys of the marker: those of a lab, but its name, and what the stack must be able to do."""
    return [*(name for name in _fields() if name != "scenario"), "needs"]


def _names(value: object, key: str, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) and name for name in names):
        return tuple(names)
    raise DescriptionError(f"{where}: {key}={value!r} can't be", remedy="give a name or a list of names")


def _check(where: str, keys: Mapping[str, Any]) -> None:
    """Each value has the type, and the range, that the description gives its field."""
    from guestnet.lab.requests.description import LabDescription

    types = _fields()
    for key, value in keys.items():
        try:
            if not isinstance(value, msgspec.Struct):
                msgspec.convert(value, types[key])
            LabDescription(**{"scenario": where, "seed": 0, key: value})
        except (msgspec.ValidationError, DescriptionError, TypeError) as error:
            raise DescriptionError(f"{where}: @pytest.mark.lab({key}={value!r}) can't be: {error}") from error


def stacks_to_run(settings: Settings, wishes: Wishes) -> tuple[str, ...]:
    """The stacks that a scenario runs on; none when it is made for others than those asked for."""
    if not settings.stacks:
        return wishes.stacks or (DEFAULT_STACK,)
    if not wishes.stacks:
        return settings.stacks
    return tuple(stack for stack in settings.stacks if stack in wishes.stacks)


def skip_reason(settings: Settings, wishes: Wishes) -> str | None:
    """Why a scenario can't run as it was asked for; None when it can."""
    if not stacks_to_run(settings, wishes):
        about, asked = " or ".join(wishes.stacks), ", ".join(settings.stacks)
        return f"it is about the stack {about}; this run asks for {asked}"
    if settings.guest is not None and wishes.guest not in (None, settings.guest):
        return f"it needs a {wishes.guest} guest; this run asks for {settings.guest}"
    return None


def scenario_seed(seed: int, nodeid: str) -> int:
    """The seed of one scenario in a run with ``seed``."""
    return rng.stream(seed, "scenario", nodeid).getrandbits(SEED_BITS)
