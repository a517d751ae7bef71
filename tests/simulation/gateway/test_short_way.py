"""A frame that goes the short way does just what it does on the plain one."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guestnet.core.time import MILLISECOND
from guestnet.gateway import events
from guestnet.gateway.gateway import Gateway
from guestnet.tcpip.tcp import Connection
from guestnet.wire.frame import decode
from guestnet.wire.tcp import Flags
from tests.simulation.gateway.bench import SERVER
from tests.simulation.gateway.test_runs import SERVER6, Upload
from tests.support.fake_guest import HOST, HOST6

EVERYWHERE = [SERVER, HOST, SERVER6, HOST6]


class Exchange(Upload):
    """A guest that asks, and a host that answers."""

    def __init__(self, destination: bytes) -> None:
        super().__init__(destination)
        self.asked = 0
        self.answered = 0

    def request(self, size: int, *, ttl: int = 64) -> bytes:
        """The next request as a frame; the answers so far are acknowledged with it."""
        stamps = self.first.timestamps
        assert stamps is not None
        segment = replace(
            self.first, seq=self.first.seq + self.asked & 0xFFFFFFFF, flags=Flags.ACK | Flags.PSH,
            ack=self.first.ack + self.answered & 0xFFFFFFFF, payload=b"q" * size,
            timestamps=(stamps[0] + self.asked, stamps[1]),
        )  # fmt: skip
        self.asked += size
        return self.frame(segment, self.asked & 0xFFFF, ttl=ttl)

    def answer(self, size: int) -> tuple[bytes, list[bytes], list[str]]:
        """What the gateway makes of an answer, as of ``receive``."""
        self.answered += size
        return self.handle([events.DataReceived(self.flow, b"a" * size)])

    def passes(self, nanoseconds: int) -> tuple[bytes, list[bytes], list[str]]:
        self.bench.now += nanoseconds
        return self.handle([])


def same(drive: Callable[[Exchange], list[Any]], destination: bytes = SERVER) -> list[Any]:
    """What ``drive`` tells of either way, which is the same."""
    with (
        patch.object(Gateway, "hurry", return_value=None),
        patch.object(Connection, "answer", return_value=None),
    ):
        expected = drive(Exchange(destination))
    assert drive(Exchange(destination)) == expected
    return expected


def both(
    steps: list[tuple[int, int, int]], damaged: tuple[int, int, int] | None, destination: bytes, ttl: int
) -> None:
    """Requests and answers of some sizes, some time between; one octet of one request is changed."""

    def drive(exchange: Exchange) -> list[Any]:
        did: list[Any] = []
        for number, (asked, answered, wait) in enumerate(steps):
            frame = bytearray(exchange.request(asked, ttl=ttl))
            if damaged is not None and damaged[0] == number:
                frame[damaged[1] % len(frame)] ^= 1 << damaged[2]
            did += [exchange.receive([bytes(frame)]), exchange.bench.gateway.poll_at()]
            did += [exchange.answer(answered), exchange.bench.gateway.poll_at()]
            did += [exchange.passes(wait), exchange.bench.gateway.poll_at()]
        return did

    same(drive, destination)


WAITS = [0, 1, MILLISECOND, 60 * MILLISECOND]
STEPS = st.lists(
    st.tuples(st.integers(1, 700), st.integers(1, 1448), st.sampled_from(WAITS)), min_size=1, max_size=6
)


@given(STEPS, st.sampled_from(EVERYWHERE))
def test_requests_and_answers(steps: list[tuple[int, int, int]], destination: bytes) -> None:
    both(steps, None, destination, 64)


@given(
    STEPS, st.tuples(st.integers(0, 2), st.integers(0, 150), st.integers(0, 7)), st.sampled_from(EVERYWHERE)
)
def test_a_damaged_request(
    steps: list[tuple[int, int, int]], damaged: tuple[int, int, int], destination: bytes
) -> None:
    both(steps, damaged, destination, 64)


@pytest.mark.parametrize("destination", EVERYWHERE)
def test_a_request_at_the_end_of_its_hops(destination: bytes) -> None:
    both([(1, 1, 0)], None, destination, 1)


def test_two_requests_together() -> None:
    def drive(exchange: Exchange) -> list[Any]:
        together = [exchange.request(5), exchange.request(6)]
        return [exchange.receive([*together]), exchange.answer(7), exchange.passes(60 * MILLISECOND)]

    assert same(drive)[0][0] == b"q" * 11


def test_the_end_of_the_handshake_together_with_a_request() -> None:
    def drive(exchange: Exchange) -> list[Any]:
        port = exchange.first.source_port + 1
        first = replace(exchange.first, source_port=port, payload=b"")
        syn = replace(first, flags=Flags.SYN, seq=first.seq - 1, ack=0, mss=1460, timestamps=(1, 0))
        did: list[Any] = [exchange.receive([exchange.frame(syn)])]
        exchange.flow += 1
        _, (frame,), _ = exchange.handle([events.Connected(exchange.flow, "192.168.1.10:50001")])
        accepted = decode(frame).tcp
        assert accepted is not None
        ack = replace(first, ack=accepted.seq + 1 & 0xFFFFFFFF, timestamps=(2, 3))
        request = replace(ack, payload=b"q", flags=Flags.ACK | Flags.PSH)
        did += [exchange.receive([exchange.frame(ack), exchange.frame(request)])]
        return [*did, exchange.answer(7), exchange.passes(60 * MILLISECOND), exchange.bench.gateway.poll_at()]

    assert same(drive)[1][0] == b"q"


@pytest.mark.parametrize("destination", EVERYWHERE)
def test_it_is_taken(destination: bytes) -> None:
    exchange = Exchange(destination)
    for _ in range(3):
        send = exchange.bench.gateway.hurry(exchange.request(5), exchange.bench.now)
        assert send is not None
        assert b"".join(send.data) == b"qqqqq"
        exchange.handle([events.Sent(exchange.flow, 5)])
        _, (frame,), _ = exchange.answer(7)
        packet = decode(frame)
        assert packet.error is None
        assert packet.tcp is not None
        assert (packet.tcp.payload, packet.tcp.ack) == (
            b"aaaaaaa",
            exchange.first.seq + exchange.asked & 0xFFFFFFFF,
        )


def test_a_station_that_takes_over_an_address_is_told_of() -> None:
    exchange = Exchange(SERVER)
    frame = bytearray(exchange.request(5))
    frame[11] ^= 1
    assert exchange.bench.gateway.hurry(bytes(frame), exchange.bench.now) is None
    _, _, journal = exchange.receive([bytes(frame)])
    assert any("AddressConflict" in line for line in journal)


def test_segments_that_mean_more_go_the_plain_way() -> None:
    exchange = Exchange(SERVER)
    for flags in (
        Flags.ACK | Flags.FIN,
        Flags.ACK | Flags.URG,
        Flags.ACK | Flags.ECE,
        Flags.ACK | Flags.RST,
        Flags.ACK,
    ):
        empty = flags == Flags.ACK
        segment = replace(exchange.first, flags=flags, payload=b"" if empty else b"x")
        assert exchange.bench.gateway.hurry(exchange.frame(segment), exchange.bench.now) is None
    without = replace(exchange.first, payload=b"x", timestamps=None)
    assert exchange.bench.gateway.hurry(exchange.frame(without), exchange.bench.now) is None
    other = replace(exchange.first, payload=b"x", source_port=exchange.first.source_port + 1)
    assert exchange.bench.gateway.hurry(exchange.frame(other), exchange.bench.now) is None
