import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.address import BROADCAST, Mac
from guestnet.core.errors import DescriptionError, EnvironmentMissing, ExpectationFailed
from guestnet.core.rng import stream
from guestnet.core.time import HOUR, MILLISECOND, SECOND, duration, earliest, to_seconds


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        ("40ms", 40 * MILLISECOND),
        ("1.5 s", 1_500 * MILLISECOND),
        ("8h", 8 * HOUR),
        (0, 0),
        (2, 2 * SECOND),
        (0.25, SECOND // 4),
    ],
)
def test_a_duration_is_text_or_seconds(value: str | float, nanoseconds: int) -> None:
    assert duration(value) == nanoseconds
    assert to_seconds(nanoseconds) == nanoseconds / 1e9


@pytest.mark.parametrize("value", ["", "40", "ms", "-1s", "1 fortnight", -1, float("nan")])
def test_what_is_no_duration_is_said(value: str | float) -> None:
    with pytest.raises(DescriptionError, match=r"duration"):
        duration(value)


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_address_reads_what_it_prints(octets: bytes) -> None:
    assert Mac.parse(str(Mac(octets))) == Mac(octets) == octets


@pytest.mark.parametrize("text", ["", "52:54:00", "52:54:00:12:34:5g", "52:54:00:12:34:56:78"])
def test_what_is_no_mac_address_is_said(text: str) -> None:
    with pytest.raises(DescriptionError):
        Mac.parse(text)


def test_group_addresses() -> None:
    assert BROADCAST.is_group
    assert not Mac.parse("52:54:00:65:00:01").is_group


def test_streams_are_the_same_for_the_same_name_and_apart_for_another() -> None:
    first = [stream(7, "wifi", "loss").random() for _ in range(3)]
    assert first == [stream(7, "wifi", "loss").random() for _ in range(3)]
    assert stream(7, "wifi", "loss").random() != stream(7, "wifi", "delay").random()
    assert stream(7, "a", "b").random() != stream(7, "ab").random()
    assert stream(8, "wifi", "loss").random() != stream(7, "wifi", "loss").random()


def test_an_error_says_what_and_how_to_mend_it() -> None:
    assert str(EnvironmentMissing("QEMU is missing", remedy="apt-get install qemu-system-x86")) == (
        "QEMU is missing: apt-get install qemu-system-x86"
    )
    assert isinstance(ExpectationFailed("no RST"), AssertionError)


def test_the_earliest_time_is_never_one_that_is_never() -> None:
    assert earliest(None, 3, None, 2, 5) == 2
    assert earliest(None, 0) == 0
    assert earliest(None, None) is None
