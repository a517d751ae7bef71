"""A session that nobody uses, as ssh's is while its user has lunch: two hours of virtual time."""

import pytest

from guestnet.core.time import HOUR, MINUTE
from guestnet.gateway import commands, events
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import FakeGuest

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
