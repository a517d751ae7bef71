"""From what a TOML file says to the structs of a world, with the place of whatever is wrong.

msgspec converts. What it refuses is looked at again by a walk over value and type side by side, which finds
the first place where they differ: its own words name neither the key of a mapping nor what would be allowed.
"""

import types
import typing
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.world.described.place import Place

T = TypeVar("T", bound=msgspec.Struct)

_NAMES: Final[dict[object, str]] = {
    bool: "bool", int: "int", float: "float", str: "str", dict: "object", list: "array",
}  # fmt: skip
"""Of types of values, as msgspec calls them."""


class Fault(NamedTuple):
    """What is wrong at a place below the value, and what is allowed there."""

    place: Place
    what: str
    allowed: str

    def below(self, step: str | int) -> "Fault":
        """The same fault, seen from one step further up."""
        return Fault((step, *self.place), self.what, self.allowed)


class ConvertError(Exception):
    """A value can't be converted: ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def convert(value: object, kind: type[T]) -> T:
    """``value``, of tables, arrays and plain values, as a ``kind``. Raises ConvertError."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, DescriptionError) as error:
        fault = next(_faults(value, kind), Fault((), str(error), f"see {kind.__module__}"))
        raise ConvertError(fault) from error


def _faults(value: object, kind: object) -> Iterator[Fault]:
    """Where ``value`` is no ``kind``, the places within before what is around them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            yield from _struct_faults(value, kind)
        else:
            yield _another_type(value, (kind,))
        return
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Literal:
            yield from _choice_faults(value, arguments)
        case types.UnionType | typing.Union:
            yield from _union_faults(value, arguments)
        case origin if origin is dict and isinstance(value, dict):
            for key, each in value.items():
                yield from (fault.below(key) for fault in _faults(key, arguments[0]))
                yield from (fault.below(key) for fault in _faults(each, arguments[1]))
        case origin if origin is tuple and isinstance(value, list):
            for index, each in enumerate(value):
                yield from (fault.below(index) for fault in _faults(each, arguments[0]))
        case _ if not _is_one(value, kind):
            yield _another_type(value, (kind,))


def _struct_faults(value: dict[str, object], kind: type[msgspec.Struct]) -> Iterator[Fault]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    there_are = "there are " + ", ".join(fields)
    for key, each in value.items():
        if key in fields:
            yield from (fault.below(key) for fault in _faults(each, fields[key].type))
        elif key != tag:
            yield Fault((key,), "unknown key", there_are)
    for name, field in fields.items():
        if field.required and name not in value:
            yield Fault((), f"the key {name!r} is missing", there_are)
    try:
        msgspec.convert(value, kind)
    except DescriptionError as error:
        # A value that checks itself.
        name = getattr(error, "field", "")
        place = (name,) if name in value else ()
        yield Fault(place, error.message.removeprefix(f"{name}: ") if name else error.message, error.remedy)
    except msgspec.ValidationError:
        return


def _choice_faults(value: object, choices: tuple[object, ...]) -> Iterator[Fault]:
    if type(value) not in {type(choice) for choice in choices}:
        yield _another_type(value, tuple({type(choice): None for choice in choices}))
    elif value not in choices:
        yield Fault((), f"invalid enum value {value!r}", "give one of " + ", ".join(map(str, choices)))


def _union_faults(value: object, kinds: tuple[object, ...]) -> Iterator[Fault]:
    """Those of the kind that is meant: by the type of ``value``, and of several structs by their tag."""
    meant = [kind for kind in kinds if _is_one(value, kind)]
    tagged = {
        str(kind.__struct_config__.tag): kind
        for kind in meant
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag
    }
    if not meant:
        yield _another_type(value, kinds)
    elif tagged and isinstance(value, dict) and len(tagged) == len(meant):
        allowed = "give one of " + ", ".join(tagged)
        if "kind" not in value:
            yield Fault((), "the key 'kind' is missing", allowed)
        elif (found := tagged.get(str(value["kind"]))) is None:
            yield Fault(("kind",), f"invalid value {value['kind']!r}", allowed)
        else:
            yield from _faults(value, found)
    else:
        yield from _faults(value, meant[0])


def _is_one(value: object, kind: object) -> bool:
    """Whether ``value`` has the outer shape of ``kind``."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return type(value) in {type(choice) for choice in typing.get_args(kind)}
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return isinstance(value, dict)
    if origin is tuple:
        return isinstance(value, list)
    return type(value) is kind or (kind is float and type(value) is int)


def _another_type(value: object, kinds: tuple[object, ...]) -> Fault:
    allowed = dict.fromkeys(_name(kind) for kind in kinds if kind is not types.NoneType)
    given = _NAMES.get(type(value), type(value).__name__)
    return Fault((), f"a value of type {given}", "give " + " | ".join(allowed))


def _name(kind: object) -> str:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return _NAMES[type(typing.get_args(kind)[0])]
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "object"
    return "array" if origin is tuple else _NAMES[kind]
