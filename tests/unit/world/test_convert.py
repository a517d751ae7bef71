"""What is wrong with a table is found wherever it is."""

import copy
import datetime
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import Host, Link
from guestnet.world.described.tables import Tables
from guestnet.world.profiles.convert import ConvertError, convert
from guestnet.world.profiles.include import text_of
from guestnet.world.profiles.load import profile_folder, profile_names

KINDS = {field.name: get_args(field.type)[1] for field in msgspec.structs.fields(Tables)[1:]}
ENTRIES = [
    (KINDS[table], entry)
    for name in profile_names()
    for table, entries in tomllib.loads(text_of(profile_folder() / f"{name}.toml", name)).items()
    if table in KINDS
    for entry in entries.values()
]
IMPAIRED = {
    "ends": {"laptop": ["10.0.0.1/24"], "ap": ["10.0.0.2/24"]},
    "impair": {
        "delay": {"kind": "normal", "mean": "10ms", "deviation": "1ms"}, "drop": ["first 2 udp"], "mtu": 1400,
        "up": {"loss": {"kind": "burst", "mean": "3%", "length": 5}, "trace": [1, 2]}, "down": True,
    },
}  # fmt: skip
WRONG = st.sampled_from(
    [True, 7, -1, 0.5, "", "no", [], ["x"], [[]], {}, {"kind": "no"}, {"x": 1}, datetime.date(2026, 1, 1)]
)


def places(value: object) -> Iterator[list[Any]]:
    """Of everything within ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield [key]
        yield from ([key, *rest] for rest in places(each))


def is_at(value: Any, place: tuple[str | int, ...]) -> bool:
    """Whether ``place`` is one of ``value``."""
    return not place or list(place) in list(places(value))


@settings(deadline=None)
@given(st.sampled_from([*ENTRIES, (Link, IMPAIRED)]), st.data())
def test_whatever_msgspec_refuses_has_a_place_and_words(given_: tuple[type[Any], Any], data: Any) -> None:
    kind, entry = given_[0], copy.deepcopy(given_[1])
    place = data.draw(st.sampled_from(list(places(entry))))
    inner = entry
    for step in place[:-1]:
        inner = inner[step]
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "replace":
        inner[place[-1]] = data.draw(WRONG)
    elif action == "remove":
        del inner[place[-1]]
    elif isinstance(inner, dict):
        inner["sudden"] = 1
    try:
        expected = msgspec.convert(entry, kind)
    except (msgspec.ValidationError, DescriptionError):
        with pytest.raises(ConvertError) as caught:
            convert(entry, kind)
        fault = caught.value.fault
        assert is_at(entry, fault.place)
        assert fault.what
        assert fault.allowed != f"see {kind.__module__}", "nobody found it"
    else:
        assert convert(entry, kind) == expected


LOSS = "give one of loss, burst, gilbertelliott"


@pytest.mark.parametrize(
    ("kind", "entry", "fault"),
    [
        (Link, {"ends": {"laptop": ["", 7]}}, (("ends", "laptop", 1), "a value of type int", "give str")),
        (
            Link, {"ends": {}, "impair": {"loss": {"mean": 1}}},
            (("impair", "loss"), "the key 'kind' is missing", LOSS),
        ),
        (
            Link, {"ends": {}, "impair": {"loss": {"kind": "los"}}},
            (("impair", "loss", "kind"), "invalid value 'los'", LOSS),
        ),
        (
            Link, {"ends": {}, "impair": {"up": {"mtu": "x"}}},
            (("impair", "up", "mtu"), "a value of type str", "give int | object"),
        ),
        (
            Host, {"nat_timeouts": {"tcp": True}},
            (("nat_timeouts", "tcp"), "a value of type bool", "give int"),
        ),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_own_place(kind: type[Any], entry: Any, fault: object) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(entry, kind)
    assert tuple(caught.value.fault) == fault
