"""Questions to the files of a lab, also of one that is long gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from guestnet.core.events import Event, FlowOpened, FrameDropped, Noted
from guestnet.core.time import SECOND
from guestnet.journal.query import Trace
from guestnet.journal.recording import FileRecorder
from guestnet.link.link import Link
from guestnet.link.settings import impairments
from guestnet.link.verdicts import SHOWN

QUERY = bytes(
    Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5, dport=53) / DNS(qd=DNSQR(qname="a.example"))
)
SYN = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5, dport=80, flags="S"))
WHO = bytes(Ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[FileRecorder]:
    recorder = FileRecorder(tmp_path)
    yield recorder
    recorder.close(9_000_000_000)


@pytest.fixture
def trace(tmp_path: Path, recorder: FileRecorder) -> Trace:
    recorder.event(Noted(at=1_000_000_000, text="begin"))
    recorder.frames("cable", "up", [WHO, QUERY], 1_500_000_000)
    recorder.frames("wifi", "up", [QUERY], 2_000_000_000)
    recorder.event(
        FlowOpened(at=2_500_000_000, flow=1, transport="udp", guest="10.0.0.1:5", remote="10.0.0.2:53")
    )
    recorder.frames("cable", "up", [SYN], 3_000_000_000)
    recorder.flush()
    trace = Trace(tmp_path)
    trace.refresh()
    return trace


def test_packets_by_link_time_and_predicate(trace: Trace) -> None:
    def numbers(*args: object, **kwargs: object) -> list[int]:
        return [packet.number for packet in trace.packets(*args, **kwargs)]  # type: ignore[arg-type]

    assert numbers() == [1, 2, 3, 4]
    assert numbers(link="cable") == [1, 2, 4]
    assert numbers(lambda packet: packet.dns is not None) == [2, 3]
    assert numbers(since=2_000_000_000) == [3, 4]
    assert numbers(until=2_000_000_000) == [1, 2, 3]
    assert numbers(first=2, link="cable") == [4]


def test_events_by_kind_time_and_predicate(trace: Trace) -> None:
    assert [event.at for event in trace.events(Event)] == [1_000_000_000, 2_500_000_000]
    assert [event.flow for event in trace.events(FlowOpened)] == [1]
    assert list(trace.events(FlowOpened, lambda event: event.flow == 2)) == []
    assert list(trace.events(Noted, since=2_000_000_000)) == []


def test_packets_show_their_layers(trace: Trace) -> None:
    who, query, _, syn = trace.all_packets
    assert who.arp is not None
    assert query.dns is not None
    assert str(query.dns.question[0].name) == "a.example."
    assert syn.tcp is not None
    assert syn.tcp.destination_port == 80
    assert who.show() == "ARP, Request who-has 10.0.0.2 tell 10.0.0.1"
    assert syn.show().startswith("IP 10.0.0.1.5 > 10.0.0.2.80: Flags [S]")


def test_a_running_lab_is_followed(trace: Trace, recorder: FileRecorder) -> None:
    recorder.frames("vpn", "down", [SYN], 4_000_000_000)
    recorder.event(Noted(at=4_000_000_000, text="more"))
    recorder.flush()
    trace.refresh()

    assert [packet.link for packet in trace.packets(since=4_000_000_000)] == ["vpn"]
    assert trace.links == ["cable", "wifi", "vpn"]
    assert [event.text for event in trace.events(Noted)] == ["begin", "more"]


def test_times_count_from_the_beginning(trace: Trace) -> None:
    assert trace.since_start(2_500_000_000) == 1.5


def test_an_empty_folder_is_an_empty_trace(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "nothing")
    trace.refresh()

    assert list(trace.packets()) == []
    assert list(trace.events(Event)) == []
    assert trace.began == 0


def test_every_verdict_is_told_alone_or_with_others(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path)
    link = Link("wifi", seed=3)
    link.impair(impairments(delay="40ms", drop="every 2nd"), SECOND)
    frames = [WHO] * (4 * SHOWN)
    for event in (*link.offer("up", frames, SECOND).events, *link.due("up", 2 * SECOND).events):
        recorder.event(event)
    recorder.close(2 * SECOND)
    trace = Trace(tmp_path)
    trace.refresh()

    verdicts = list(trace.verdicts())
    assert sorted(one.packet_id for one in verdicts) == list(range(1, len(frames) + 1))
    assert {(one.what, one.packet_id % 2) for one in verdicts} == {("delayed", 1), ("dropped", 0)}
    assert {one.delay for one in verdicts} == {0, 40_000_000}
    assert len(list(trace.events(FrameDropped))) == SHOWN
    assert len(list(trace.verdicts(lambda one: one.what == "dropped", since=SECOND))) == 2 * SHOWN
    assert not list(trace.verdicts(since=SECOND + 1))
    assert not list(trace.verdicts(until=SECOND - 1))
