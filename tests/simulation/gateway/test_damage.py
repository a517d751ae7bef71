"""Whatever a guest sends: no exception, no growth."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestnet.core.address import BROADCAST as BROADCAST_MAC
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.gateway.gateway import Gateway
from guestnet.wire import arp, dhcp, ethernet, icmp, ipv4, tcp, udp
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import ANY, BROADCAST, Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import SERVER, START
from tests.support.fake_guest import GATEWAY, HOST, MAC

GUEST = ip4("192.168.65.3")
CONFIG = GatewayConfig(
    limits=Limits(tcp_flows=50, connecting=20, udp_flows=20, echo_flows=10, dns_pending=10, tcp_buffer=65536)
)


def packets() -> list[bytes]:
    """One good frame of each kind."""
    link = ethernet.header(CONFIG.mac, MAC, EtherType.IPV4)
    discover = dhcp.emit(Dhcp(Op.REQUEST, 1, MAC, Options(message_type=MessageType.DISCOVER)))
    whole = [
        Ipv4(ANY, BROADCAST, Protocol.UDP, udp.emit(udp.Datagram(68, 67, discover), ANY, BROADCAST)),
        Ipv4(GUEST, GATEWAY, Protocol.UDP, udp.emit(udp.Datagram(5000, 53, bytes(12)), GUEST, GATEWAY)),
        Ipv4(GUEST, SERVER, Protocol.UDP, udp.emit(udp.Datagram(5000, 7, b"hi"), GUEST, SERVER)),
        Ipv4(GUEST, SERVER, Protocol.ICMP, icmp.emit(icmp.echo_request(1, 1, b"hi"))),
        Ipv4(GUEST, HOST, Protocol.ICMP, icmp.emit(icmp.echo_request(1, 1, b"hi"))),
        Ipv4(GUEST, SERVER, 132, b"sctp", more_fragments=False, fragment_offset=8),
    ]
    for flags in (Flags.SYN, Flags.ACK, Flags.FIN | Flags.ACK, Flags.RST, Flags.SYN | Flags.ACK):
        for destination, port in ((SERVER, 80), (HOST, 80), (GATEWAY, 53)):
            segment = Segment(4000, port, 7, 8, flags, 1000, b"", mss=1460 if flags & Flags.SYN else None)
            whole.append(Ipv4(GUEST, destination, Protocol.TCP, tcp.emit(segment, GUEST, destination)))
    question = arp.emit(arp.request(MAC, GUEST, GATEWAY))
    return [
        ethernet.header(BROADCAST_MAC, MAC, EtherType.ARP) + question,
        *(link + ipv4.emit(one) for one in whole),
    ]


GOOD = packets()


def answer(command: commands.Command, rng: random.Random) -> events.Event | None:
    """What an edge might say, now and then."""
    if isinstance(command, commands.Connect):
        if rng.random() < 0.5:
            return events.Connected(command.flow, "127.0.0.1:1")
        return events.ConnectFailed(command.flow, rng.choice([111, 113, 101, 110, 13, 24]))
    if isinstance(command, commands.Send):
        return events.Sent(command.flow, sum(map(len, command.data)))
    if isinstance(command, commands.Receive):
        choices: list[events.Event] = [
            events.DataReceived(command.flow, bytes(min(command.credit, 100))),
            events.EndOfStream(command.flow),
            events.ConnectionLost(command.flow, 104),
        ]
        return rng.choice(choices)
    if isinstance(command, commands.ListServers):
        return events.ServersListed(command.token, ["192.0.2.53"] * rng.randint(0, 2))
    if isinstance(command, commands.AskServer):
        if rng.random() < 0.25:
            return events.ServerFailed(command.token)
        return events.ServerAnswered(command.token, rng.choice([command.query, b"", bytes(11)]))
    if isinstance(command, commands.SendEcho):
        return events.EchoReplied(command.flow, command.address, command.sequence, command.payload)
    return None


def feed(gateway: Gateway, frames: list[bytes], rng: random.Random, now: int) -> None:
    happened: list[events.Event] = [events.FramesReceived(frames)]
    for _ in range(20):
        given = gateway.handle(happened, now)
        happened = [told for command in given if (told := answer(command, rng)) is not None]
        if not happened:
            return


@given(st.lists(st.binary(max_size=120), max_size=5))
@settings(deadline=None)
def test_any_octets_are_survived(frames: list[bytes]) -> None:
    gateway = Gateway(CONFIG)
    prefix = CONFIG.mac + MAC + b"\x08\x00"
    gateway.handle([events.FramesReceived([*frames, *(prefix + frame for frame in frames)])], START)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_frames_and_any_order_of_good_ones_are_survived_within_bounds(seed: int) -> None:
    rng = random.Random(seed)
    gateway = Gateway(CONFIG)
    now = START
    for _ in range(100):
        now += rng.randrange(2 * SECOND)
        batch = []
        for _ in range(rng.randrange(1, 8)):
            frame = bytearray(rng.choice(GOOD))
            for _ in range(rng.choice([0, 0, 1, 3])):
                frame[rng.randrange(len(frame))] = rng.randrange(256)
            batch.append(bytes(frame[: rng.choice([len(frame), len(frame), rng.randrange(len(frame))])]))
        feed(gateway, batch, rng, now)
        assert len(gateway.tcp) <= 50
        assert len(gateway.udp) <= 20
        assert len(gateway.icmp) <= 10
    # When everybody falls silent, time takes everything away but open TCP flows.
    for _ in range(2000):
        at = gateway.poll_at()
        if at is None:
            break
        now = max(now, at)
        gateway.handle([], now)
    assert len(gateway.udp) == len(gateway.icmp) == 0


def test_the_same_seed_and_events_give_the_same_commands() -> None:
    def run() -> list[str]:
        rng = random.Random(3)
        gateway = Gateway(CONFIG)
        given = []
        for turn in range(30):
            happened: list[events.Event] = [events.FramesReceived([rng.choice(GOOD) for _ in range(4)])]
            commands_given = gateway.handle(happened, START + turn * SECOND)
            given += [re.sub("memory at 0x[0-9a-f]+", "octets", repr(command)) for command in commands_given]
        return given

    assert run() == run()
