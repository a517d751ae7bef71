"""Streams over paths that take less than both ends, or change."""

import pytest

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Config
from guestnet.wire.tcp import Segment
from tests.simulation.tcpip.pipe import Pipe, Weather
from tests.simulation.tcpip.test_streams import CONFIGS, exchange

HEADERS = 40


class Narrow:
    """A path of ``mtu`` octets, whose router says so by ICMP, without its MTU, or not at all."""

    def __init__(self, pipe: Pipe, mtu: int, says: str) -> None:
        self.pipe = pipe
        self.mtu = mtu
        self.says = says
        self.dropped = 0
        pipe.tap = self.tap

    def tap(self, side: int, segment: Segment) -> bool:
        options = 12 if segment.timestamps is not None else 0
        if len(segment.payload) + options + HEADERS <= self.mtu:
            return True
        self.dropped += 1
        if self.says != "nothing":
            mtu = self.mtu if self.says == "mtu" else 0
            self.pipe.sides[side].connection.on_packet_too_big(mtu, segment.seq, self.pipe.now)
        return False


@pytest.mark.parametrize("config", ["default", "bare", "no-sack", "jumbo"])
@pytest.mark.parametrize(("mtu", "says"), [(1400, "mtu"), (576, "mtu"), (296, "mtu"), (900, "no mtu")])
def test_a_path_that_tells_costs_no_timeout(config: str, mtu: int, says: str) -> None:
    pipe = Pipe(Weather(), 1)
    narrow = Narrow(pipe, mtu, says)
    start = pipe.now
    exchange(pipe, CONFIGS[config], CONFIGS[config], up=30_000, down=20_000)
    assert 0 < narrow.dropped < 200
    assert pipe.now - start < 61 * SECOND  # TIME-WAIT is a minute of it


@pytest.mark.parametrize("config", ["default", "bare", "no-sack", "jumbo"])
@pytest.mark.parametrize("mtu", [1200, 576])
def test_a_black_hole_is_found(config: str, mtu: int) -> None:
    pipe = Pipe(Weather(), 1)
    narrow = Narrow(pipe, mtu, "nothing")
    exchange(pipe, CONFIGS[config], CONFIGS[config], up=100_000, down=20_000)
    assert narrow.dropped < 150


def test_a_path_that_gets_narrower_midway_and_wide_again() -> None:
    pipe = Pipe(Weather(delay=10 * MILLISECOND), 1)
    narrow = Narrow(pipe, 1500, "mtu")
    sizes: list[int] = []
    taps = narrow.tap

    def tap(side: int, segment: Segment) -> bool:
        sizes.append(len(segment.payload))
        narrow.mtu = 1000 if 200 <= len(sizes) < 400 else 1500
        return taps(side, segment)

    pipe.tap = tap
    exchange(pipe, Config(), Config(), up=600_000, down=0)
    assert max(sizes[:200]) == 1448
    assert max(sizes[260:]) == 1000 - 52
