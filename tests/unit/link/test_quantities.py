"""Durations, rates, sizes and shares as people write them."""

from collections.abc import Callable

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.link import quantities
from guestnet.link.quantities import Bound


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10Mbit/s", 10e6), ("1.5 Mbit/s", 1.5e6), ("64kbit/s", 64e3), ("1 Gbit/s", 1e9), ("9 bit/s", 9)],
)  # fmt: skip
def test_a_rate_is_in_bits_a_second(text: str, bits: float) -> None:
    assert quantities.rate(text) == bits


@pytest.mark.parametrize(
    ("text", "octets"),
    [("64KiB", 65536), ("1.5 MiB", 1572864), ("10kB", 10_000), ("1500 B", 1500), ("2MB", 2_000_000)],
)
def test_a_size_is_in_octets(text: str, octets: int) -> None:
    assert quantities.size(text) == octets


@pytest.mark.parametrize(("text", "part"), [("3%", 0.03), ("0.5 %", 0.005), (0.25, 0.25), (1, 1.0), (0, 0.0)])
def test_a_share_is_a_probability(text: str | float, part: float) -> None:
    assert quantities.share(text) == pytest.approx(part)


def test_a_queue_is_bounded_by_octets_or_packets() -> None:
    assert quantities.bound("64KiB") == Bound(65536, None)
    assert quantities.bound("1 packet") == Bound(None, 1)
    assert quantities.bound("100 packets") == Bound(None, 100)
    assert [str(quantities.bound(text)) for text in ("64KiB", "9 packets")] == ["64 KiB", "9 packets"]


@pytest.mark.parametrize("text", ["10", "10 Mbit", "-1Mbit/s", "", "fast", "0 bit/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(DescriptionError, match="is no rate: write a number and one of bit/s"):
        quantities.rate(text)


@pytest.mark.parametrize("text", ["64", "64 KB", "KiB", "", "9999999999 MiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(DescriptionError, match="is no size: write a number and one of B"):
        quantities.size(text)


@pytest.mark.parametrize(
    ("read", "value", "said"),
    [
        (quantities.duration, 40, '40 has no unit: write "40ms" or "40s"'),
        (quantities.duration, 0.5, '0.5 has no unit: write "0.5ms" or "0.5s"'),
        (quantities.duration, 0, '0 has no unit: write "0ms" or "0s"'),
        (quantities.rate, 10.0, '10 has no unit: write "10Mbit/s" or "10kbit/s"'),
        (quantities.size, 64, '64 has no unit: write "64KiB" or "64B"'),
        (quantities.bound, 100, '100 has no unit: write "100KiB" or "100 packets"'),
    ],
)
def test_a_bare_number_is_told_which_units_there_are(
    read: Callable[[object], object], value: float, said: str
) -> None:
    with pytest.raises(DescriptionError) as caught:
        read(value)
    assert str(caught.value) == said


@pytest.mark.parametrize("text", ["3", "101%", "-1%", "", 1.01, -0.1, float("nan"), float("inf")])
def test_what_is_no_share(text: str | float) -> None:
    with pytest.raises(DescriptionError, match="is no share: write 0 to 1"):
        quantities.share(text)


@pytest.mark.parametrize(
    "text", ["0 packets", "0 B", "99999999999 packets", "packets", "1 MB/s", "1.5 packet"]
)
def test_what_bounds_no_queue(text: str) -> None:
    with pytest.raises(DescriptionError, match="queue"):
        quantities.bound(text)


def test_they_are_shown_as_they_would_be_written() -> None:
    assert [quantities.show_rate(bits) for bits in (5.5, 1500, 10e6, 2.5e9)] == [
        "5.5 bit/s", "1.5 kbit/s", "10 Mbit/s", "2.5 Gbit/s",
    ]  # fmt: skip
    assert [quantities.show_size(octets) for octets in (1500, 65536, 3 << 20)] == [
        "1500 B",
        "64 KiB",
        "3 MiB",
    ]
    assert [quantities.show_share(part) for part in (0.03, 0.0005, 1)] == ["3%", "0.05%", "100%"]
    times = (5, 1500, 40_000_000, 41_239_000, 90_000_000_000)
    assert [quantities.show_duration(time) for time in times] == [
        "5 ns",
        "1.5 us",
        "40 ms",
        "41.24 ms",
        "90 s",
    ]
