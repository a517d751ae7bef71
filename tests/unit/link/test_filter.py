"""The filter language: what its words mean, and how it speaks of mistakes."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guestnet.core.errors import DescriptionError
from guestnet.link.filter import terms
from guestnet.link.filter.language import parse
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.tcp import Flags
from tests.unit.link.frames import (
    GUEST,
    GUEST6,
    SERVER,
    SERVER6,
    a_discover,
    a_frag_needed,
    a_query,
    a_tcp,
    a_too_big,
    a_udp,
    an_answer,
    an_arp,
    an_echo,
    an_echo6,
    frame,
)

SYN = Flags.SYN
FRAMES = {
    "arp": an_arp(),
    "syn": a_tcp(SYN),
    "syn-ack": a_tcp(SYN | Flags.ACK, source=SERVER, to=GUEST, ports=(443, 40000)),
    "ack": a_tcp(),
    "data": a_tcp(Flags.ACK | Flags.PSH, b"hello"),
    "rst": a_tcp(Flags.RST, source=SERVER, to=GUEST, ports=(443, 40000)),
    "fin": a_tcp(Flags.FIN | Flags.ACK),
    "large": a_tcp(Flags.ACK, bytes(1460)),
    "tcp6": a_tcp(SYN, source=GUEST6, to=SERVER6, ports=(40000, 80)),
    "query": a_query("shop.example"),
    "answer": an_answer("shop.example"),
    "ntp": a_udp(bytes(48), ports=(123, 123)),
    "discover": a_discover(),
    "echo": an_echo(),
    "echo6": an_echo6(),
    "frag-needed": a_frag_needed(),
    "too-big": a_too_big(),
    "fragment": frame(Ipv4(GUEST, SERVER, Protocol.UDP, bytes(64), fragment_offset=1480)),
    "nothing": b"",
    "runt": bytes(13),
    "cut": a_tcp(SYN)[:40],
}
TCP = {"syn", "syn-ack", "ack", "data", "rst", "fin", "large", "tcp6", "cut"}
UDP = {"query", "answer", "ntp", "discover", "fragment"}
V6 = {"tcp6", "echo6", "too-big"}
CASES = {
    "arp": {"arp"},
    "ipv6": V6,
    "ip": set(FRAMES) - {"arp", "nothing", "runt"},
    "tcp": TCP,
    "udp": UDP,
    "icmp": {"echo", "frag-needed"},
    "icmpv6": {"echo6", "too-big"},
    "ipv6 and not icmpv6": {"tcp6"},
    "syn": {"syn", "tcp6"},
    "tcp syn-ack": {"syn-ack"},
    "tcp syn-ack from :443": {"syn-ack"},
    "tcp syn-ack to :443": set(),
    "tcp SYN to :443": {"syn"},
    "ack": {"ack"},
    "tcp data": {"data", "large"},
    "tcp data size > 1400": {"large"},
    "length = 5": {"data"},
    "length <= 0": {"syn", "syn-ack", "ack", "rst", "fin", "tcp6"},
    "tcp rst from 203.0.113.0/24": {"rst"},
    "rst to 203.0.113.0/24": set(),
    "fin or rst": {"fin", "rst"},
    "udp port 53": {"query", "answer"},
    "udp to port 53": {"query"},
    "from :53": {"answer"},
    "port 100-130": {"ntp"},
    "dns": {"query", "answer"},
    "query": {"query"},
    "answer": {"answer"},
    "query name shop.example": {"query"},
    "name www.shop.example": set(),
    "dhcp": {"discover"},
    "dhcp-discover": {"discover"},
    "dhcp-offer": set(),
    "icmp echo-request": {"echo"},
    "echo-request": {"echo", "echo6"},
    "echo-reply": set(),
    "frag-needed": {"frag-needed"},
    "packet-too-big": {"too-big"},
    "too-big": {"too-big", "frag-needed"},
    "unreachable": {"frag-needed"},
    "broadcast": {"arp", "discover"},
    "multicast": set(),
    "fragment": {"fragment"},
    "from 52:54:00:65:00:01": set(FRAMES) - {"nothing", "runt"},
    "to 52-54-00-65-00-01": set(),
    "host 2001:db8:1::10": V6,
    "from 2001:db8::/48": {"tcp6", "echo6"},
    "to [2001:db8:1::10]:80": {"tcp6"},
    "[2001:db8:1::/48]:80": {"tcp6"},
    "203.0.113.10:443": {"syn", "syn-ack", "ack", "data", "rst", "fin", "large"},
    "to 203.0.113.10:443-450 syn": {"syn"},
    "from 203.0.113.10:40000": set(),
    "net 0.0.0.0/0 arp": set(),
    "(tcp or udp) and not port 443 and not ipv6": {*UDP, "cut"},
    "not not arp": {"arp"},
    "ttl < 64": set(),
    "ipv4 dscp = 0 ecn = 0 ttl = 64 icmp": {"echo", "frag-needed"},
    "window >= 500 syn": {"syn", "tcp6"},
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_a_filter_finds_its_frames_and_no_others(text: str) -> None:
    wanted = parse(text)
    assert {name for name, one in FRAMES.items() if wanted.matches(one)} == CASES[text]
    assert {name for name, one in FRAMES.items() if wanted.matches(memoryview(one))} == CASES[text]


WRONG = [
    ("", 1, "something is missing"),
    ("tcp and", 8, "something is missing"),
    ("tcp or or udp", 8, "'or'"),
    ("tcp (udp", 9, "a parenthesis is not closed"),
    ("tcp)", 4, "is too much"),
    ("tpc", 1, "did you mean tcp"),
    ("udp sin-ack", 5, "did you mean syn-ack"),
    ("to nowhere", 4, "is no address or port"),
    ("from", 5, "is no address or port"),
    ("host", 5, "is no address or port"),
    ("port http", 6, "is no port"),
    ("port 70000", 6, "is no port"),
    ("port 20-10", 6, "is no port"),
    ("to 203.0.113.999", 4, "is no address or prefix"),
    ("to 203.0.113.1/24", 4, "has host bits set"),
    ("to 203.0.113.1:99999", 4, "is no port"),
    ("size 1400", 6, "a relation is missing"),
    ("size > many", 8, "is no number"),
    ("size > ", 8, "is no number"),
    ("name a..b", 6, "is no domain name"),
    ("tcp $ udp", 5, "is no word"),
    ("tcp ]", 5, "means nothing here"),
    ("not " * 40 + "tcp", 133, "too many"),
]


@pytest.mark.parametrize(("text", "column", "what"), WRONG)
def test_a_mistake_is_pointed_at(text: str, column: int, what: str) -> None:
    with pytest.raises(DescriptionError, match=re.escape(what)) as error:
        parse(text)
    assert f"column {column}:" in error.value.message
    assert error.value.remedy


WORDS = sorted({*terms.WORDS, *terms.FIELDS, *terms.RELATIONS})
pieces = st.sampled_from(
    [*WORDS, "and", "or", "not", "(", ")", "from", "to", "host", "net", "port", "name", ":443", "1.2.3.4",
     "::1", "10.0.0.0/8", "[::1]:80", "x.example", "1400", "52:54:00:65:00:01", "é", "[", ":", "/"]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=40))
@example("(" * 3000)
@example("a.b:" + "9" * 5000)
def test_any_text_is_a_filter_or_a_description_error(text: str) -> None:
    try:
        wanted = parse(text)
    except DescriptionError as error:
        assert 1 <= int(re.findall(r"column (\d+):", error.message)[-1]) <= len(text) + 1  # noqa: PT017
        return
    for one in FRAMES.values():
        assert wanted.matches(one) in (True, False)


@given(st.binary(max_size=120), st.sampled_from(sorted(FRAMES)), st.integers(0, 60))
def test_no_frame_is_too_strange_for_a_filter(noise: bytes, name: str, at: int) -> None:
    original = FRAMES[name]
    damaged = original[:at] + noise + original[at + len(noise) :]
    for text in (
        "query name x.example",
        "dhcp-ack",
        "too-big",
        "window = 1",
        "fragment or data",
        "to [::1]:5",
    ):
        assert parse(text).matches(damaged) in (True, False)
        assert parse(text).matches(damaged[:at]) in (True, False)


def test_a_filter_keeps_what_was_written() -> None:
    assert parse("first 2 tcp syn ", 8).text == "tcp syn"


def test_addresses_of_one_version_are_none_of_the_other() -> None:
    assert not parse("from 0.0.0.0/0").matches(FRAMES["tcp6"])
    assert not parse("from ::/0").matches(FRAMES["syn"])
    assert parse("from 0.0.0.0/0").matches(frame(Ipv4(ip4("0.0.0.0"), SERVER, 1, b"")))
