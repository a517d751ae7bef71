"""TCP sockets on loopback: each command, and each way in which it may end."""

import asyncio
import errno
import socket
import sys
from pathlib import Path

import pytest

from guestnet.gateway import commands, events
from guestnet.wire.ipv4 import ip4
from tests.unit.edge.host_edge import (
    LOOPBACK,
    Edge,
    both_families,
    datagram_socket,
    go,
    octets,
)

_IP_RECVTOS = 13
_IP_PKTOPTIONS = 9


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


def test_a_stream_is_marked_from_its_connect_on() -> None:
    async def scenario(edge: Edge, server: socket.socket) -> None:
        server.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
        edge.tcp.connect(commands.Connect(1, LOOPBACK, server.getsockname()[1], tos=0xB8))
        await edge.heard(events.Connected)
        accepted, _ = server.accept()
        with accepted:
            # One control message: its length, level and kind, then the octet that the handshake had.
            told = accepted.getsockopt(socket.IPPROTO_IP, _IP_PKTOPTIONS, 64)
        assert (int.from_bytes(told[12:16], sys.byteorder), told[16]) == (socket.IP_TOS, 0xB8)

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


ESTABLISHED = "01"


def timer_of(own: str) -> int:
    """Which timer runs for the connection of ``own``, as the kernel writes it.

    Former ones of the same port may be in TIME-WAIT.
    """
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    (shown,) = [row[5] for row in rows if row[1] == own and row[3] == ESTABLISHED]
    return int(shown.partition(":")[0], 16)


def test_a_silent_end_is_asked_when_that_is_wanted() -> None:
    """As /proc/net/tcp shows it: timer 2 is the keepalive's."""

    async def scenario(edge: Edge, server: socket.socket) -> None:
        port = server.getsockname()[1]
        for keepalive, timer in ((None, 0), ((60, 60, 5), 2)):
            edge.tcp.connect(commands.Connect(1, LOOPBACK, port, keepalive=keepalive))
            host = (await edge.heard(events.Connected)).host
            accepted, _ = server.accept()
            own = f"0100007F:{int(host.rpartition(':')[2]):04X}"
            assert timer_of(own) == timer
            edge.tcp.close_flow(commands.Close(1))
            accepted.close()

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


@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "one-by-one"])
def test_an_urgent_octet_arrives_in_its_place_and_holds_up_nothing(at_once: bool) -> None:
    """A read stops before an urgent octet, so that a short one is not all that there is."""

    async def scenario(edge: Edge, server: socket.socket) -> None:
        received = b""

        async def until(expected: bytes) -> None:
            nonlocal received
            while received != expected:
                assert expected.startswith(received)
                received += (await edge.heard(events.DataReceived)).data

        with await edge.open(server) as accepted:
            if not at_once:
                edge.tcp.receive(commands.Receive(1, 100))
            for piece, flags, so_far in (
                (b"before", 0, b"before"), (b"!", socket.MSG_OOB, b"before!"), (b"after", 0, b"before!after"),
            ):  # fmt: skip
                accepted.send(piece, flags)
                if not at_once:
                    await until(so_far)
            edge.tcp.receive(commands.Receive(1, 100))
            await until(b"before!after")
            accepted.shutdown(socket.SHUT_WR)
            await edge.heard(events.EndOfStream)

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
