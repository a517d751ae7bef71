"""Services that speak TCP on the gateway's own addresses, by services of the test's own."""

import dns.message

from guestnet.core import rng
from guestnet.core.events import LimitReached
from guestnet.core.time import MINUTE, SECOND
from guestnet.gateway import events
from guestnet.gateway.listener import Bounds, Listener, Service, Stream
from guestnet.services.dns.forwarding import AskServer
from guestnet.services.dns.service import ListServers
from guestnet.tcpip.tcp.config import Config
from guestnet.wire.dns import framed
from tests.simulation.gateway.bench import Bench
from tests.support.fake_guest import GATEWAY

PORT = 7000
PARTIES = Bounds(2, 30 * SECOND, "parties")
TOTAL = 2_000_000


class Party:
    """What one says all others hear; who ends is let go."""

    def __init__(self) -> None:
        self.there: list[Stream] = []
        self.gone: list[str] = []

    def opened(self, stream: Stream, now: int) -> None:
        self.there.append(stream)

    def received(self, stream: Stream, octets: bytes, now: int) -> None:
        if octets == b"out":
            stream.abort()
        for other in self.there:
            if other is not stream:
                other.write(octets)

    def drained(self, stream: Stream, now: int) -> None:
        if stream.is_ended:
            stream.shutdown()

    def closed(self, stream: Stream, now: int) -> None:
        self.there.remove(stream)
        self.gone.append(stream.client)


class Source(Party):
    """Sends as much as there is room for, until all is sent."""

    left = TOTAL

    def drained(self, stream: Stream, now: int) -> None:
        count = min(stream.room, self.left)
        stream.write(bytes(count))
        self.left -= count
        if not self.left:
            stream.shutdown()


def serving(service: Service) -> Bench:
    bench = Bench()
    gateway = bench.gateway
    gateway.local.streams[PORT] = Listener(
        service, PARTIES, Config(), gateway._interface, gateway._turned_away, rng.stream(1, "test")
    )
    return bench


def test_a_service_hears_its_client_and_talks_to_others() -> None:
    party = Party()
    bench = serving(party)
    one, two = bench.guest.connect(GATEWAY, PORT), bench.guest.connect(GATEWAY, PORT)
    bench.settle()
    one.send(b"hello")
    bench.settle()
    assert (bytes(one.received), bytes(two.received)) == (b"", b"hello")
    two.send(b"bye", then_shut=True)
    bench.settle()
    bench.advance(10 * SECOND)
    assert bytes(one.received) == b"bye"
    assert two.has_ended
    assert not one.has_ended
    assert party.gone == ["192.168.65.3:40001"]


def test_a_service_may_end_a_stream_at_once() -> None:
    party = Party()
    bench = serving(party)
    one = bench.guest.connect(GATEWAY, PORT)
    one.send(b"out")
    bench.settle()
    assert one.is_refused
    assert not party.there


def test_a_client_that_does_not_read_gets_the_rest_when_it_does() -> None:
    source = Source()
    bench = serving(source)
    one = bench.guest.connect(GATEWAY, PORT)
    one.is_reading = False
    bench.settle()
    bench.advance(SECOND)
    assert 0 < source.left < TOTAL
    one.is_reading = True
    bench.advance(10 * SECOND)
    assert len(one.received) == TOTAL
    assert one.has_ended


def test_silence_ends_a_stream_and_makes_room_for_others() -> None:
    party = Party()
    bench = serving(party)
    first = [bench.guest.connect(GATEWAY, PORT) for _ in range(2)]
    bench.settle()
    refused = bench.guest.connect(GATEWAY, PORT)
    bench.settle()
    assert refused.is_refused
    bench.advance(SECOND)
    assert bench.noted(LimitReached)[0].limit == "parties"
    bench.advance(MINUTE)
    assert all(stream.is_refused for stream in first)
    again = bench.guest.connect(GATEWAY, PORT)
    bench.settle()
    assert again.is_established


def test_other_ports_of_the_gateway_stay_closed() -> None:
    bench = serving(Party())
    other = bench.guest.connect(GATEWAY, PORT + 1)
    bench.settle()
    assert other.is_refused


def test_an_answer_that_comes_too_late_is_not_for_who_has_the_ports_now() -> None:
    bench = Bench()
    asked = bench.guest.connect(GATEWAY, 53, source_port=40000)
    query = dns.message.make_query("example.com", "A")
    asked.send(framed(query.to_wire()))
    bench.settle()
    bench.tell(events.ServersListed(bench.take(ListServers).token, ["192.0.2.1"]))
    asked.connection.abort()
    bench.settle()
    new = bench.guest.connect(GATEWAY, 53, source_port=40000)
    bench.settle()
    assert new.is_established
    token = bench.take(AskServer).token
    bench.tell(events.ServerAnswered(token, dns.message.make_response(query).to_wire()))
    assert not new.received
