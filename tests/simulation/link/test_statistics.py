"""Luck over 100,000 frames, within what 99 of 100 true ones would be; the seeds are fixed, so this is too."""

import math
from collections.abc import Callable
from itertools import groupby, pairwise
from statistics import NormalDist

import pytest

from guestnet.core.time import MICROSECOND, MILLISECOND, SECOND
from guestnet.link.link import Link
from guestnet.link.settings import (
    Burst,
    GilbertElliott,
    Impairments,
    Normal,
    Pareto,
    Uniform,
    impairments,
)
from tests.support.road import START, Out, Road, number_of, numbered

FRAMES = 100_000
GAP = 20 * MICROSECOND
Z = NormalDist().inv_cdf(0.995)


def sent(settings: Impairments, count: int = FRAMES) -> Road:
    """``count`` small frames, 50,000 a second in batches of 100."""
    link = Link("wifi", seed=4)
    link.impair(settings, START)
    frames = [numbered(number) for number in range(count)]
    batches = [(START + at * GAP, frames[at : at + 100]) for at in range(0, count, 100)]
    road = Road(link)
    for now, batch in batches:
        road.offer(batch, now)
    road.due(START + 100 * SECOND)
    return road


def verdicts(road: Road, count: int = FRAMES) -> list[bool]:
    """Of each frame, whether it was lost."""
    through = {number_of(out.frame) for out in road.out}
    return [number not in through for number in range(count)]


@pytest.mark.parametrize("share", [0.001, 0.03, 0.5])
def test_independent_loss(share: float) -> None:
    lost = verdicts(sent(impairments(loss=share)))
    assert abs(sum(lost) / FRAMES - share) <= Z * math.sqrt(share * (1 - share) / FRAMES)
    # One loss tells nothing about the next: as many pairs as chance has.
    pairs = sum(a and b for a, b in pairwise(lost))
    assert abs(pairs / FRAMES - share**2) <= Z * math.sqrt(3 * share**2 / FRAMES)


def test_bursts_have_the_mean_and_the_lengths_that_were_asked_for() -> None:
    mean, length = 0.03, 5
    lost = verdicts(sent(impairments(loss=Burst(mean="3%", length=length))))
    # Frames are not independent: the variance is that of a Markov chain with this second eigenvalue.
    eigen = 1 - 1 / length - mean / length / (1 - mean)
    spread = math.sqrt(mean * (1 - mean) / FRAMES * (1 + eigen) / (1 - eigen))
    assert abs(sum(lost) / FRAMES - mean) <= Z * spread

    lengths = [len(list(group)) for is_lost, group in groupby(lost) if is_lost]
    assert abs(sum(lengths) / len(lengths) - length) <= Z * math.sqrt(length * (length - 1) / len(lengths))
    geometric = [(1 - 1 / length) ** (k - 1) / length for k in range(1, 11)]
    expected = [*(share * len(lengths) for share in geometric), (1 - sum(geometric)) * len(lengths)]
    seen = [*(lengths.count(k) for k in range(1, 11)), sum(one > 10 for one in lengths)]
    chi_squared = sum((one - wanted) ** 2 / wanted for one, wanted in zip(seen, expected, strict=True))
    assert chi_squared <= 23.2, "the 99 % point of chi-squared with 10 degrees of freedom"


def test_gilbert_elliott_loses_in_both_states() -> None:
    p, r, bad, good = 0.01, 0.1, 0.7, 0.005
    lost = verdicts(sent(impairments(loss=GilbertElliott(p=p, r=r, bad=bad, good=good))))
    in_bad = p / (p + r)
    mean = in_bad * bad + (1 - in_bad) * good
    eigen = 1 - p - r
    between = in_bad * (1 - in_bad) * (bad - good) ** 2
    variance = mean * (1 - mean) + 2 * between * eigen / (1 - eigen)
    assert abs(sum(lost) / FRAMES - mean) <= Z * math.sqrt(variance / FRAMES)


def below(road: Road) -> list[float]:
    return sorted(out.held / MILLISECOND for out in road.out)


def distance(values: list[float], cumulative: Callable[[float], float]) -> float:
    """Kolmogorov's and Smirnov's: the largest between what was seen and what was asked for."""
    count = len(values)
    return max(
        max(abs((index + 1) / count - cumulative(value)), abs(index / count - cumulative(value)))
        for index, value in enumerate(values)
    )


def pareto(value: float) -> float:
    return 1 - (20 / value) ** 3 if value >= 20 else 0.0


@pytest.mark.parametrize(
    ("settings", "cumulative"),
    [
        (impairments(delay=Uniform("10ms", "50ms")), lambda x: min(max((x - 10) / 40, 0), 1)),
        (impairments(delay="40ms", jitter="10ms"), lambda x: min(max((x - 30) / 20, 0), 1)),
        (impairments(delay=Normal("40ms", "8ms")), NormalDist(40, 8).cdf),
        (impairments(delay=Pareto("20ms", shape=3)), pareto),
    ],
)
def test_delays_are_distributed_as_asked(settings: Impairments, cumulative: Callable[[float], float]) -> None:
    link = Link("wifi", seed=4)
    link.impair(settings, START)
    link.impair(impairments(keep_order=False), START)
    road = Road(link)
    for at in range(0, FRAMES, 100):
        road.offer([numbered(number) for number in range(at, at + 100)], START + at * GAP)
    road.due(START + 100 * SECOND)
    assert distance(below(road), cumulative) <= 1.628 / math.sqrt(FRAMES)


@pytest.mark.parametrize(("rate", "size"), [("1Mbit/s", 1514), ("10Mbit/s", 1514), ("3.3Mbit/s", 700)])
@pytest.mark.parametrize("burst", [None, "16KiB"])
def test_a_rate_is_kept_over_ten_seconds(rate: str, size: int, burst: str | None) -> None:
    link = Link("wifi", seed=4)
    link.impair(impairments(rate=rate, burst=burst, queue="100 packets"), START)
    road = Road(link)
    # Twice as much as fits, all the time.
    bits = float(rate.removesuffix("Mbit/s")) * 1e6
    gap = round(size * 8e9 / bits / 2)
    count = 11 * SECOND // gap
    for number in range(count):
        road.offer([numbered(number, size)], START + number * gap)
    leaving = sorted(START + number_of(out.frame) * gap + out.held for out in road.out)
    within = [at for at in leaving if START + SECOND <= at < START + 11 * SECOND]
    assert abs(len(within) * size * 8 / 10 / bits - 1) <= 0.01


def test_duplicates_reorders_and_corrupts_as_often_as_asked() -> None:
    road = sent(impairments(duplicate="2%", corrupt=0.01, reorder="5%"))
    copies = sum(1 for out in road.out if "duplicate" in out.note)
    broken = [out for out in road.out if "corrupt" in out.note]
    overtaken = sum(1 for out in road.out if "reorder" in out.note)
    assert abs(copies / FRAMES - 0.02) <= Z * math.sqrt(0.02 * 0.98 / FRAMES)
    total = FRAMES + copies
    assert len(road.out) == total
    assert abs(len(broken) / total - 0.01) <= Z * math.sqrt(0.01 * 0.99 / total)
    assert abs(overtaken / total - 0.05) <= Z * math.sqrt(0.05 * 0.95 / total)
    assert all(bits_turned(out) == 1 for out in broken if number_of(out.frame) < FRAMES)


def bits_turned(out: Out) -> int:
    """From the frame as it was sent: exact, unless it is the number that was hit."""
    original = int.from_bytes(numbered(number_of(out.frame)), "big")
    turned = (original ^ int.from_bytes(out.frame, "big")).bit_count()
    return turned or 1
