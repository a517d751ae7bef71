"""ICMP errors of the gateway: where they are due, and where they are forbidden (RFC 1122 3.2.2)."""

from hypothesis import event, given
from hypothesis import strategies as st

from guestnet.core.address import BROADCAST, Mac
from guestnet.core.port import Frame
from guestnet.gateway import events
from guestnet.gateway.config import GatewayConfig
from guestnet.wire import ethernet, icmp, ipv4, udp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY, HOST, FakeGuest

OURS = GatewayConfig().mac
GROUP = Mac.parse("01:00:5e:00:00:fb")
GUEST = ip4("192.168.65.3")


class Listener(FakeGuest):
    """Keeps the IP packets that it gets."""

    def receive(self, frames: list[Frame], now: int) -> None:
        self.__dict__.setdefault("packets", []).extend(
            ipv4.parse(frame[ethernet.HEADER :]) for frame in frames if frame[12:14] == b"\x08\x00"
        )
        super().receive(frames, now)

    def heard(self) -> list[Ipv4]:
        packets: list[Ipv4] = self.__dict__.pop("packets", [])
        return packets


def payloads(destination: bytes) -> st.SearchStrategy[tuple[int, bytes]]:
    error = icmp.emit(icmp.unreachable(3, bytes(28)))
    datagram = udp.emit(udp.Datagram(5000, 9, bytes(900)), GUEST, destination)
    return st.sampled_from(
        [
            (Protocol.UDP, datagram),
            (Protocol.ICMP, error),
            (Protocol.ICMP, icmp.emit(icmp.echo_request(1, 1, bytes(700)))),
            (132, bytes(40)),
        ]
    )


@given(st.data())
def test_an_error_is_sent_only_where_it_may_be_and_then_quotes_what_it_is_about(data: st.DataObject) -> None:
    destination = data.draw(
        st.sampled_from(
            [
                SERVER,
                SERVER,
                GATEWAY,
                GATEWAY,
                HOST,
                ip4("192.168.65.255"),
                ip4("255.255.255.255"),
                ip4("224.0.0.1"),
            ]
        )
    )
    source = data.draw(st.sampled_from([*[GUEST] * 9, ip4("0.0.0.0"), ip4("192.168.65.255"), GATEWAY]))
    mac = data.draw(st.sampled_from([OURS, OURS, OURS, OURS, BROADCAST, GROUP]))
    protocol, payload = data.draw(payloads(destination))
    offset = data.draw(st.sampled_from([0, 0, 0, 8]))
    packet = Ipv4(
        source, destination, protocol, payload, data.draw(st.sampled_from([1, 64])), 7, fragment_offset=offset
    )
    guest = Listener()
    bench = Bench(guest=guest)
    guest.ping(GATEWAY)
    bench.settle()
    guest.heard()
    bench.tell(events.FramesReceived([ethernet.header(mac, guest.mac, EtherType.IPV4) + ipv4.emit(packet)]))
    errors = [
        answer
        for answer in guest.heard()
        if answer.protocol == Protocol.ICMP and icmp.parse(answer.payload).is_error
    ]
    is_error = protocol == Protocol.ICMP and payload[0] == icmp.Type.DESTINATION_UNREACHABLE
    is_single = mac == OURS and source == GUEST and destination in (SERVER, GATEWAY, HOST)
    if offset or is_error or not is_single:
        assert errors == []
        return
    is_over = packet.ttl == 1 and destination == SERVER
    is_refused = protocol == 132 or (protocol == Protocol.UDP and destination == GATEWAY)
    event(f"over {is_over}, refused {is_refused}")
    assert len(errors) == (is_over or is_refused)
    for answer in errors:
        message = icmp.parse(answer.payload)
        assert message.type == (icmp.Type.TIME_EXCEEDED if is_over else icmp.Type.DESTINATION_UNREACHABLE)
        assert (answer.source, answer.destination) == (GATEWAY, GUEST)
        assert bytes(message.payload) == ipv4.emit(packet)[: 576 - 20 - 8]
        assert answer.tos == 0xC0, "internetwork control (RFC 1812 4.3.2.5)"
