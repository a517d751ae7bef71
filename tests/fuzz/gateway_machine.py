"""The builtin stack: frames of a guest as it sends them or not, answers of the host as they come or not."""

from typing import Final

from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Limits
from guestnet.gateway.gateway import Gateway
from guestnet.wire import checksum
from tests.fuzz import corpus
from tests.fuzz.script import Script, blocks

START: Final = 1_700_000_000 * SECOND
LIMITS: Final = Limits(
    tcp_flows=8, connecting=4, udp_flows=4, echo_flows=3, dns_pending=3, tcp_buffer=65536
)  # fmt: skip
CONFIG: Final = GatewayConfig(limits=LIMITS)
FRAME, MENDED, TURN, WAIT, ANSWER, DUE = range(6)
MOST_UDP: Final = 65507
"""Octets of payload in the largest datagram over IPv4."""
MOST_OPEN: Final = 64
"""Commands whose answers are still to come; older ones never are answered."""


class Edge:
    """Plays a script to a gateway."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now = START
        self.gateway = Gateway(CONFIG)
        self.batch: list[bytes] = []
        self.open: list[commands.Command] = []
        self.credit: dict[int, int] = {}

    def step(self) -> None:
        """One thing happens."""
        kind = self.script.number() % 6
        if kind in (FRAME, MENDED):
            octets = self.script.block()
            self.batch.append(mended(octets) if kind == MENDED else octets)
        elif kind == WAIT:
            self.now += self.script.duration()
            self.turn()
        elif kind == DUE:
            self.now = max(self.now, self.gateway.poll_at() or 0)
            self.turn()
        elif kind == ANSWER:
            if self.open:
                choice = self.script.number()
                command = self.open[choice % len(self.open)]
                answer = self.answer(command, choice >> 4)
                if answer is not None:
                    self.turn([answer])
        else:
            self.turn()

    def turn(self, happened: list[events.Event] | None = None) -> None:
        """Tell the gateway, and at once what has to be told at once."""
        happened = [*([events.FramesReceived(self.batch)] if self.batch else []), *(happened or [])]
        self.batch = []
        for _ in range(50):
            given = self.gateway.handle(happened, self.now)
            happened = []
            for command in given:
                if isinstance(command, commands.Send):
                    happened.append(events.Sent(command.flow, sum(map(len, command.data))))
                elif isinstance(command, commands.Receive):
                    self.credit[command.flow] = command.credit
                    self.open.append(command)
                elif not isinstance(command, commands.SendFrames | commands.Record):
                    self.open.append(command)
            del self.open[:-MOST_OPEN]
            if not happened:
                break
        else:
            raise AssertionError("a turn has no end")
        self.check()

    def answer(self, command: commands.Command, choice: int) -> events.Event | None:
        """What a host might say to ``command``, once or again."""
        script = self.script
        errno = script.number()
        if isinstance(command, commands.Connect):
            if choice & 1:
                return events.Connected(command.flow, "127.0.0.1:1")
            return events.ConnectFailed(command.flow, errno)
        if isinstance(command, commands.Receive):
            return self._stream(command.flow, choice, errno)
        if isinstance(command, commands.ListServers):
            return events.ServersListed(command.token, ["192.0.2.53", "192.0.2.54"][: choice & 3])
        if isinstance(command, commands.AskServer):
            answer = command.query[:2] + bytes((command.query[2] | 0x80,)) + command.query[3:]
            if choice & 3 == 0:
                return events.ServerFailed(command.token)
            return events.ServerAnswered(command.token, (b"", answer, b"", script.block())[choice & 3])
        if isinstance(command, commands.OpenDatagram):
            if choice & 1:
                return events.DatagramOpened(command.flow, "127.0.0.1:1")
            return events.DatagramLost(command.flow, errno)
        if isinstance(command, commands.SendDatagram):
            return self._datagram(command, choice, errno)
        if isinstance(command, commands.SendEcho):
            return self._echo(command, choice, errno)
        return None

    def _stream(self, flow: int, choice: int, errno: int) -> events.Event:
        if choice & 3 == 1:
            return events.EndOfStream(flow)
        if choice & 3 == 2:
            return events.ConnectionLost(flow, errno)
        length = min(self.credit.get(flow, 0), errno * 256)
        self.credit[flow] = self.credit.get(flow, 0) - length
        return events.DataReceived(flow, bytes(length))

    def _datagram(self, command: commands.SendDatagram, choice: int, errno: int) -> events.Event:
        flow, address, port = command.flow, command.address, command.port
        if choice & 3 == 1:
            return events.DatagramFailed(flow, address, port, errno)
        if choice & 3 == 2:
            cause = events.IcmpCause(errno & 15, choice >> 2, bytes(address), self.script.number(2))
            return events.DatagramFailed(flow, address, port, errno, bytes(command.payload), cause)
        length = min(self.script.number(2), MOST_UDP)
        payload = bytes(length) if choice & 4 else bytes(command.payload)
        return events.DatagramReceived(flow, address, port, payload)

    def _echo(self, command: commands.SendEcho, choice: int, errno: int) -> events.Event:
        flow, address, sequence = command.flow, command.address, command.sequence
        if choice & 3 == 1:
            return events.EchoLost(flow, errno)
        if choice & 3 == 2:
            cause = events.IcmpCause(errno & 15, choice >> 2, bytes(address), self.script.number(2))
            return events.EchoFailed(flow, address, sequence, errno, bytes(command.payload), cause)
        return events.EchoReplied(flow, address, sequence, bytes(command.payload))

    def check(self) -> None:
        """No more is held than the limits say."""
        gateway = self.gateway
        assert len(gateway.tcp) <= LIMITS.tcp_flows
        assert len(gateway.udp) <= LIMITS.udp_flows
        assert len(gateway.icmp) <= LIMITS.echo_flows


def gateway(data: bytes) -> None:
    """Anything happens, then nothing any more: time takes away all but open TCP connections."""
    edge = Edge(Script(data))
    while edge.script.goes_on:
        edge.step()
    edge.turn()
    for _ in range(400):
        at = edge.gateway.poll_at()
        if at is None or not (len(edge.gateway.udp) or len(edge.gateway.icmp)):
            break
        edge.now = max(edge.now, at)
        edge.gateway.handle([], edge.now)
    assert len(edge.gateway.udp) == len(edge.gateway.icmp) == 0


def mended(octets: bytes) -> bytes:
    """A frame to the gateway, as far as it is one with right lengths and checksums: it will be looked at."""
    frame = bytearray(octets)
    if len(frame) < 34 or octets[12:14] not in (b"\x08\x00", b"\x86\xdd"):
        return octets
    if not frame[0] & 1:
        frame[:6] = CONFIG.mac
    if frame[12] == 0x08:
        start, protocol = 14 + 4 * (frame[14] & 15), frame[23]
        frame[16:18] = (len(frame) - 14).to_bytes(2, "big")
        frame[24:26] = bytes(2)
        frame[24:26] = checksum.internet(bytes(frame[14:start])).to_bytes(2, "big")
        ends = bytes(frame[26:34])
        if frame[20] & 0x3F or frame[21]:
            return bytes(frame)  # a fragment
    else:
        start, protocol = 54, frame[20]
        frame[18:20] = max(len(frame) - 54, 0).to_bytes(2, "big")
        ends = bytes(frame[22:54])
    at = {1: 2, 6: 16, 17: 6, 58: 2}.get(protocol)
    length = len(frame) - start
    if at is None or length < at + 2:
        return bytes(frame)
    half = len(ends) // 2
    initial = 0 if protocol == 1 else checksum.pseudo_sum(ends[:half], ends[half:], protocol, length)
    if protocol == 17:
        frame[start + 4 : start + 6] = length.to_bytes(2, "big")
    frame[start + at : start + at + 2] = bytes(2)
    frame[start + at : start + at + 2] = checksum.internet(bytes(frame[start:]), initial).to_bytes(2, "big")
    return bytes(frame)


def corpora() -> list[bytes]:
    """The guest's frames a few at a time, each answered by whatever comes first."""
    ours = [octets for octets in corpus.frames() if octets[6:12] != CONFIG.mac]
    after = bytes((TURN, ANSWER, 0x10, 5, ANSWER, 0x11, 5, ANSWER, 0x22, 200, ANSWER, 0x13, 5, WAIT, 5, DUE))
    parts = [ours[at : at + 3] for at in range(0, len(ours), 3)]
    return [blocks(MENDED, part) + after for part in parts] + [
        b"".join(blocks(MENDED, part) + after for part in parts[start : start + 6])
        for start in range(0, len(parts), 6)
    ]
