"""Run in a network namespace of its own: our TCP against this kernel's, over a TUN that loses and delays.

The kernel is the guest: it reads a stream from port 50001, writes one to 50002, and does both on 50003. The
only argument is a ``Case`` as JSON; the outcome goes to standard output as JSON.
"""

import fcntl
import hashlib
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Config, Connection
from guestnet.wire import ip, ipv4, ipv6, tcp
from guestnet.wire.ipv4 import Protocol, ip4
from guestnet.wire.ipv6 import ip6

GUEST = {4: ip4("192.168.65.3"), 6: ip6("fd65:6775:6573:7400::3")}
SERVER = {4: ip4("10.0.0.1"), 6: ip6("2001:db8::1")}
READ, WRITE, BOTH = PORTS = (50001, 50002, 50003)
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_RAW_IP = 101
_LIMIT = 60 * SECOND


class Case(msgspec.Struct, frozen=True):
    """``sysctl`` under net.ipv4 for the kernel, which obeys it for both versions; ``config`` for us.

    Times in milliseconds, sizes in octets.
    """

    capture: str
    version: int = 4
    sysctl: dict[str, str] = {}
    config: Config = Config()
    loss: float = 0.0
    mark: float = 0.0
    delay: int = 5
    jitter: int = 0
    mtu: int = 1500
    size: int = 300_000


class Outcome(msgspec.Struct):
    """``error`` is empty when every stream arrived as it was sent."""

    error: str = ""
    dropped: int = 0
    capable: int = 0
    sent_again: int = 0


class Application:
    """The server's side of one connection."""

    def __init__(self, connection: Connection, stream: bytes) -> None:
        self.connection = connection
        self.port = connection.local.port
        self.to_send = memoryview(b"" if self.port == WRITE else stream)
        self.digest = hashlib.sha256()
        self.done = False

    def work(self) -> None:
        connection = self.connection
        connection.events()
        for run in connection.read(1 << 30):
            self.digest.update(run)
            connection.consumed(len(run))
        if connection.peer_closed and not self.done:
            self.done = True
            self.to_send = memoryview(bytes(self.to_send) + self.digest.digest())
        while room := min(connection.send_room, len(self.to_send)):
            connection.write(bytes(self.to_send[:room]))
            self.to_send = self.to_send[room:]
        if not self.to_send and (self.done or self.port == READ):
            connection.shutdown()


class Kernel(threading.Thread):
    """The guest's side: blocking sockets, checked against the same stream."""

    def __init__(self, server: str, stream: bytes) -> None:
        super().__init__(daemon=True)
        self.error = ""
        self._server = server
        self._stream = stream

    def run(self) -> None:
        try:
            for port in PORTS:
                self._exchange(port)
        except (OSError, AssertionError) as error:
            self.error = repr(error)

    def _exchange(self, port: int) -> None:
        stream = self._stream
        with socket.create_connection((self._server, port), timeout=_LIMIT // SECOND) as connection:
            writer = threading.Thread(target=self._write, args=(connection,))
            if port != READ:
                writer.start()
            came = b"".join(iter(lambda: connection.recv(65536), b""))
            if port != READ:
                writer.join()
            expected = b"" if port == WRITE else stream
            expected += b"" if port == READ else hashlib.sha256(stream).digest()
            assert came == expected, f"port {port}: {len(came)} octets came, {len(expected)} were expected"

    def _write(self, connection: socket.socket) -> None:
        connection.sendall(self._stream)
        connection.shutdown(socket.SHUT_WR)


class Bottleneck:
    """Carries packets between the TUN and our connections, late or never."""

    def __init__(self, case: Case, tun: int, stream: bytes) -> None:
        self.case = case
        self.outcome = Outcome()
        self._tun = tun
        self._stream = stream
        self._chance = random.Random(1)
        self._queue: list[tuple[int, int, bool, bytes]] = []
        self._count = 0
        self._sent: set[tuple[int, int]] = set()
        self._applications: dict[int, Application] = {}
        self._capture = Path(case.capture).open("wb")  # noqa: SIM115 (closed by ``run``)
        self._capture.write(struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _RAW_IP))

    def run(self, kernel: Kernel) -> Outcome:
        deadline = time.time_ns() + _LIMIT
        with self._capture:
            while kernel.is_alive() and time.time_ns() < deadline:
                self._turn()
        self.outcome.error = kernel.error or ("too late" if kernel.is_alive() else "")
        return self.outcome

    def _turn(self) -> None:
        now = time.time_ns()
        due = [application.connection.poll_at() for application in self._applications.values()]
        due += [entry[0] for entry in self._queue[:1]]
        wait = min((max(at - now, 0) for at in due if at is not None), default=SECOND)
        select.select([self._tun], [], [], min(wait, SECOND // 20) / SECOND)
        now = time.time_ns()
        self._read(now)
        while self._queue and self._queue[0][0] <= now:
            _, _, to_kernel, packet = heapq.heappop(self._queue)
            if to_kernel:
                os.write(self._tun, packet)
            else:
                self._receive(packet, now)
        for application in self._applications.values():
            poll_at = application.connection.poll_at()
            if poll_at is not None and poll_at <= now:
                application.connection.on_timer(now)
            application.work()
            self._flush(application.connection, now)

    def _read(self, now: int) -> None:
        while True:
            try:
                packet = os.read(self._tun, 65536)
            except BlockingIOError:
                return
            protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
            if packet[0] >> 4 == self.case.version and protocol == Protocol.TCP:
                self._carry(packet, now, to_kernel=False)

    def _carry(self, packet: bytes, now: int, *, to_kernel: bool) -> None:
        self._capture.write(
            struct.pack("<LLLL", now // SECOND, now % SECOND // 1000, len(packet), len(packet)) + packet
        )
        case, chance = self.case, self._chance
        if chance.random() < case.loss:
            self.outcome.dropped += 1
            return
        self._count += 1
        late = case.delay + (chance.random() * case.jitter)
        heapq.heappush(self._queue, (now + int(late * MILLISECOND), self._count, to_kernel, packet))

    def _receive(self, packet: bytes, now: int) -> None:
        came = ipv4.parse(packet) if self.case.version == 4 else ipv6.parse(packet)
        segment = tcp.parse(came.payload, came.source, came.destination)
        application = self._applications.get(segment.source_port)
        if application is not None:
            marked = bool(came.tos & 3) and self._chance.random() < self.case.mark
            application.connection.on_segment(segment, now, ce=marked)
        elif segment.flags & tcp.Flags.SYN:
            draw = self._chance.getrandbits
            connection = Connection.from_syn(
                segment, now, self.case.config, source=came.source, destination=came.destination,
                iss=draw(32), timestamp_offset=draw(32),
            )  # fmt: skip
            connection.accept(now)
            self._applications[segment.source_port] = Application(connection, self._stream)

    def _flush(self, connection: Connection, now: int) -> None:
        while segments := connection.transmit(now):
            self.outcome.capable += connection.ect
            for octets in segments:
                segment = tcp.parse(octets)
                if segment.payload:
                    key = segment.destination_port, segment.seq
                    self.outcome.sent_again += key in self._sent
                    self._sent.add(key)
                tos = 2 * connection.ect
                if tos and self._chance.random() < self.case.mark:
                    tos = 3
                local, remote = connection.local.address, connection.remote.address
                packet = ip.emit(ip.packet_of(local, remote, Protocol.TCP, octets, tos=tos))
                self._carry(packet, now, to_kernel=True)


def open_tun(case: Case) -> int:
    """A TUN with the guest's address; the kernel's options are set."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", b"tun0", _TUN_WITHOUT_HEADER))
    version = f"-{case.version}"
    length, *flags = ("/24",) if case.version == 4 else ("/64", "nodad")
    for command in (
        ["link", "set", "tun0", "mtu", str(case.mtu), "up"],
        ["address", "add", ip.show_ip(GUEST[case.version]) + length, "dev", "tun0", *flags],
        ["route", "add", "default", "dev", "tun0"],
    ):
        subprocess.run(["ip", version, *command], check=True)
    for name, value in case.sysctl.items():
        Path("/proc/sys/net/ipv4", name).write_text(value)
    return tun


def main() -> None:
    case = msgspec.json.decode(sys.argv[1], type=Case)
    stream = random.Random(7).randbytes(case.size)
    kernel = Kernel(ip.show_ip(SERVER[case.version]), stream)
    bottleneck = Bottleneck(case, open_tun(case), stream)
    kernel.start()
    print(msgspec.json.encode(bottleneck.run(kernel)).decode())


if __name__ == "__main__":
    main()
