"""What the bench of links makes of what it has seen."""

import random

import pytest

from guestnet.bench import links
from guestnet.bench.links_probe import Seen


def seen(numbers: list[int]) -> Seen:
    return Seen(
        sending=5.0, delays=[], late=[], first=0, last=0, frames=len(numbers), octets=0, numbers=numbers
    )


def test_loss_within_confidence_is_below_one() -> None:
    right = links.loss(seen(list(range(97_000))))
    wrong = links.loss(seen(list(range(96_500))))
    assert right == {"loss_error": pytest.approx(0), "loss_error_in_confidence": pytest.approx(0)}
    assert wrong["loss_error"] == pytest.approx(0.005)
    assert wrong["loss_error_in_confidence"] > 1


def test_bursts_of_the_model_are_within_confidence_and_others_are_not() -> None:
    draw = random.Random(7)
    numbers = []
    bad = False
    for number in range(100_000):
        if not bad:
            numbers.append(number)
        bad = draw.random() < (0.8 if bad else 0.2 * 0.03 / 0.97)
    right = links.bursts(seen(numbers))
    assert right["burst_loss_error_in_confidence"] < 1
    assert right["burst_length_error_in_confidence"] < 1

    alone = [number for number in range(100_000) if draw.random() >= 0.03]
    assert links.bursts(seen(alone))["burst_length_error_in_confidence"] > 1


def test_the_histogram_counts_everything_once() -> None:
    lines = list(links.histogram({"link": [0, 49_999, 50_000, 12_000_000], "sleep": []}))
    assert lines[0] == "link: error of the delay, 4 times"
    assert [int(line.split("ms")[1].split()[-2 if "█" not in line else -3]) for line in lines[1:3]] == [2, 1]
    assert "10 ms and more" in lines[-1]
    assert " 1 " in lines[-1]
