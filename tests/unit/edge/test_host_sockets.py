"""Host sockets on loopback: each command, and each way in which it may end."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import TypeVar

import pytest

from harness.edge.descriptors import RESERVE
from harness.edge.host_ping import HostPing
from harness.edge.host_tcp import HostTcp
from harness.edge.host_udp import HostUdp
from harness.edge.poller import Poller
from harness.gateway import commands, events
from harness.wire import icmp, icmpv6
from harness.wire.ipv4 import ip4
from harness.wire.ipv6 import ip6

LOOPBACK = ip4("127.0.0.1")
V = TypeVar("V")


def has_ipv6() -> bool:
    """Some containers have no ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


both_families = pytest.mark.parametrize(
    "loopback",
    [
        pytest.param("127.0.0.1", id="ipv4"),
        pytest.param(
            "::1", id="ipv6", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")
        ),
    ],
)


def octets(loopback: str) -> bytes:
    return ip4(loopback) if "." in loopback else ip6(loopback)


def datagram_socket(loopback: str) -> socket.socket:
    family = socket.AF_INET if "." in loopback else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.bind((loopback, 0))
    bound.settimeout(10)
    return bound


def opening(loopback: str, port: int = 0) -> commands.OpenDatagram:
    return commands.OpenDatagram(1, port, 4 if "." in loopback else 6)


class Edge:
    """The executors, and what they told."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []
        self.poller = Poller(lambda: None)
        self.tcp = HostTcp(self.poller, self.told.append)
        self.udp = HostUdp(self.poller, self.told.append)
        self.ping = HostPing(self.poller, self.told.append)

    async def heard(self, kind: type[V]) -> V:
        """The first event of ``kind``, taken off the list, as soon as it is there."""
        async with asyncio.timeout(10):
            while True:
                for index, event in enumerate(self.told):
                    if isinstance(event, kind):
                        del self.told[index]
                        return event
                await asyncio.sleep(0.001)

    async def open(self, server: socket.socket) -> socket.socket:
        """Flow 1 connected to ``server``; the accepted end."""
        self.tcp.connect(commands.Connect(1, LOOPBACK, server.getsockname()[1]))
        await self.heard(events.Connected)
        accepted, _ = server.accept()
        return accepted

    def close(self) -> None:
        for part in (self.tcp, self.udp, self.ping):
            part.close()
            assert len(part) == 0
        self.poller.close()


def go(scenario: Callable[[Edge, socket.socket], object]) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            edge = Edge()
            try:
                await scenario(edge, server)  # type: ignore[misc]
            finally:
                edge.close()

    asyncio.run(run())


# --- TCP ---


@both_families
def test_connect_tells_the_local_end(loopback: str) -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        family = socket.AF_INET if "." in loopback else socket.AF_INET6
        with socket.create_server((loopback, 0), family=family) as there:
            edge.tcp.connect(commands.Connect(1, octets(loopback), there.getsockname()[1], ttl=9))
            connected = await edge.heard(events.Connected)
            accepted, address = there.accept()
            accepted.close()
        assert connected.host == (f"127.0.0.1:{address[1]}" if "." in loopback else f"[::1]:{address[1]}")

    go(scenario)


def test_a_connect_within_the_machine_is_told_in_the_same_turn() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.tcp.connect(commands.Connect(1, LOOPBACK, server.getsockname()[1]))
        assert [type(event) for event in edge.told] == [events.Connected]
        accepted, _ = server.accept()
        accepted.close()
        await edge.heard(events.Connected)
        edge.tcp.receive(commands.Receive(1, 1))
        await edge.heard(events.EndOfStream)
        assert edge.told == []

    go(scenario)


@both_families
def test_a_closed_tcp_port_is_refused(loopback: str) -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with datagram_socket(loopback) as nobody_listens:
            edge.tcp.connect(commands.Connect(1, octets(loopback), nobody_listens.getsockname()[1]))
            assert (await edge.heard(events.ConnectFailed)).errno == errno.ECONNREFUSED

    go(scenario)


def test_a_refused_connect_tells_why() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        port = server.getsockname()[1]
        server.close()
        edge.tcp.connect(commands.Connect(1, LOOPBACK, port))
        assert (await edge.heard(events.ConnectFailed)).errno == errno.ECONNREFUSED
        assert len(edge.tcp) == 0

    go(scenario)


def test_an_impossible_destination_fails_at_once() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.tcp.connect(commands.Connect(1, ip4("255.255.255.255"), 80))
        assert (await edge.heard(events.ConnectFailed)).errno in (errno.ENETUNREACH, errno.EACCES)

    go(scenario)


def test_no_more_is_read_than_the_credit() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with await edge.open(server) as accepted:
            accepted.sendall(b"0123456789")
            await asyncio.sleep(0.01)
            assert edge.told == []
            edge.tcp.receive(commands.Receive(1, 4))
            assert bytes((await edge.heard(events.DataReceived)).data) == b"0123"
            await asyncio.sleep(0.01)
            assert edge.told == []
            edge.tcp.receive(commands.Receive(1, 100))
            assert bytes((await edge.heard(events.DataReceived)).data) == b"456789"

    go(scenario)


def test_a_long_stream_arrives_in_order_and_ends() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        sent = bytes(range(256)) * 20_000
        received = bytearray()
        with await edge.open(server) as accepted:
            accepted.setblocking(False)
            writing = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(accepted, sent))
            while len(received) < len(sent):
                edge.tcp.receive(commands.Receive(1, 100_000))
                received += (await edge.heard(events.DataReceived)).data
                for event in list(edge.told):
                    if isinstance(event, events.DataReceived):
                        received += event.data
                        edge.told.remove(event)
            await writing
            accepted.shutdown(socket.SHUT_WR)
            edge.tcp.receive(commands.Receive(1, 100_000))
            await edge.heard(events.EndOfStream)
        assert bytes(received) == sent

    go(scenario)


def test_every_send_is_answered_at_once_and_the_rest_as_it_drains() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with await edge.open(server) as accepted:
            total = 32 << 20
            edge.tcp.send(commands.Send(1, [bytes(total)]))
            first = edge.told.pop()
            assert isinstance(first, events.Sent)
            assert 0 < first.count < total
            edge.tcp.send(commands.Send(1, [b"tail"]))
            assert edge.told.pop() == events.Sent(1, 0)
            edge.tcp.shutdown_write(commands.ShutdownWrite(1))
            assert edge.tcp.queued == total + 4 - first.count
            accepted.setblocking(False)
            loop = asyncio.get_running_loop()
            received = 0
            last = b""
            async with asyncio.timeout(20):
                while data := await loop.sock_recv(accepted, 1 << 20):
                    received += len(data)
                    last = (last + data)[-4:]
            assert received == total + 4
            assert last == b"tail"
            told = [event.count for event in edge.told if isinstance(event, events.Sent)]
            assert first.count + sum(told) == total + 4

    go(scenario)


def test_what_waits_for_a_socket_does_not_keep_what_was_read_with_it_alive() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with await edge.open(server):
            edge.tcp.send(commands.Send(1, [bytes(32 << 20)]))
            whole = bytearray(1 << 20)
            edge.tcp.send(commands.Send(1, [memoryview(whole)[:10]]))
            whole.clear()  # raises BufferError while a view is kept

    go(scenario)


def test_a_reset_is_told_though_nobody_reads() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        accepted = await edge.open(server)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        accepted.close()
        assert (await edge.heard(events.ConnectionLost)).errno == errno.ECONNRESET
        assert len(edge.tcp) == 0

    go(scenario)


def test_a_reset_after_the_end_of_stream_is_told() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        accepted = await edge.open(server)
        edge.tcp.receive(commands.Receive(1, 100))
        accepted.close()
        await edge.heard(events.EndOfStream)
        edge.tcp.send(commands.Send(1, [b"nobody is there"]))
        await edge.heard(events.ConnectionLost)

    go(scenario)


def test_reset_sends_an_rst_and_close_a_fin() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with await edge.open(server) as accepted:
            edge.tcp.reset(commands.Reset(1))
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)
        with await edge.open(server) as accepted:
            edge.tcp.close_flow(commands.Close(1))
            assert accepted.recv(1) == b""

    go(scenario)


def test_commands_for_a_flow_that_is_gone_do_nothing() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.tcp.receive(commands.Receive(9, 1))
        edge.tcp.send(commands.Send(9, [b"x"]))
        edge.tcp.shutdown_write(commands.ShutdownWrite(9))
        edge.tcp.close_flow(commands.Close(9))
        edge.tcp.reset(commands.Reset(9))
        edge.udp.close_flow(commands.CloseDatagram(9))
        edge.ping.close_flow(commands.CloseEcho(9))
        assert edge.told == []

    go(scenario)


# --- UDP ---


def datagram(port: int, payload: bytes = b"hi", *, address: bytes = LOOPBACK) -> commands.SendDatagram:
    return commands.SendDatagram(1, address, port, payload, 64, False)


@both_families
def test_datagrams_go_out_and_come_back(loopback: str) -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with datagram_socket(loopback) as peer:
            port = peer.getsockname()[1]
            edge.udp.open(opening(loopback))
            opened = await edge.heard(events.DatagramOpened)
            for number in range(100):
                edge.udp.send(datagram(port, bytes([number]), address=octets(loopback)))
            received = [peer.recvfrom(100) for _ in range(100)]
            assert [data for data, _ in received] == [bytes([number]) for number in range(100)]
            assert opened.host.endswith(f":{received[0][1][1]}")
            for data, source in received:
                peer.sendto(data, source)
            back = [await edge.heard(events.DatagramReceived) for _ in range(100)]
            assert [(event.address, event.port, event.payload) for event in back] == [
                (octets(loopback), port, bytes([number])) for number in range(100)
            ]

    go(scenario)


@pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")
def test_both_families_may_have_the_same_port() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with datagram_socket("127.0.0.1") as probe:
            port = probe.getsockname()[1]
            edge.udp.open(commands.OpenDatagram(2, port, 6))
            assert (await edge.heard(events.DatagramOpened)).host == f"[::]:{port}"

    go(scenario)


def test_the_guests_port_is_kept_when_it_is_free() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("0.0.0.0", 0))
            port = probe.getsockname()[1]
            edge.udp.open(commands.OpenDatagram(1, port))
            assert not (await edge.heard(events.DatagramOpened)).host.endswith(f":{port}")
        edge.udp.open(commands.OpenDatagram(2, port))
        assert (await edge.heard(events.DatagramOpened)).host.endswith(f":{port}")

    go(scenario)


@both_families
def test_a_closed_port_is_told_with_its_cause_and_the_socket_lives_on(loopback: str) -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        address = octets(loopback)
        with datagram_socket(loopback) as peer:
            closed = peer.getsockname()[1]
        edge.udp.open(opening(loopback))
        edge.udp.send(datagram(closed, b"anybody?", address=address))
        failed = await edge.heard(events.DatagramFailed)
        assert (failed.errno, failed.address, failed.port) == (errno.ECONNREFUSED, address, closed)
        assert failed.payload == b"anybody?"
        kind, code = (
            (icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PORT)
            if len(address) == 4
            else (icmpv6.Type.DESTINATION_UNREACHABLE, icmpv6.Unreachable.PORT)
        )
        assert failed.cause == events.IcmpCause(kind, code, address)
        with datagram_socket(loopback) as peer:
            edge.udp.send(datagram(closed, b"again", address=address))
            edge.udp.send(datagram(peer.getsockname()[1], b"alive", address=address))
            assert peer.recv(100) == b"alive"

    go(scenario)


def test_a_datagram_that_finds_no_room_is_told() -> None:
    class Full(socket.socket):
        """Loopback never is: it loses at the receiver."""

        def sendto(self, *arguments: object) -> int:
            raise BlockingIOError(errno.EAGAIN, "full")

    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.udp.open(commands.OpenDatagram(1, 0))
        opened = edge.udp._sockets[1]
        opened.sock = Full(fileno=opened.sock.detach())
        edge.udp.send(datagram(9))
        assert (await edge.heard(events.DatagramFailed)).errno == errno.EAGAIN

    go(scenario)


def test_a_datagram_that_the_kernel_refuses_is_told() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.udp.open(commands.OpenDatagram(1, 0))
        edge.udp.send(datagram(9, address=ip4("255.255.255.255")))
        failed = await edge.heard(events.DatagramFailed)
        assert failed.errno in (errno.EACCES, errno.ENETUNREACH)
        assert failed.cause is None

    go(scenario)


# --- ping ---


@both_families
def test_a_ping_is_answered_or_refused_with_a_reason(loopback: str) -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        edge.ping.send(commands.SendEcho(1, octets(loopback), 7, b"payload", 64))
        for event in edge.told:
            if isinstance(event, events.EchoLost):
                assert event.errno in (errno.EACCES, errno.EPERM)
                pytest.skip("net.ipv4.ping_group_range does not allow ping sockets here")
        replied = await edge.heard(events.EchoReplied)
        assert (replied.flow, replied.address, replied.sequence, bytes(replied.payload)) == (
            1,
            octets(loopback),
            7,
            b"payload",
        )

    go(scenario)


# --- bounds of the process ---


def test_running_out_of_descriptors_is_an_event_not_a_crash() -> None:
    import resource

    async def scenario(edge: Edge, server: socket.socket) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            edge.tcp.connect(commands.Connect(1, LOOPBACK, 1))
            edge.udp.open(commands.OpenDatagram(2, 0))
            edge.ping.send(commands.SendEcho(3, LOOPBACK, 1, b"", 64))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await edge.heard(events.ConnectFailed)).errno == errno.EMFILE
        assert (await edge.heard(events.DatagramLost)).errno == errno.EMFILE
        assert (await edge.heard(events.EchoLost)).errno in (errno.EMFILE, errno.EACCES)

    go(scenario)


def test_the_last_descriptors_are_not_for_flows() -> None:
    import resource

    async def scenario(edge: Edge, server: socket.socket) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (server.fileno() + RESERVE, hard))
        try:
            edge.tcp.connect(commands.Connect(1, LOOPBACK, server.getsockname()[1]))
            edge.udp.open(commands.OpenDatagram(2, 0))
            socket.socket().close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await edge.heard(events.ConnectFailed)).errno == errno.EMFILE
        assert (await edge.heard(events.DatagramLost)).errno == errno.EMFILE
        assert len(edge.tcp) == len(edge.udp) == 0

    go(scenario)
