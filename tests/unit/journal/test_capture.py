"""Captures as they are written, followed while they grow, and opened by other programs."""

import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader, RawPcapReader

from guestnet.frames import virtio
from guestnet.frames.train import Train
from guestnet.journal.capture import HEADERS, NOTHING, WHOLE, CaptureReader, Record
from guestnet.journal.capturing import CaptureWriter
from guestnet.system.programs import require
from tests.support.runs import undone

T0 = 1_700_000_000_123_456_789
SYN = bytes(Ether() / IP(dst="203.0.113.10") / TCP(dport=80, flags="S"))
LARGE = bytes(Ether() / IP(dst="203.0.113.10", flags="DF") / TCP(dport=80, flags="A") / bytes(20_000))
DNS = bytes(Ether() / IP(dst="192.168.65.1") / UDP(dport=7) / b"payload")


def say_nothing(text: str) -> None:
    raise AssertionError(f"nothing to say was expected, but: {text}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcapng"


def test_frames_come_back_with_link_time_direction_and_comment(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing)
    writer.frames("cable", "up", [SYN, memoryview(DNS)], T0)
    writer.frames("wifi", "down", [bytearray(SYN)], T0 + 1, "loss 3%")
    writer.close(T0 + 2)

    assert list(CaptureReader(path).read()) == [
        Record(1, T0, "cable", "up", SYN, len(SYN)),
        Record(2, T0, "cable", "up", DNS, len(DNS)),
        Record(3, T0 + 1, "wifi", "down", SYN, len(SYN), "loss 3%"),
    ]


def test_each_frame_has_the_packet_id_that_the_journal_names_it_by(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing)
    marks = [("held 40 ms", 7), ("", 0), ("held 1 s", 1 << 40)]
    writer.frames("wifi", "up", [SYN, DNS, SYN], T0, marks=marks)
    writer.close(T0)

    records = list(CaptureReader(path).read())
    assert [(record.comment, record.packet_id) for record in records] == marks
    assert [record.data for record in records] == [SYN, DNS, SYN]


def test_a_reader_follows_a_growing_file(path: Path) -> None:
    reader = CaptureReader(path)
    assert list(reader.read()) == []

    writer = CaptureWriter(path, say_nothing, say_nothing)
    writer.frames("cable", "up", [SYN], T0)
    writer.flush()
    assert [record.number for record in reader.read()] == [1]
    assert list(reader.read()) == []

    writer.frames("cable", "down", [DNS], T0)
    writer.close(T0)
    assert [(record.number, record.data) for record in reader.read()] == [(2, DNS)]
    assert reader.links == ["cable"]
    assert [(one.received, one.dropped) for one in reader.statistics] == [(2, 0)]


def test_what_is_flushed_is_as_long_as_the_writer_says(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing)
    writer.frames("cable", "up", [SYN] * 1000, T0)
    writer.flush()

    assert path.stat().st_size == writer.size
    writer.close(T0)


def test_a_writer_that_was_killed_leaves_a_file_that_can_be_read(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing)
    writer.frames("cable", "up", [SYN, DNS], T0)
    writer.flush()
    os.truncate(path, path.stat().st_size - 5)

    reader = CaptureReader(path)
    assert [record.data for record in reader.read()] == [SYN]
    assert reader.pending
    writer.close(T0)


def test_frames_are_cut_to_the_snap_length_and_remember_their_own(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing, snaplen=20)
    writer.frames("cable", "up", [SYN, b"short"], T0)
    writer.close(T0)

    cut, whole = CaptureReader(path).read()
    assert (cut.data, cut.wire_length, cut.is_cut) == (SYN[:20], len(SYN), True)
    assert (whole.data, whole.is_cut) == (b"short", False)


def test_frames_that_nobody_wants_are_only_counted(path: Path) -> None:
    writer = CaptureWriter(path, say_nothing, say_nothing, snaplen=NOTHING)
    writer.frames("cable", "up", [SYN, DNS], T0)
    writer.close(T0 + 1)
    reader = CaptureReader(path)
    assert list(reader.read()) == []
    (counters,) = reader.statistics
    assert (counters.received, counters.dropped) == (2, 2)


def test_a_capture_that_is_large_enough_keeps_headers_only(path: Path) -> None:
    said: list[str] = []
    writer = CaptureWriter(path, said.append, say_nothing, enough=5000)
    for _ in range(10):
        writer.frames("cable", "up", [bytes(1000)], T0)
    writer.close(T0)

    lengths = [len(record.data) for record in CaptureReader(path).read()]
    assert lengths == [1000] * 5 + [HEADERS] * 5
    assert said == ["the capture has 0 MiB: from here on it keeps 128 octets of each frame"]


def test_a_capture_that_is_too_large_stops(path: Path) -> None:
    said: list[str] = []
    ended: list[str] = []
    writer = CaptureWriter(path, said.append, ended.append, enough=1000, most=2000)
    for _ in range(100):
        writer.frames("cable", "up", [bytes(60)], T0)
    writer.close(T0)

    reader = CaptureReader(path)
    kept = len(list(reader.read()))
    assert [(one.received, one.dropped) for one in reader.statistics] == [(100, 100 - kept)]
    assert 0 < kept < 30
    assert [words.rpartition(": ")[2] for words in said] == ["from here on it keeps 128 octets of each frame"]
    assert ended == ["the capture has 0 MiB, which is its limit"]


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Every further write fails after a few octets, as on a full disk; pytest's own too, so be short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 30, before[0][1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])


def test_a_full_disk_is_said_once_and_the_rest_is_let_go(path: Path) -> None:
    ended: list[str] = []
    writer = CaptureWriter(path, say_nothing, ended.append)
    writer.frames("cable", "up", [SYN], T0)
    writer.flush()

    with full_disk(path):
        for _ in range(3):
            writer.frames("cable", "up", [DNS], T0)
            writer.flush()
        writer.close(T0)

    assert ended == ["File too large"]
    reader = CaptureReader(path)
    assert [record.data for record in reader.read()] == [SYN]
    assert reader.pending == 0


def write_everything(path: Path) -> None:
    """A capture with all that we ever write."""
    writer = CaptureWriter(
        path, say_nothing, say_nothing, snaplen=60, names={"203.0.113.10": ["shop.example"], "::1": ["me"]}
    )
    writer.frames("cable", "up", [SYN, DNS], T0)
    writer.frames("cable-guest2", "down", [SYN + bytes(100)], T0 + 1, "dropped: loss 3% → ürgs")
    writer.close(T0 + 2)


def tshark(path: Path, *words: str) -> str:
    program = require("tshark")
    done = subprocess.run(
        [program, "-n", "-r", str(path), *words], capture_output=True, text=True, check=True
    )
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert complaints == []
    return done.stdout


def test_tshark_opens_it_without_complaint(path: Path) -> None:
    write_everything(path)
    fields = ["frame.number", "frame.time_epoch", "frame.interface_name", "frame.packet_flags_direction"]
    fields += ["frame.len", "frame.cap_len", "frame.comment", "ip.dst"]

    out = tshark(path, "-T", "fields", *(word for field in fields for word in ("-e", field)))

    assert [line.split("\t") for line in out.splitlines()] == [
        ["1", "1700000000.123456789", "cable", "0x00000002", "54", "54", "", "203.0.113.10"],
        ["2", "1700000000.123456789", "cable", "0x00000002", "49", "49", "", "192.168.65.1"],
        [
            "3",
            "1700000000.123456790",
            "cable-guest2",
            "0x00000001",
            "154",
            "60",
            "dropped: loss 3% → ürgs",
            "203.0.113.10",
        ],
    ]


def test_a_train_is_captured_in_large_frames_with_right_checksums(tmp_path: Path) -> None:
    whole, headers = tmp_path / "whole.pcapng", tmp_path / "headers.pcapng"
    train = virtio.receive(undone(LARGE, 34, 16, virtio.Gso.TCPV4, 1000))
    for path, snaplen in ((whole, WHOLE), (headers, HEADERS)):
        writer = CaptureWriter(path, say_nothing, say_nothing, snaplen=snaplen)
        assert isinstance(train, Train)
        writer.frames("cable", "up", train, T0)
        writer.close(T0)

    (record,) = CaptureReader(whole).read()
    assert record.data == LARGE
    (record,) = CaptureReader(headers).read()
    assert (record.data[:50], len(record.data), record.wire_length) == (LARGE[:50], HEADERS, len(LARGE))
    assert tshark(headers, "-o", "tcp.check_checksum:TRUE", "-Y", "tcp.checksum_bad.expert") == ""


def captures(folder: Path) -> list[Path]:
    """One of each kind that we write."""
    train = virtio.receive(undone(LARGE, 34, 16, virtio.Gso.TCPV4, 1000))
    assert isinstance(train, Train)
    names = {"203.0.113.10": ["shop.example"], "::1": ["me"]}
    kinds: dict[str, dict[str, Any]] = {
        "whole": {}, "headers": {"snaplen": HEADERS}, "counters": {"snaplen": NOTHING},
        "names": {"names": names}, "economised": {"enough": 500},
        "names and counters": {"names": names, "snaplen": NOTHING},
    }  # fmt: skip
    for kind, options in kinds.items():
        path = folder / f"{kind}.pcapng"
        writer = CaptureWriter(path, lambda text: None, say_nothing, **options)
        writer.frames("cable", "up", [SYN, DNS], T0)
        writer.frames("cable", "down", [SYN], T0 + 1, "loss 3%")
        writer.frames("cable", "up", [SYN, DNS], T0 + 2, marks=[("held 40 ms", 7), ("", 0)])
        writer.frames("cable", "up", train, T0 + 3)
        writer.beginning("cable", "down", SYN[:40], len(SYN), T0 + 4)
        writer.flush()
        if kind == "names":
            (folder / "of a killed lab.pcapng").write_bytes(path.read_bytes())
        writer.close(T0 + 5)
    return sorted(folder.glob("*.pcapng"))


def rewrite(path: Path, program: str, *words: str) -> Path:
    """What ``program`` makes of the capture at ``path``."""
    found = require(program)
    out = path.with_suffix(".out")
    rest = [word.format(path, out) for word in words]
    done = subprocess.run([found, *rest], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{path.name}: {done.stderr}"
    return out


def seen(path: Path) -> list[tuple[int, int, bytes, str]]:
    records = CaptureReader(path).read()
    return [(record.at, record.wire_length, record.data, record.link) for record in records]


TO_PCAP = ("tshark", "-r", "{}", "-F", "pcap", "-w", "{1}")


@pytest.mark.parametrize("words", [
    ("editcap", "{}", "{1}"), ("mergecap", "-w", "{1}", "{}"), ("reordercap", "{}", "{1}"), TO_PCAP
], ids=lambda words: words[0])  # fmt: skip
def test_wiresharks_tools_write_every_kind_on(tmp_path: Path, words: tuple[str, ...]) -> None:
    paths = captures(tmp_path)
    assert len(paths) == 7
    for path in paths:
        out = rewrite(path, *words)
        if words == TO_PCAP:
            with RawPcapReader(str(out)) as reader:
                assert [data for data, _ in reader] == [data for _, _, data, _ in seen(path)]
        else:
            assert seen(out) == seen(path)


@pytest.mark.parametrize("words", [("editcap", "{}", "{1}"), ("mergecap", "-w", "{1}", "{}")])
def test_they_do_so_with_several_links_but_for_reordercap(path: Path, words: tuple[str, ...]) -> None:
    """That one knows only interfaces that come before the first packet."""
    write_everything(path)
    assert seen(rewrite(path, *words)) == seen(path)


def test_tshark_uses_the_names_it_brings(path: Path) -> None:
    write_everything(path)
    program = require("tshark")

    out = subprocess.run(
        [program, "-N", "n", "-r", str(path), "-T", "json", "-c", "1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert json.loads(out)[0]["_source"]["layers"]["ip"]["ip.dst_host"] == "shop.example"


def test_scapy_reads_it(path: Path) -> None:
    write_everything(path)

    with RawPcapNgReader(str(path)) as reader:
        packets: list[tuple[bytes, Any]] = list(reader)

    assert [octets for octets, _ in packets] == [SYN, DNS, (SYN + bytes(100))[:60]]
    assert [meta.wirelen for _, meta in packets] == [54, 49, 154]
    assert [(meta.tshigh << 32) + meta.tslow for _, meta in packets] == [T0, T0, T0 + 1]
    assert [meta.ifname for _, meta in packets] == [b"cable", b"cable", b"cable-guest2"]
