"""Servers that fail on purpose, each in its own way: a guest sees of each just what the laptop would."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, icmp, tcp
from guestnet.world.described.model import Host, Link, Route
from guestnet.world.described.server import Server, ServerKind
from guestnet.world.described.world import World

FAR = "203.0.113.16"


def server(kind: ServerKind, port: int, octets: int = 0) -> Server:
    return Server(kind=kind, host="internet", addresses=(FAR,), port=port, octets=octets)


WORLD = World(
    name="broken-servers",
    hosts={
        "laptop": Host(routes=(Route(to="default", via="192.0.2.1"),)),
        "internet": Host(addresses=(FAR,)),
    },
    links={"wifi": Link(ends={"laptop": ("192.0.2.10/24",), "internet": ("192.0.2.1/24",)})},
    servers={
        "web": server("http", 80),
        "tarpit": server("tarpit", 1001),
        "reset": server("reset", 1002, octets=300_000),
        "silent": server("silent", 1003),
        "refuse": server("refuse", 1004),
        "prohibit": server("prohibit", 1005),
    },
)
pytestmark = pytest.mark.lab(profile=WORLD)


def test_a_reset_in_mid_stream_comes_after_all_that_was_sent(lab: Lab) -> None:
    """No octet that the server had sent is lost, and the end is a reset, not an end of file."""
    exchange = lab.guest.half_close(FAR, 1002, b"anything")

    assert exchange.error == "ECONNRESET"
    assert len(exchange.reply) == 300_000

    cut = lab.guest.download(f"http://{FAR}/reset/100000")
    assert (cut.bytes, cut.intact) == (100_000, False)
    assert "reset" in cut.error
    lab.cable.expect(tcp.reset(to=exchange.source))


def test_who_is_slow_is_waited_for_and_who_never_answers_too(lab: Lab) -> None:
    """Octets that drip arrive as they come; a server that never answers is for the client to give up."""
    drip = lab.guest.download(f"http://{FAR}/drip/3000/10000")
    assert drip.intact
    assert drip.seconds >= 0.2
    assert lab.guest.connect(FAR, 1001).connected
    assert "timed out" in lab.guest.fetch(f"http://{FAR}:1001/", timeout=1).error


def test_refused_prohibited_and_silent_are_three_things(lab: Lab) -> None:
    """An RST, an ICMP error and nothing at all: TCP and UDP of the guest get the same."""
    guest = lab.guest
    assert guest.connect(FAR, 1004).refused
    assert guest.connect(FAR, 1005).error == "EHOSTUNREACH"
    assert guest.connect(FAR, 1003, timeout=0.5).error == "GAVE_UP"
    assert guest.udp_echo(FAR, 1003, b"?", timeout=0.5) is None
    lab.journal.expect(events.FlowRefused, remote=f"{FAR}:1004", error="ECONNREFUSED")
    lab.journal.expect(events.FlowRefused, remote=f"{FAR}:1005", error="EHOSTUNREACH")
    lab.cable.expect(icmp.unreachable())
