"""The short run of what ``nox -s fuzz`` does at length: damaged and shuffled corpora, from a fixed seed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.parsers import CORPORA, FORMATS
from tests.fuzz.targets import TARGETS, Target

INPUTS = 1000


def damaged(target: Target, seed: int) -> Iterator[bytes]:
    """The corpus as it is, then parts of it put together, cut, repeated and with octets changed."""
    corpus = [octets[: target.longest] for octets in target.corpus()]
    yield from corpus[:50]
    chance = random.Random(seed)
    for _ in range(INPUTS):
        octets = bytearray(chance.choice(corpus))
        for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
            at = chance.randrange(len(octets) + 1)
            action = chance.randrange(5)
            if action == 0:
                del octets[at:]
            elif action == 1:
                octets[at:at] = chance.choice(corpus)[chance.randrange(20) :]
            elif action == 2:
                del octets[at : at + chance.randrange(9)]
            else:
                octets[at : at + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))),))
        yield bytes(octets[: target.longest])


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_survived(name: str) -> None:
    for octets in damaged(TARGETS[name], seed=1):
        try:
            TARGETS[name].run(octets)
        except Exception as error:
            error.add_note(f"input: {octets.hex()}")
            raise


def test_every_format_of_the_wire_is_fuzzed() -> None:
    wire = Path(__file__).parents[2] / "harness" / "guestnet" / "wire"
    formats = {path.stem for path in wire.glob("*.py") if "\ndef parse(" in path.read_text()}
    assert formats <= set(TARGETS)


def test_what_begins_a_run_is_accepted() -> None:
    """Else nothing beyond the first check would ever be looked at."""
    for name, (parse, _) in FORMATS.items():
        for octets in CORPORA[name]():
            assert parse(octets), name
