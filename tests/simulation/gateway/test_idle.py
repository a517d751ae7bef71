"""A session that nobody uses, as ssh's is while its user has lunch: two hours of virtual time."""

import pytest

from guestnet.core.address import Mac
from guestnet.core.events import FlowClosed
from guestnet.core.time import HOUR, MINUTE, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import FakeGuest, Stream

BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


@pytest.mark.parametrize("keepalive", [0, 15 * MINUTE, 2 * HOUR - MINUTE])
def test_a_session_idle_for_two_hours_goes_on(keepalive: int) -> None:
    bench = Bench(guest=FakeGuest(keepalive=keepalive))
    stream = bench.guest.connect(SERVER, 22)
    bench.settle()
    flow = bench.take(commands.Connect).flow
    bench.tell(events.Connected(flow, "192.168.1.10:50000"))
    bench.tell(events.DataReceived(flow, BANNER))
    stream.send(BANNER)
    bench.settle()
    bench.advance(MINUTE)
    assert bytes(stream.received) == bytes(bench.sent[flow]) == BANNER
    seen = len(bench.guest.segments)

    bench.advance(2 * HOUR)
    assert len(bench.guest.segments) - seen == (2 * HOUR // keepalive if keepalive else 0)
    assert len(bench.gateway.tcp) == 1

    bench.tell(events.DataReceived(flow, b"prompt"))
    stream.send(b"command")
    bench.settle()
    assert bytes(stream.received) == BANNER + b"prompt"
    assert bytes(bench.sent[flow]) == BANNER + b"command"
    assert not bench.has(commands.Reset)
    assert not bench.has(commands.Close)


def asking(keepalive: int) -> tuple[Bench, Stream, commands.Connect]:
    """A stack that asks silent ends whether they are there, and a session through it."""
    bench = Bench(GatewayConfig(keepalive=keepalive))
    stream = bench.guest.connect(SERVER, 22)
    bench.settle()
    connect = bench.take(commands.Connect)
    bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    return bench, stream, connect


def test_a_guest_that_is_gone_is_noticed_if_it_is_asked() -> None:
    """Five times, at most 75 seconds apart; before that it answers, however long it is silent."""
    bench, _, connect = asking(120)
    bench.advance(2 * HOUR)
    assert not bench.has(commands.Reset)
    bench.guest.mac = Mac(bytes(6))  # it hears nothing any more
    bench.advance(5 * 75 * SECOND)
    assert not bench.has(commands.Reset)
    bench.advance(120 * SECOND)
    assert bench.take(commands.Reset).flow == connect.flow
    assert bench.noted(FlowClosed)[0].reason == "gave up: the peer was silent for 495 s and 5 keepalives"


@pytest.mark.parametrize(
    ("keepalive", "told"), [(0, None), (1, (1, 1, 5)), (60, (60, 60, 5)), (7200, (7200, 75, 5))]
)
def test_the_other_end_is_asked_by_the_hosts_socket(
    keepalive: int, told: tuple[int, int, int] | None
) -> None:
    _, _, connect = asking(keepalive)
    assert connect.keepalive == told


def test_who_speaks_is_not_asked_also_on_the_short_way() -> None:
    bench, stream, connect = asking(60)
    bench.guest.segments.clear()
    for _ in range(5):
        stream.send(b"here")
        bench.guest.work(bench.now)
        (frame,) = bench.guest.take()
        assert bench.gateway.hurry(frame, bench.now) is not None
        bench.tell(events.Sent(connect.flow, 4))
        bench.advance(30 * SECOND)
    assert len(bench.guest.segments) == 5
