"""Whatever the pipe does and whatever both sides are told, the exact streams arrive and all timers end."""

from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.time import MILLISECOND
from guestnet.tcpip.tcp import Config
from guestnet.wire.tcp import Segment
from tests.simulation.tcpip.pipe import Pipe, Weather
from tests.simulation.tcpip.test_streams import exchange

weathers = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.01, 0.1]),
    duplicate=st.sampled_from([0.0, 0.1]),
    delay=st.sampled_from([0, 1, 20, 300]).map(lambda delay: delay * MILLISECOND),
    jitter=st.sampled_from([0, 1, 50]).map(lambda jitter: jitter * MILLISECOND),
    rate=st.sampled_from([0, 2_000_000, 50_000_000]),
    queue=st.sampled_from([4_000, 30_000, 1 << 30]),
    mark=st.sampled_from([0.0, 0.05]),
)
configs = st.builds(
    Config,
    mtu=st.sampled_from([576, 1500]),
    congestion=st.sampled_from(["cubic", "newreno"]),
    receive_buffer=st.sampled_from([3_000, 65_535, 1 << 20]),
    send_buffer=st.sampled_from([5_000, 1 << 20]),
    timestamps=st.booleans(),
    sack=st.booleans(),
    window_scaling=st.booleans(),
    ecn=st.booleans(),
    quick_acks=st.sampled_from([0, 16]),
    retries=st.just(30),
    syn_retries=st.just(30),
)


@given(
    weathers, configs, configs, st.integers(0, 1 << 32), st.integers(0, 0xFFFFFFFF), st.integers(0, 60_000),
    st.sampled_from([0, 600]),
)  # fmt: skip
def test_the_exact_stream_arrives_in_any_weather(
    weather: Weather, client: Config, server: Config, seed: int, iss: int, size: int, narrow: int
) -> None:
    pipe = Pipe(weather, seed)

    def tap(side: int, segment: Segment) -> bool:
        if not narrow or len(segment.payload) + 52 <= narrow:
            return True
        pipe.sides[side].connection.on_packet_too_big(narrow, segment.seq, pipe.now)
        return False

    pipe.tap = tap
    exchange(pipe, client, server, up=size, down=size // 2, seed=seed, iss=iss)
