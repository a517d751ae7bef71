"""The settings of a link: one model in Python and TOML, and how settings combine."""

import tomllib
from typing import Any

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.link.settings import (
    NOTHING,
    Burst,
    Codel,
    Constant,
    Corrupt,
    Flap,
    GilbertElliott,
    Impairments,
    Loss,
    Mtu,
    Normal,
    Pareto,
    Recorded,
    Reorder,
    Schedule,
    SettingError,
    Step,
    Uniform,
    cleared,
    impairments,
    merged,
)
from guestnet.link.words import describe

TOML = """
delay = "40ms"
jitter = "10ms"
loss = { kind = "burst", mean = "3%", length = 5 }
drop = ["first 2 tcp syn-ack to :443", "5th udp"]
rate = "10Mbit/s"
queue = "64KiB"
codel = true
mtu = { kind = "mtu", size = 1400, black_hole = true }
"""
PYTHON = impairments(
    delay="40ms", jitter="10ms", loss=Burst("3%", 5), drop=("first 2 tcp syn-ack to :443", "5th udp"),
    rate="10Mbit/s", queue="64KiB", codel=True, mtu=Mtu(1400, black_hole=True),
)  # fmt: skip


def test_toml_and_python_say_the_same() -> None:
    assert msgspec.convert(tomllib.loads(TOML), Impairments) == PYTHON


def test_settings_travel_and_stay_the_same() -> None:
    encoded = msgspec.msgpack.encode(PYTHON)
    assert msgspec.msgpack.decode(encoded, type=Impairments) == PYTHON


def test_settings_combine_and_one_does_not_reset_the_others() -> None:
    first = merged(NOTHING, impairments(loss=0.03, delay="40ms"))
    second = merged(first, impairments(delay="80ms", rate="1Mbit/s"))
    assert second == impairments(loss=0.03, delay="80ms", rate="1Mbit/s")
    assert merged(second, NOTHING) == second


def test_a_trace_and_a_rate_take_each_others_place() -> None:
    rated = impairments(rate="1Mbit/s", burst="10KiB", queue="64KiB")
    traced = merged(rated, impairments(trace=(5, 10)))
    assert traced == impairments(trace=(5, 10), queue="64KiB")
    assert merged(traced, impairments(rate="2Mbit/s")) == impairments(rate="2Mbit/s", queue="64KiB")


def test_clearing_takes_back_what_is_named_or_all() -> None:
    settings = impairments(loss=0.03, delay="40ms", rate="1Mbit/s")
    assert cleared(settings, "loss", "rate") == impairments(delay="40ms")
    assert cleared(settings) == cleared(settings, "all") == NOTHING


def test_a_filter_for_all_rules_goes_to_those_that_have_none() -> None:
    settings = impairments(
        only="udp",
        loss=0.1,
        delay=Constant("1s", only="tcp"),
        drop="every 3rd dns or arp",
        rate="1Mbit/s",
    )
    assert merged(impairments(duplicate=0.5), settings) == impairments(
        duplicate=0.5, loss=Loss(0.1, only="udp"), delay=Constant("1s", only="tcp"),
        drop=("every 3rd (dns or arp) and (udp)",), rate="1Mbit/s",
    )  # fmt: skip
    assert merged(NOTHING, impairments(only="udp", drop="first 2")) == impairments(drop=("first 2 udp",))


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"los": 0.1}, "los", "there is no such impairment"),
    ({"loss": "3"}, "loss", "is no share"),
    ({"loss": [3]}, "", "got `array`"),
    ({"loss": 1.5}, "loss", "is no share"),
    ({"delay": "40"}, "delay", "is no duration"),
    ({"delay": 40}, "delay", "40 has no unit"),
    ({"jitter": 0.01}, "jitter", "has no unit"),
    ({"rate": 10}, "rate", "10 has no unit"),
    ({"rate": "1Mbit/s", "queue": 100}, "queue", "has no unit"),
    ({"rate": "1Mbit/s", "burst": 1500}, "burst", "has no unit"),
    ({"delay": "25h"}, "delay", "a delay of '25h'"),
    ({"jitter": "soon"}, "jitter", "is no duration"),
    ({"rate": "10"}, "rate", "is no rate"),
    ({"queue": "0 B"}, "queue", "is empty"),
    ({"burst": "1 B"}, "burst", "a burst is 1"),
    ({"mtu": 60}, "mtu", "an MTU is 60"),
    ({"drop": ""}, "drop", "is empty"),
    ({"drop": "first tcp"}, "drop", "column 1"),
    ({"drop": "first 2 tcp sin"}, "drop", "column 13"),
    ({"only": "tcp and"}, "only", "column 8"),
    ({"only": "tcp", "rate": "1Mbit/s"}, "only", "takes a filter"),
    ({"trace": (5, 3)}, "trace", "not in order"),
    ({"trace": ()}, "trace", "not in order"),
    ({"trace": (0,)}, "trace", "last no time"),
    ({"trace": (1,), "rate": "1Mbit/s"}, "trace", "at the same time"),
]


@pytest.mark.parametrize(("changes", "field", "what"), WRONG)
def test_a_wrong_setting_names_its_field(changes: dict[str, Any], field: str, what: str) -> None:
    with pytest.raises(SettingError) as error:
        impairments(**changes)
    assert error.value.field == field
    assert what in error.value.message
    assert error.value.remedy


RULES: list[tuple[type[Any], dict[str, Any], str]] = [
    (Loss, {"share": 2}, "is no share"),
    (Loss, {"share": 0.1, "only": "tpc"}, "did you mean tcp"),
    (Burst, {"mean": 0.1, "length": 0.5}, "length is 0.5"),
    (Burst, {"mean": 0.9, "length": 2}, "leaves less than a frame"),
    (GilbertElliott, {"p": 0.1, "r": -1}, "is no share"),
    (Uniform, {"least": "2s", "most": "1s"}, "is more than most"),
    (Normal, {"mean": "2s", "deviation": "x"}, "is no duration"),
    (Pareto, {"least": "0s"}, "least '0s' is 0"),
    (Pareto, {"least": "1s", "shape": 0}, "shape is 0"),
    (Recorded, {"delays": ()}, "number of delays is 0"),
    (Recorded, {"delays": ("1s",), "every": "0s"}, "every '0s'"),
    (Reorder, {"share": 0.1, "distance": 0}, "distance is 0"),
    (Reorder, {"share": 0.1, "within": "0s"}, "within is '0s'"),
    (Corrupt, {"share": 0.1, "bits": 100}, "bits is 100"),
    (Mtu, {"size": 100_000}, "an MTU is 100000"),
    (Codel, {"target": "1s", "interval": "10ms"}, "above the interval"),
    (Flap, {"up": "1s", "down": "0s"}, "down is '0s'"),
]


@pytest.mark.parametrize(("kind", "fields", "what"), RULES)
def test_a_wrong_rule_says_what_is_wrong(kind: type[Any], fields: dict[str, Any], what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        kind(**fields)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"steps": ()}, "without steps"),
        ({"steps": (Step(at="2s"), Step(at="1s"))}, "not in order"),
        ({"steps": (Step(at="2s"),), "repeat": "2s"}, "not later than the last step"),
    ],
)
def test_a_schedule_that_cannot_be(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(SettingError, match=what):
        Schedule(**fields)


def test_a_step_clears_only_what_there_is() -> None:
    with pytest.raises(SettingError, match="no such impairment"):
        Step(at="1s", clear=("los",))


WORDS = [
    (NOTHING, ""),
    (PYTHON, ("delay 40 ms ± 10 ms, loss 3% in bursts of 5, drop first 2 tcp syn-ack to :443; 5th udp, "
              "rate 10 Mbit/s (queue 64 KiB, CoDel 5 ms 100 ms), mtu 1400 black hole")),
    (impairments(jitter="1ms", keep_order=False), "delay 0 ns ± 1 ms in any order"),
    (impairments(delay=Uniform("1ms", "2ms"), loss=Loss("1%", only="udp")),
     "delay 1 ms to 2 ms, loss 1% only udp"),
    (impairments(delay=Normal("40ms", "5ms"), duplicate=0.01), "delay 40 ms, normal with 5 ms, duplicate 1%"),
    (impairments(delay=Pareto("20ms")), "delay from 20 ms, Pareto with 3"),
    (impairments(delay=Recorded(("1ms", "2ms"))), "delay of a trace of 2"),
    (impairments(loss=GilbertElliott(0.01, 0.2), reorder="5%"),
     "loss Gilbert-Elliott p 1%, r 20%, bad 100%, good 0%, reorder 5% by 3"),
    (impairments(corrupt=Corrupt(0.1, bits=3, repair=True), down=True),
     "corrupt 10% by 3 bits with a good checksum, down"),
    (impairments(corrupt=0.1, trace=(1, 9), queue="9 packets"),
     "corrupt 10%, trace of 2 in 9 ms (queue 9 packets)"),
    (impairments(rate="1Mbit/s", burst="16KiB", mtu=1280, down=False),
     "rate 1 Mbit/s in bursts of 16 KiB, mtu 1280, not down"),
    (impairments(flap=Flap("10s", "2s")), "flap 10 s up, 2 s down"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), WORDS)
def test_settings_in_words(settings: Impairments, words: str) -> None:
    assert describe(settings) == words
