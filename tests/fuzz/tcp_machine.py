"""A TCP connection and a peer that says anything: numbers near the right ones, or none that make sense."""

from typing import Final

from guestnet.core.time import SECOND
from guestnet.tcpip.tcp import Config, Connection, Endpoint, State
from guestnet.wire.ipv4 import ip4
from guestnet.wire.tcp import Flags, Segment
from tests.fuzz.script import Script

GUEST, SERVER = Endpoint(ip4("192.168.65.3"), 40000), Endpoint(ip4("10.0.0.1"), 80)
START: Final = 1_700_000_000 * SECOND
CONFIGS: Final = (
    Config(receive_buffer=20_000, send_buffer=10_000, retries=4),
    Config(receive_buffer=20_000, send_buffer=10_000, retries=4, sack=False, congestion="newreno"),
    Config(receive_buffer=100_000, send_buffer=50_000, retries=4, ecn=True, urgent="strip"),
    Config(receive_buffer=20_000, send_buffer=10_000, retries=4, timestamps=False, keepalive=30 * SECOND),
)
MASK: Final = 0xFFFFFFFF


class Peer:
    """Plays a script to a connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now = START
        choice = script.number()
        self.config = CONFIGS[choice & 3]
        self.stamped = bool(choice & 4)
        if choice & 8:
            self.connection = Connection.connect(
                self.now, self.config, local=SERVER, remote=GUEST, iss=0xFFFFFFF0
            )
        else:
            self.connection = Connection.from_syn(
                self.segment(Flags.SYN, 7, 0), self.now, self.config, source=GUEST.address,
                destination=SERVER.address, iss=0xFFFFFFF0,
            )  # fmt: skip
        if choice & 16:
            self.connection.accept(self.now)

    def segment(self, flags: Flags, seq: int, ack: int, payload: bytes = b"", **rest: object) -> Segment:
        """From the guest to us; a SYN offers everything."""
        if flags & Flags.SYN:
            rest = {"mss": 1000, "window_scale": 2, "sack_permitted": True} | rest
        stamps = (self.now // 1_000_000 & MASK, 0) if self.stamped else None
        fields = {"window": 5000, "timestamps": stamps} | rest
        return Segment(GUEST.port, SERVER.port, seq & MASK, ack & MASK, flags, payload=payload, **fields)  # type: ignore[arg-type]

    def near(self, base: int) -> int:
        """``base``, or a number from the script that is near it or anywhere."""
        kind = self.script.number()
        if kind < 128:
            return base
        if kind < 250:
            return base + self.script.number(2) - 0x8000
        return self.script.number(4)

    def says(self) -> None:
        """One segment with anything in it."""
        script, receiver, sender = self.script, self.connection.receiver, self.connection.sender
        flags = Flags(script.number())
        seq, ack = self.near(receiver.rcv_nxt), self.near(sender.snd_nxt)
        rest: dict[str, object] = {"window": script.number(2), "urgent": script.number()}
        kinds = script.number()
        if kinds & 1:
            rest["sack"] = tuple(
                (self.near(sender.snd_una) & MASK, self.near(sender.snd_nxt) & MASK)
                for _ in range(1 + (kinds >> 6))
            )
        if kinds & 2:
            rest["timestamps"] = (script.number(4), script.number(4))
        if kinds & 4:
            rest["timestamps"] = None
        payload = bytes(script.number() * (kinds >> 3 & 7))
        self.connection.on_segment(self.segment(flags, seq, ack, payload, **rest), self.now, ce=flags > 200)

    def step(self) -> None:
        """One thing happens."""
        script, connection = self.script, self.connection
        kind, amount = script.number() & 15, script.number()
        if kind < 4:
            self.says()
        elif kind == 4:
            ack = min(connection.sender.snd_una + amount * 64, connection.sender.snd_nxt)
            seq = connection.receiver.rcv_nxt
            connection.on_segment(self.segment(Flags.ACK, seq, ack, bytes(amount & 15)), self.now)
        elif kind == 5:
            self._selective(amount)
        elif kind == 6:
            connection.write(bytes(min(amount * 64, connection.send_room)))
        elif kind == 7:
            connection.consumed(sum(map(len, connection.read(amount * 100))))
        elif kind == 8:
            self.now += script.duration()
            connection.on_timer(self.now)
        elif kind == 9:
            connection.on_packet_too_big(amount * 8, self.near(connection.sender.snd_una) & MASK, self.now)
        elif kind == 10:
            connection.shutdown()
        elif kind == 11:
            connection.accept(self.now)
        elif kind == 12 and amount == 255:
            connection.abort()
        elif (due := connection.poll_at()) is not None:
            self.now = max(self.now, due)
            connection.on_timer(self.now)
        for _ in range(100):
            if not connection.transmit(self.now):
                break
        else:
            raise AssertionError("it has something to send for ever")
        self.check()

    def _selective(self, amount: int) -> None:
        """A good acknowledgment with a SACK block where one may be."""
        sender = self.connection.sender
        left = min(sender.snd_una + 1 + amount * 16, sender.snd_nxt)
        right = min(left + self.script.number() * 32, sender.snd_nxt)
        if left < right:
            blocks = ((left & MASK, right & MASK),)
            seq, ack = self.connection.receiver.rcv_nxt, sender.snd_una
            self.connection.on_segment(self.segment(Flags.ACK, seq, ack, sack=blocks), self.now)

    def check(self) -> None:
        """What is held is bounded, and adds up."""
        connection, config = self.connection, self.config
        sender, receiver = connection.sender, connection.receiver
        assert connection.readable <= receiver.held <= config.receive_buffer + 8
        assert all(block[1] <= receiver.rcv_adv for block in receiver.buffer.blocks)
        assert 0 <= sender.snd_nxt - sender.snd_una <= config.send_buffer + 2
        assert len(connection.events()) < 10
        edge, counts = sender.snd_una, [0, 0, 0]
        for run in sender.flight.runs:
            assert run.start == edge < run.end
            edge = run.end
            counts[run.mark] += run.end - run.start
        opening = connection.state in (State.SYN_SENT, State.SYN_RECEIVED, State.CLOSED)
        assert opening or edge == sender.snd_nxt
        assert counts == [sender.flight.pipe, sender.flight.lost, sender.flight.sacked]
        assert sender.mss >= 8
        assert sender.congestion.cwnd > 0
        if sender.flight.pipe and connection.state is not State.CLOSED:
            assert sender.rto_at is not None or sender.persist_at is not None


def connection(data: bytes) -> None:
    """A peer says anything, then nothing: what is unanswered is given up and timers end."""
    peer = Peer(Script(data))
    while peer.script.goes_on:
        peer.step()
    machine = peer.connection
    for _ in range(200):
        due = machine.poll_at()
        if due is None or peer.config.keepalive:
            break
        peer.now = max(peer.now, due)
        machine.on_timer(peer.now)
        while machine.transmit(peer.now):
            pass
    else:
        raise AssertionError("its timers never end")
    machine.abort()
    machine.transmit(peer.now)
    assert machine.state is State.CLOSED
    assert machine.poll_at() is None


def corpora() -> list[bytes]:
    """Opened both ways; bulk to the peer with holes; bulk from it; closing; in each configuration."""
    acknowledge, write, read, timer, shut, due = (4, 255), (6, 100), (7, 255), (8, 1, 3), (10, 0), (13, 0)
    hole = (5, 10, 20)
    says = (0, 0, 0x10, 0, 0, 0x10, 0, 0, 0x8 * 4, 200)
    fin = (0, 0, 0x11, 0, 0, 0x10, 0, 0, 0)
    syn_ack = (0, 0, 0x12, 250, 0, 0, 0, 1, 0, 0x40, 0, 0, 0)
    bodies = [
        (
            acknowledge,
            write,
            timer,
            acknowledge,
            write,
            hole,
            hole,
            hole,
            timer,
            acknowledge,
            shut,
            acknowledge,
        ),
        (acknowledge, says, says, read, says, timer, fin, read, shut, acknowledge),
        (acknowledge, write, write, due, due, due, acknowledge, shut, fin, acknowledge, due),
        (syn_ack, write, hole, timer, acknowledge, fin, shut, acknowledge),
    ]
    heads = [choice | 16 | stamped for choice in range(4) for stamped in (0, 4)]
    return [bytes((head, *sum(body, ()))) for head in heads for body in bodies]
