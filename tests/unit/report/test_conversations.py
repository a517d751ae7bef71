"""Who talked to whom, from frames alone."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from guestnet.journal.capture import Record
from guestnet.report.conversations import MOST, Conversation, columns, conversations
from guestnet.wire import frame

CLIENT, SERVER = ("192.168.65.3", 40000), ("203.0.113.10", 80)
MS = 1_000_000


class Wire:
    """Frames a millisecond apart."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def tcp(self, flags: str, seq: int, *, up: bool = True, data: int = 0, link: str = "cable") -> None:
        (source, sport), (target, dport) = (CLIENT, SERVER) if up else (SERVER, CLIENT)
        ip = IP if ip_address(source).version == 4 else IPv6
        segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq % 2**32, ack=1)
        self.add(bytes(Ether() / ip(src=source, dst=target) / segment / (b"x" * data)), link)

    def udp(self, *, up: bool = True, data: int = 0) -> None:
        (source, sport), (target, dport) = (CLIENT, SERVER) if up else (SERVER, CLIENT)
        self.add(bytes(Ether() / IP(src=source, dst=target) / UDP(sport=sport, dport=dport) / (b"x" * data)))

    def add(self, octets: bytes, link: str = "cable") -> None:
        number = len(self.records) + 1
        self.records.append(
            Record(
                number=number, at=number * MS, link=link, direction=None, data=octets,
                wire_length=len(octets), comment="", packet_id=0,
            )
        )  # fmt: skip

    def found(self) -> list[Conversation]:
        seen = [frame.decode(record.data, record.wire_length) for record in self.records]
        return conversations(zip(self.records, seen, strict=True))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def handshake(wire: Wire, seq: int = 100) -> None:
    wire.tcp("S", seq)
    wire.tcp("SA", 900, up=False)
    wire.tcp("A", seq + 1)


def test_a_connection_from_handshake_to_close(wire: Wire) -> None:
    handshake(wire)
    wire.tcp("PA", 101, data=20)
    wire.tcp("PA", 901, up=False, data=300)
    wire.tcp("FA", 121)
    wire.tcp("FA", 1201, up=False)
    wire.tcp("A", 122)
    (one,) = wire.found()
    assert (one.client, one.server, one.link, one.protocol) == (
        "192.168.65.3:40000", "203.0.113.10:80", "cable", "TCP",
    )  # fmt: skip
    assert (one.up.octets, one.down.octets, one.packets, one.first) == (20, 300, 8, 1)
    assert (one.handshake, one.ended - one.began, one.end) == (1 * MS, 7 * MS, "closed")
    assert (one.up.again, one.down.again) == (0, 0)


def test_what_is_sent_again_is_counted_where_sequence_numbers_wrap_too(wire: Wire) -> None:
    start = 2**32 - 50
    handshake(wire, start)
    for seq in (1, 31, 61, 31, 1, 91):
        wire.tcp("PA", start + seq, data=30)
    (one,) = wire.found()
    assert (one.up.octets, one.up.again, one.end) == (180, 2, "open")


def test_a_syn_that_comes_again_counts_from_the_first(wire: Wire) -> None:
    wire.tcp("S", 100)
    wire.tcp("S", 100)
    wire.tcp("SA", 900, up=False)
    (one,) = wire.found()
    assert (one.handshake, one.up.again) == (2 * MS, 1)


@pytest.mark.parametrize(
    ("flags", "end"),
    [
        (["S"], "unanswered"),
        (["S", "-RA"], "refused"),
        (["S", "-SA", "A"], "open"),
        (["S", "-SA", "A", "R"], "reset"),
        (["S", "-SA", "A", "-FA"], "half-closed"),
        (["A"], "open"),
    ],
)
def test_how_it_ended(wire: Wire, flags: list[str], end: str) -> None:
    for word in flags:
        wire.tcp(word.removeprefix("-"), 900 if word.startswith("-") else 100, up=not word.startswith("-"))
    (one,) = wire.found()
    assert one.end == end


def test_the_same_ports_again_are_another_connection(wire: Wire) -> None:
    handshake(wire, 100)
    wire.tcp("R", 101)
    handshake(wire, 5000)
    assert [(one.first, one.packets, one.end) for one in wire.found()] == [(1, 4, "reset"), (5, 3, "open")]


def test_each_link_and_each_protocol_apart_and_nothing_that_was_dropped(wire: Wire) -> None:
    wire.tcp("S", 100)
    wire.tcp("S", 100, link="wifi")
    wire.tcp("S", 100, link="wifi-dropped")
    wire.udp(data=5)
    wire.udp(up=False, data=7)
    wire.add(bytes(Ether()))
    found = wire.found()
    assert [f"{one.link} {one.protocol}" for one in found] == ["cable TCP", "wifi TCP", "cable UDP"]
    assert (found[2].up.octets, found[2].down.octets, found[2].end) == (5, 7, "")


def test_a_report_shows_so_many(wire: Wire) -> None:
    one = Conversation("cable", "TCP", "a:1", "b:2", began=7, first=1, ended=9)
    table = columns([one] * (MOST + 1), start=5)
    assert (table["all"], len(table["link"]), table["at"][0], table["took"][0]) == (MOST + 1, MOST, 2, 2)
