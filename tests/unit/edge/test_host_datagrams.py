"""Datagram and ping sockets on loopback, and descriptors: each command, and each way in which it may end."""

import errno
import socket
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from guestnet.core.errors import EnvironmentMissing
from guestnet.edge.descriptors import RESERVE, fitting
from guestnet.gateway import commands, events
from guestnet.gateway.config import Limits
from guestnet.wire import icmp, icmpv6
from guestnet.wire.ipv4 import ip4
from tests.unit.edge.host_edge import (
    LOOPBACK,
    Edge,
    both_families,
    datagram_socket,
    go,
    has_ipv6,
    octets,
    opening,
)


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


@both_families
def test_the_marks_of_datagrams_are_set_and_told(loopback: str) -> None:
    is_ipv4 = "." in loopback
    level = socket.IPPROTO_IP if is_ipv4 else socket.IPPROTO_IPV6
    ttl, tos = (
        (socket.IP_TTL, socket.IP_TOS) if is_ipv4 else (socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS)
    )

    async def scenario(edge: Edge, server: socket.socket) -> None:
        with datagram_socket(loopback) as peer:
            peer.setsockopt(level, 13 if is_ipv4 else socket.IPV6_RECVTCLASS, 1)
            edge.udp.open(opening(loopback))
            port = int((await edge.heard(events.DatagramOpened)).host.rpartition(":")[2])
            for mark in (0xB8, 0xB9, 0):
                edge.udp.send(
                    replace(datagram(peer.getsockname()[1], address=octets(loopback)), tos=mark)
                )
                _, ancillary, _, _ = peer.recvmsg(100, 100)
                ((_, _, data),) = ancillary
                assert int.from_bytes(data, sys.byteorder) == mark
            peer.setsockopt(level, ttl, 57)
            peer.setsockopt(level, tos, 0x28)
            peer.sendto(b"back", (loopback, port))
            told = await edge.heard(events.DatagramReceived)
            assert (told.payload, told.ttl, told.tos) == (b"back", 57, 0x28)

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


@pytest.mark.parametrize("places", [16, 150, 4096, 18_000])
def test_bounds_on_flows_are_made_to_fit_the_descriptors(places: int) -> None:
    import resource

    used = RESERVE + len(list(Path("/proc/self/fd").iterdir()))
    usual = Limits()
    with patch.object(resource, "getrlimit", return_value=(used + places, used + places)):
        limits = fitting(usual)
    sockets = limits.tcp_flows + limits.udp_flows + limits.echo_flows + limits.dns_pending
    assert places - 1 <= sockets <= places
    assert 0 < limits.connecting < limits.tcp_flows <= usual.tcp_flows
    assert 0 < limits.udp_flows <= usual.udp_flows
    assert 0 < limits.echo_flows <= usual.echo_flows
    assert 0 < limits.dns_pending <= usual.dns_pending


@pytest.mark.parametrize("allowed", [1 << 16, -1])
def test_with_enough_descriptors_bounds_are_what_they_are(allowed: int) -> None:
    import resource

    with patch.object(resource, "getrlimit", return_value=(allowed, allowed)):
        assert fitting(Limits()) == Limits()


def test_a_stack_without_descriptors_says_so() -> None:
    import resource

    with (
        patch.object(resource, "getrlimit", return_value=(64, 64)),
        pytest.raises(EnvironmentMissing, match=r"only 64 descriptors.*ulimit -n"),
    ):
        fitting(Limits())


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
