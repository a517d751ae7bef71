import asyncio
import hashlib
import socket
from pathlib import Path

import pytest

from guestnet.world.described.server import Record, Server
from guestnet.world.servers.broken import wait_until_sent
from guestnet.world.servers.content import BLOCK, blocks, content, digest
from guestnet.world.servers.dnsmasq import QueryLog, command


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_content_has_its_size_and_digest(size: int) -> None:
    assert len(content(size)) == size
    assert digest(size) == hashlib.sha256(content(size)).hexdigest()


def test_content_is_a_prefix_of_longer_content_and_does_not_repeat() -> None:
    parts = list(blocks(4 * BLOCK))

    assert content(4 * BLOCK).startswith(content(2 * BLOCK + 5))
    assert len(set(parts)) == len(parts)


def test_content_is_the_same_for_ever() -> None:
    assert digest(1_000_000) == "83d0d9175fb452a0cf6ca35bdf361d063076f9bf936e85a14bd9d2c79f1f1d19"


def test_records_become_dnsmasqs_words(tmp_path: Path) -> None:
    records = (
        Record(name="a.example", type="A", value="10.0.0.1"),
        Record(name="b.example", type="CNAME", value="a.example"),
        Record(name="c.example", type="TXT", value='say "hi"'),
        Record(name="*.d.example", type="AAAA", value="fd00::1"),
        Record(name="e.example", type="MX", value="10 mail.example"),
        Record(name="_x._tcp.f.example", type="SRV", value="1 2 80 a.example"),
        Record(name="g.example", type="NS", value="ns.example"),
        Record(name="1.0.0.10.in-addr.arpa", type="PTR", value="a.example"),
        Record(name="www.broken.example", type="A", value="10.0.0.2"),
    )
    server = Server(
        kind="dns", host="far", addresses=("10.0.0.53", "fd00::53"), port=53, records=records,
        faults={"broken.example": "SERVFAIL"},
    )  # fmt: skip
    words = command(server, tmp_path, "127.53.0.7")

    assert (tmp_path / "hosts").read_text() == "10.0.0.1 a.example\n"
    assert {"--listen-address=10.0.0.53", "--listen-address=fd00::53", "--port=53"} <= set(words)
    assert {"--no-resolv", "--address=/#/", "--server=/broken.example/127.53.0.7"} <= set(words)
    assert (tmp_path / "records.conf").read_text().splitlines() == [
        "cname=b.example,a.example,60",
        r'txt-record=c.example,"say \"hi\""',
        "address=/d.example/fd00::1",
        "mx-host=e.example,mail.example,10",
        "srv-host=_x._tcp.f.example,a.example,80,1,2",
        "dns-rr=g.example,2,026e73076578616d706c6500",
        "ptr-record=1.0.0.10.in-addr.arpa,a.example",
    ]


def test_a_query_is_answered_once_with_its_status() -> None:
    log = QueryLog()
    lines = [
        "Nov 20 18:35:03 dnsmasq[7]: 1 192.168.1.10/40288 query[A] shop.example from 192.168.1.10",
        "Nov 20 18:35:03 dnsmasq[7]: 2 2001:db8::1/99 query[AAAA] shop.example from 2001:db8::1",
        "Nov 20 18:35:03 dnsmasq[7]: 1 192.168.1.10/40288 /run/h shop.example is 203.0.113.10",
        "Nov 20 18:35:03 dnsmasq[7]: 1 192.168.1.10/40288 /run/h shop.example is 203.0.113.11",
        "dnsmasq[7]: 2 2001:db8::1/99 config shop.example is NODATA-IPv6",
        "dnsmasq[7]: 3 192.168.1.10/5 query[MX] nope from 192.168.1.10",
        "dnsmasq[7]: 3 192.168.1.10/5 config nope is NXDOMAIN",
        "dnsmasq[7]: read /run/h - 3 names",
    ]

    assert [answer for line in lines if (answer := log.read(line))] == [
        ("192.168.1.10:40288", "A shop.example", "NOERROR"),
        ("[2001:db8::1]:99", "AAAA shop.example", "NODATA"),
        ("192.168.1.10:5", "MX nope", "NXDOMAIN"),
    ]


def test_queries_that_are_never_answered_do_not_gather() -> None:
    log = QueryLog()
    for number in range(2000):
        log.read(f"dnsmasq[7]: {number} 10.0.0.2/5 query[A] shop.example from 10.0.0.2")

    def answered(number: int) -> bool:
        return log.read(f"dnsmasq[7]: {number} 10.0.0.2/5 config shop.example is 10.0.0.1") is not None

    assert not answered(0)
    assert answered(1999)


def test_nobody_waits_for_a_client_that_is_gone() -> None:
    with socket.socket() as closed:
        pass
    asyncio.run(wait_until_sent(closed))
