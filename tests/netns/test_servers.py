"""Servers of every kind, as a program on the laptop sees them: the one world has them all."""

import hashlib
import json
import sys
from collections.abc import Iterator

import pytest

from guestnet.core.events import Served
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab
from guestnet.world.described.model import Host, Link, Route
from guestnet.world.described.server import Record, Server
from guestnet.world.described.world import World
from guestnet.world.servers.packages import tree

pytestmark = pytest.mark.netns

NAMES = {
    "shop.example": "203.0.113.10", "old.example": "203.0.113.11", "other.example": "203.0.113.12",
    "own.example": "203.0.113.13", "deb.example": "203.0.113.14", "docker.example": "203.0.113.15",
    "broken.example": "203.0.113.16", "big.example": "203.0.113.10",
}  # fmt: skip


def server(kind: str, name: str, port: int, **fields: object) -> Server:
    own = {"kind": kind, "host": "internet", "addresses": (NAMES[name],), "port": port}
    return Server(**own | fields)  # type: ignore[arg-type]


WORLD = World(
    name="servers",
    hosts={
        "laptop": Host(routes=(Route(to="default", via="192.0.2.1"),), resolvers=("203.0.113.53",)),
        "internet": Host(addresses=(*dict.fromkeys(NAMES.values()), "203.0.113.53")),
    },
    links={"wifi": Link(ends={"laptop": ("192.0.2.10/24",), "internet": ("192.0.2.1/24",)})},
    servers={
        "web": server("http", "shop.example", 80),
        "shop": server("https", "shop.example", 443),
        "old": server("https", "old.example", 443, certificate="expired"),
        "other": server("https", "other.example", 443, certificate="wrong-name"),
        "own": server("https", "own.example", 443, certificate="self-signed"),
        "deb": server("packages", "deb.example", 80),
        "docker": server("registry", "docker.example", 443, certificate="valid"),
        "time": server("ntp", "broken.example", 123, offset=3600),
        "perf": server("iperf3", "broken.example", 5201),
        "tar": server("tarpit", "broken.example", 1001),
        "cut": server("reset", "broken.example", 1002, octets=100_000),
        "mute": server("silent", "broken.example", 1003),
        "shut": server("refuse", "broken.example", 1004),
        "forbid": server("prohibit", "broken.example", 1005),
        "dns": Server(
            kind="dns",
            host="internet",
            addresses=("203.0.113.53",),
            port=53,
            faults={
                "fail.example": "SERVFAIL",
                "refused.example": "REFUSED",
                "mute.example": "SILENT",
                "big.example": "TRUNCATED",
            },
            records=(
                *(Record(name=name, type="A", value=address) for name, address in NAMES.items()),
                Record(name="*.wild.example", type="A", value="203.0.113.10"),
                Record(name="shop.example", type="MX", value="10 mail.example"),
                Record(name="_http._tcp.example", type="SRV", value="1 2 80 shop.example"),
                Record(name="example", type="NS", value="dns.example"),
                Record(name="10.113.0.203.in-addr.arpa", type="PTR", value="shop.example"),
            ),
        ),
    },
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    description = LabDescription(scenario="servers", seed=1, guests=0, profile=WORLD)
    with Lab.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def test_tls_is_accepted_with_the_labs_authority_and_only_with_it(lab: Lab) -> None:
    known = lab.laptop.fetch("https://shop.example/size/100000", trust=lab.ca)
    unknown = lab.laptop.fetch("https://shop.example/")

    assert (known.status, len(known.body)) == (200, 100_000)
    assert unknown.status == 0
    assert "certificate" in unknown.error
    lab.journal.expect(Served, server="shop", request="GET /size/100000", status="200")


def test_a_body_is_read_as_it_comes_where_nobody_keeps_it(lab: Lab) -> None:
    assert lab.laptop.upload("http://shop.example/", size=300_000).intact
    assert lab.laptop.fetch("http://deb.example/pool", data={"x": "x" * 100_000}).status == 400


def test_more_octets_than_anybody_waits_for_are_refused_at_once(lab: Lab) -> None:
    """Their digest alone would take hours."""
    page = lab.laptop.fetch("http://shop.example/size/9999999999999")

    assert page.status == 400
    assert "At most" in page.text


@pytest.mark.parametrize(
    ("host", "words"),
    [("old", "certificate has expired"), ("other", "no alternative certificate"), ("own", "self")],
)
def test_a_certificate_is_wrong_as_it_was_asked_for(lab: Lab, host: str, words: str) -> None:
    page = lab.laptop.fetch(f"https://{host}.example/", trust=lab.ca)

    assert page.status == 0
    assert words in page.error


def test_packages_match_their_index_and_the_index_its_release(lab: Lab) -> None:
    for path, octets in tree().items():
        assert lab.laptop.fetch(f"http://deb.example/{path}").body == octets


def test_an_image_is_pulled_by_digest(lab: Lab) -> None:
    base = "https://docker.example/v2/"
    manifest = json.loads(lab.laptop.fetch(f"{base}library/hello/manifests/latest", trust=lab.ca).body)
    digest = manifest["layers"][0]["digest"]
    layer = lab.laptop.fetch(f"{base}library/hello/blobs/{digest}", trust=lab.ca)

    assert lab.laptop.fetch(base, trust=lab.ca).headers["docker-distribution-api-version"] == "registry/2.0"
    assert f"sha256:{hashlib.sha256(layer.body).hexdigest()}" == digest
    tags = json.loads(lab.laptop.fetch(f"{base}library/hello/tags/list", trust=lab.ca).body)
    assert tags == {"name": "library/hello", "tags": ["latest"]}


def test_the_clock_is_the_labs_and_its_offset(lab: Lab) -> None:
    before = lab.now()
    told = lab.laptop.ntp("broken.example")
    after = lab.now()

    assert told is not None
    assert before - 1_000_000 <= told - 3600 * 10**9 <= after + 1_000_000


def test_the_clock_jumps_with_the_labs(lab: Lab) -> None:
    lab.jump("2h")
    for _ in range(50):
        told = lab.laptop.ntp("broken.example")
        assert told is not None
        if told - 3600 * 10**9 >= lab.now() - 60 * 10**9:
            break
    else:
        pytest.fail("the NTP server never heard of the jump")


def test_iperf3_measures(lab: Lab) -> None:
    ran = lab.laptop.run("iperf3 --client broken.example --bytes 1M --json", check=True)

    # When the client has sent all, the server may not have counted all.
    assert json.loads(ran.stdout)["end"]["sum_sent"]["bytes"] >= 1 << 20
    assert json.loads(ran.stdout)["end"]["sum_received"]["bytes"] > 0
    lab.journal.expect(Served, server="perf", request="iperf3")


def test_each_broken_server_fails_in_its_own_way(lab: Lab) -> None:
    laptop = lab.laptop

    swallowed = laptop.half_close("broken.example", 1001, b"hello")
    assert (swallowed.error, swallowed.reply) == ("", b"")
    tarpit = laptop.fetch("http://broken.example:1001/", timeout=0.3)
    assert (tarpit.status, "timed out" in tarpit.error) == (0, True)
    cut = laptop.half_close("broken.example", 1002, b"anything")
    assert (cut.error, len(cut.reply)) == ("ECONNRESET", 100_000)
    assert laptop.connect("broken.example", 1003, timeout=0.3).error == "GAVE_UP"
    assert laptop.udp_echo("broken.example", 1003, b"?", timeout=0.3) is None
    assert laptop.connect("broken.example", 1004).refused
    assert laptop.connect("broken.example", 1005).error == "EHOSTUNREACH"


def test_http_drips_and_breaks_off(lab: Lab) -> None:
    drip = lab.laptop.download("http://shop.example/drip/3000/10000")
    cut = lab.laptop.download("http://shop.example/reset/50000")

    assert drip.intact
    assert drip.seconds >= 0.2
    assert cut.bytes == 50_000
    assert not cut.intact
    assert lab.laptop.fetch("http://shop.example/generate_204").status == 204


ASK = """
import sys, dns.exception, dns.message, dns.query, dns.rcode
query = dns.message.make_query(sys.argv[1], sys.argv[2])
try:
    answer, used_tcp = dns.query.udp_with_fallback(query, "203.0.113.53", timeout=float(sys.argv[3]))
except dns.exception.Timeout:
    print("TIMEOUT")
else:
    print(dns.rcode.to_text(answer.rcode()), *("TCP" for _ in range(used_tcp)))
    print(*(str(item) for rrset in answer.answer for item in rrset), sep="\\n")
"""


def ask(lab: Lab, name: str, kind: str = "A", timeout: float = 5) -> list[str]:
    """How the query ended, then the answers."""
    words = [sys.executable, "-c", ASK, name, kind, str(timeout)]
    return lab.laptop.run(words, check=True).stdout.split("\n")[:-1]


def test_names_of_every_type_resolve(lab: Lab) -> None:
    assert ask(lab, "a.b.wild.example") == ["NOERROR", "203.0.113.10"]
    assert ask(lab, "shop.example", "MX") == ["NOERROR", "10 mail.example."]
    assert ask(lab, "_http._tcp.example", "SRV") == ["NOERROR", "1 2 80 shop.example."]
    assert ask(lab, "example", "NS") == ["NOERROR", "dns.example."]
    assert ask(lab, "10.113.0.203.in-addr.arpa", "PTR") == ["NOERROR", "shop.example."]


def test_names_fail_as_they_were_told_to(lab: Lab) -> None:
    assert ask(lab, "www.fail.example")[0] == "SERVFAIL"
    assert ask(lab, "refused.example")[0] == "REFUSED"
    assert ask(lab, "mute.example", timeout=0.3) == ["TIMEOUT"]
    assert ask(lab, "big.example") == ["NOERROR TCP", "203.0.113.10"]
    assert ask(lab, "nowhere.example")[0] == "NXDOMAIN"
