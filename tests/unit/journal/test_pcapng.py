"""The capture file format: what we write, and what others write."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.journal import pcapng
from guestnet.journal.pcapng import Interface, Names, Packet, Parser, Section, Statistics, Unknown, fast
from tests.support.runs import run_of

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40)
TIMES = st.integers(0, 2**64 - 1)
PACKETS = st.builds(
    Packet,
    interface=st.integers(0, 2),
    at=TIMES,
    data=st.binary(max_size=200),
    wire_length=st.integers(0, 70000),
    direction=st.sampled_from([None, "up", "down"]),
    comment=TEXT,
    packet_id=st.integers(0, 2**64 - 1),
)


def begin(interfaces: int = 1) -> bytes:
    """A file's beginning with so many interfaces."""
    described = (pcapng.interface(Interface(name=f"link{number}")) for number in range(interfaces))
    return pcapng.section(Section()) + b"".join(described)


@given(st.builds(Section, hardware=TEXT, os=TEXT, application=TEXT, comment=TEXT))
def test_a_section_is_parsed_as_it_was_written(section: Section) -> None:
    assert Parser().feed(pcapng.section(section)) == [section]


@given(TEXT, TEXT, st.integers(0, 2**32 - 1))
def test_an_interface_is_parsed_as_it_was_written(name: str, description: str, snaplen: int) -> None:
    interface = Interface(name=name, description=description, snaplen=snaplen)

    assert Parser().feed(begin(0) + pcapng.interface(interface))[1:] == [interface]


@given(st.lists(PACKETS, max_size=5))
def test_packets_are_parsed_as_they_were_written(packets: list[Packet]) -> None:
    octets = begin(3) + b"".join(map(pcapng.packet, packets))

    assert Parser().feed(octets)[4:] == packets


@given(
    st.dictionaries(
        st.ip_addresses().map(str), st.lists(TEXT.filter(bool), min_size=1, max_size=3), max_size=4
    )
)
def test_names_are_parsed_as_they_were_written(records: dict[str, list[str]]) -> None:
    expected = Names({address: tuple(aliases) for address, aliases in records.items()})

    assert Parser().feed(begin(0) + pcapng.names(records))[1:] == [expected]


@given(TIMES, TIMES, TIMES, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_statistics_are_parsed_as_they_were_written(
    at: int, start: int, end: int, received: int, lost: int
) -> None:
    figures = Statistics(0, at, start, end, received, lost)

    assert Parser().feed(begin() + pcapng.statistics(figures))[2:] == [figures]


@given(
    st.lists(st.binary(max_size=100), max_size=8), st.integers(1, 120), st.sampled_from(["", "rule"]), TIMES
)
def test_a_batch_is_the_same_as_its_packets(frames: list[bytes], snaplen: int, comment: str, at: int) -> None:
    options = pcapng.packet_options("up", comment)

    batch = b"".join(fast.packets(0, at, frames, snaplen, options))

    one_by_one = (Packet(0, at, frame[:snaplen], len(frame), "up", comment) for frame in frames)
    assert batch == b"".join(map(pcapng.packet, one_by_one))


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=100),
            st.tuples(st.sampled_from(["", "rule", "règle"]), st.integers(0, 1 << 60)),
        ),
        max_size=8,
    ),
    st.integers(1, 120),
    TIMES,
)
def test_a_batch_with_marks_is_the_same_as_its_packets(
    marked: list[tuple[bytes, tuple[str, int]]], snaplen: int, at: int
) -> None:
    frames, marks = [frame for frame, _ in marked], [mark for _, mark in marked]

    batch = b"".join(fast.marked_packets(0, at, frames, snaplen, "up", marks))

    one_by_one = (
        Packet(0, at, frame[:snaplen], len(frame), "up", comment, packet_id)
        for frame, (comment, packet_id) in marked
    )
    assert batch == b"".join(map(pcapng.packet, one_by_one))


@given(st.data(), st.integers(1, 70), st.integers(1, 80), TIMES)
def test_a_run_is_the_same_as_its_packets(data: st.DataObject, length: int, snaplen: int, at: int) -> None:
    frames = data.draw(st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=8))
    options = pcapng.packet_options("down", "")

    run = fast.packet_run(3, at, run_of(frames), snaplen, options)

    assert bytes(run) == b"".join(fast.packets(3, at, frames, snaplen, options))


@given(st.data())
def test_it_does_not_matter_in_what_pieces_a_file_comes(data: st.DataObject) -> None:
    octets = begin() + b"".join(pcapng.packet(Packet(0, n, bytes(n), n)) for n in range(4))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    pieces = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    parser = Parser()

    blocks = [block for piece in pieces for block in parser.feed(piece)]

    assert blocks == Parser().feed(octets)
    assert parser.pending == 0


@given(st.binary(max_size=400))
def test_random_octets_raise_only_wire_error(octets: bytes) -> None:
    for start in (b"", begin(), begin()[:20]):
        with suppress(WireError):
            Parser().feed(start + octets)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_octet_raises_only_wire_error(at: int, value: int) -> None:
    octets = bytearray(
        begin() + pcapng.packet(Packet(0, 1, b"x" * 60, 60, "up", "why")) + pcapng.names({"::1": ["me"]})
    )
    octets[at % len(octets)] = value
    with suppress(WireError):
        Parser().feed(bytes(octets))


def test_a_file_that_ends_in_the_middle_gives_what_is_whole() -> None:
    first, second = (pcapng.packet(Packet(0, n, b"frame", 5)) for n in (1, 2))
    parser = Parser()

    blocks = parser.feed(begin() + first + second[:-7])

    assert blocks[2:] == [Packet(0, 1, b"frame", 5)]
    assert parser.pending == len(second) - 7


def test_what_is_no_pcapng_is_said_to_be_none() -> None:
    with pytest.raises(WireError, match="no pcapng"):
        Parser().feed(b"\xd4\xc3\xb2\xa1" + bytes(40))


def test_a_packet_of_an_interface_that_was_never_described_is_an_error() -> None:
    with pytest.raises(WireError, match="interface 3 was never described"):
        Parser().feed(begin() + pcapng.packet(Packet(3, 0, b"", 0)))


def foreign(order: str, resolution: bytes, ticks: int, offset: int = 0) -> bytes:
    """A file as another writer makes it, in either byte order, with a block that we don't know."""

    def block(kind: int, body: bytes) -> bytes:
        length = struct.pack(order + "I", 12 + len(body))
        return struct.pack(order + "I", kind) + length + body + length

    def option(code: int, value: bytes) -> bytes:
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    options = option(99, b"unknown") + (option(9, resolution) if resolution else b"")
    options += (option(14, struct.pack(order + "q", offset)) if offset else b"") + option(0, b"")
    flags = (
        option(1, b"first")
        + option(1, b"second")
        + option(2, struct.pack(order + "I", 0x21))
        + option(0, b"")
    )
    packet = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 5, 9) + b"hello\0\0\0" + flags
    return b"".join(
        (
            block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
            block(1, struct.pack(order + "HHI", 1, 0, 65535) + options),
            block(0xBAD, b"what?!"[:4]),
            block(6, packet),
            block(3, struct.pack(order + "I", 3) + b"abc\0"),
            block(2, struct.pack(order + "HHIIII", 0, 0, ticks >> 32, ticks & 0xFFFFFFFF, 2, 2) + b"xy\0\0"),
        )
    )


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize(
    ("resolution", "ticks"),
    [
        (b"", 1_700_000_000_123_456),
        (b"\x06", 1_700_000_000_123_456),
        (b"\x09", 1_700_000_000_123_456_000),
        (b"\x83", 13_600_000_000),
    ],
    ids=["default", "microseconds", "nanoseconds", "eighths"],
)
def test_files_of_other_writers(order: str, resolution: bytes, ticks: int) -> None:
    blocks = Parser().feed(foreign(order, resolution, ticks))

    packets = [block for block in blocks if isinstance(block, Packet)]
    at = 1_700_000_000_000_000_000 if resolution == b"\x83" else 1_700_000_000_123_456_000
    assert packets == [
        Packet(0, at, b"hello", 9, "down", "first\nsecond"),
        Packet(0, 0, b"abc", 3),
        Packet(0, at, b"xy", 2),
    ]
    assert Unknown(0xBAD, b"what") in blocks


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_times_may_begin_elsewhere(order: str) -> None:
    """if_tsoffset, in seconds (4.2)."""
    octets = foreign(order, b"\x09", 5, offset=1_700_000_000)

    packets = [block for block in Parser().feed(octets) if isinstance(block, Packet)]

    assert packets[0].at == 1_700_000_000_000_000_005


def test_sections_after_one_another_number_their_interfaces_anew() -> None:
    octets = begin(2) + begin(1) + pcapng.packet(Packet(0, 1, b"x", 1))

    parser = Parser()
    parser.feed(octets)

    assert [interface.name for interface in parser.interfaces] == ["link0"]


def test_a_resolution_that_is_not_ours_is_not_written() -> None:
    with pytest.raises(ValueError, match="nanosecond"):
        pcapng.interface(Interface(resolution=1000))
