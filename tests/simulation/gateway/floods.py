"""What scans and floods are made of: SYNs without a stream, and what the edge has in flight by them."""

from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.wire.ipv4 import ip4
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY

SILENT = ip4("203.0.113.98")


def dead(number: int) -> bytes:
    return bytes((10, 9, number >> 8, number & 255))


def syn(bench: Bench, destination: bytes, port: int = 80, *, source_port: int = 4000) -> None:
    """Without a stream: nothing comes again of itself."""
    bench.guest.send_segment(destination, Segment(source_port, port, 1, 0, Flags.SYN, 1000, mss=1460))


def introduced(limits: Limits) -> Bench:
    """Both know each other's MAC address, so that nothing waits for ARP."""
    bench = Bench(GatewayConfig(limits=limits))
    bench.guest.ping(GATEWAY)
    bench.settle()
    return bench


def connects(bench: Bench) -> list[commands.Connect]:
    """The connects that the edge has in flight."""
    ended = {command.flow for command in bench.commands if isinstance(command, commands.Reset)}
    return [one for one in bench.commands if isinstance(one, commands.Connect) and one.flow not in ended]


def assert_connects_at_once(bench: Bench, destination: bytes = SERVER) -> None:
    stream = bench.guest.connect(destination, 443)
    bench.settle()
    (connect,) = [one for one in connects(bench) if one.address == destination and one.port == 443]
    bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
    assert stream.is_established
