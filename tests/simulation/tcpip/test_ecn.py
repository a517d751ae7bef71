"""ECN over a bottleneck that marks: the window follows the marks, and hardly anything is lost."""

import pytest

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.tcpip.pipe import Pipe, Weather
from tests.simulation.tcpip.test_streams import exchange

BOTTLENECK = Weather(delay=10 * MILLISECOND, rate=20_000_000, queue=60_000)
ECN = Config(ecn=True)


class Watch:
    """What is sent again, and the flags of what is sent."""

    def __init__(self, pipe: Pipe) -> None:
        self.again = self.echoes = self.reduced = 0
        self._seen: set[tuple[int, int]] = set()
        pipe.tap = self._tap

    def _tap(self, side: int, segment: Segment) -> bool:
        if segment.payload:
            self.again += (side, segment.seq) in self._seen
            self._seen.add((side, segment.seq))
        if not segment.flags & Flags.SYN:
            self.echoes += bool(segment.flags & Flags.ECE)
            self.reduced += bool(segment.flags & Flags.CWR)
        return True


def transfer(client: Config, server: Config, weather: Weather) -> tuple[Pipe, Watch]:
    pipe = Pipe(weather, 1)
    watch = Watch(pipe)
    exchange(pipe, client, server, up=2_000_000, down=0)
    return pipe, watch


def test_marks_take_the_place_of_losses() -> None:
    pipe, marked = transfer(ECN, ECN, BOTTLENECK)
    _, lossy = transfer(Config(), Config(), BOTTLENECK)
    assert pipe.marks > 0
    assert marked.echoes > 0
    assert 0 < marked.reduced <= pipe.marks
    assert marked.again < lossy.again // 2


@pytest.mark.parametrize(("client", "server"), [(ECN, Config()), (Config(), ECN)])
def test_one_side_alone_does_nothing(client: Config, server: Config) -> None:
    pipe, watch = transfer(client, server, BOTTLENECK)
    assert (pipe.marks, watch.echoes, watch.reduced) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_stream_arrives_through_marks_and_losses(seed: int) -> None:
    pipe = Pipe(Weather(loss=0.05, mark=0.1, jitter=5 * MILLISECOND, duplicate=0.05), seed)
    exchange(pipe, ECN, ECN, seed=seed)
    assert pipe.marks > 0
