"""What ``guestnet bench links`` does in a lab, once and little of it."""

from collections.abc import Iterator

import pytest

from guestnet.bench import links
from guestnet.core.errors import EnvironmentMissing
from guestnet.scenario import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    try:
        with links.bench_lab() as lab:
            yield lab
    except EnvironmentMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("way", [links.PLAIN, links.IMPAIRED])
def test_all_datagrams_come_and_are_timed(lab: Lab, way: links.Way) -> None:
    seen = links.probe(lab, way, 50, 1000)
    assert len(seen.delays) == 50
    assert seen.frames >= 50
    assert min(seen.delays) >= 0


def test_a_delay_is_seen_and_not_less_of_it(lab: Lab) -> None:
    lab.links["wire"].impair("up", delay="50ms")
    seen = links.probe(lab, links.IMPAIRED, 50, 1000, linger=2.0)
    lab.links["wire"].clear()
    assert len(seen.delays) == 50
    assert min(seen.delays) >= 50_000_000


def test_netem_delays_the_plain_pair_or_is_said_to_be_missing(lab: Lab) -> None:
    with links.netem(lab, "delay 50ms") as missing:
        seen = links.probe(lab, links.PLAIN, 50, 1000, linger=2.0)
    assert (min(seen.delays) >= 50_000_000) == (missing == "")
    assert "netem" not in lab.laptop.run("tc qdisc show", check=True).stdout
