"""What servers of a world answer: the pure parts of them."""

import datetime
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from cryptography import x509
from msgspec.structs import replace

from guestnet.scenario.reading import NTP_REQUEST, ntp
from guestnet.world.described.model import Host, Link
from guestnet.world.described.place import WorldError
from guestnet.world.described.server import Certificate, Record, Server
from guestnet.world.described.world import World
from guestnet.world.servers import faults, packages, registry
from guestnet.world.servers.certificates import WRONG_NAME, Authority
from guestnet.world.servers.content import content
from guestnet.world.servers.hello import SAID
from guestnet.world.servers.iperf3 import client
from guestnet.world.servers.ntp import answer, timestamp
from guestnet.world.servers.running import certificate_names, fault_address_of, prohibiting

NOW = 1_750_000_000 * 1_000_000_000


@pytest.mark.parametrize("now", [0, NOW, NOW + 123_456_789, 2_085_978_496 * 10**9])
def test_a_client_reads_the_time_that_the_server_has(now: int) -> None:
    reply = answer(NTP_REQUEST, now)

    assert reply is not None
    if now < 2_085_978_496 * 10**9:  # 2036: then NTP counts from zero again (RFC 5905 section 6)
        assert abs((ntp(reply) or 0) - now) <= 1
    assert timestamp(now) < 1 << 64


def test_a_time_is_told_with_the_clients_own_stamp_and_version() -> None:
    request = bytes([3 << 3 | 3]) + bytes(39) + b"unguessd"
    reply = answer(request, NOW)

    assert reply is not None
    assert (reply[0] >> 3 & 7, reply[0] & 7, reply[1]) == (3, 4, 1)
    assert reply[24:32] == b"unguessd"


@pytest.mark.parametrize(
    "request_", [b"", NTP_REQUEST[:47], bytes([0x24]) + bytes(47), bytes([0x2B]) + bytes(47)]
)
def test_what_asks_for_no_time_is_not_answered(request_: bytes) -> None:
    assert answer(request_, NOW) is None


def issued(tmp_path: Path, kind: Certificate) -> tuple[x509.Certificate, x509.Certificate]:
    authority = Authority(NOW)
    authority.issue(["*.shop.example", "203.0.113.10"], tmp_path / "x", kind)
    return x509.load_pem_x509_certificate((tmp_path / "x").read_bytes()), x509.load_pem_x509_certificate(
        authority.pem.encode()
    )


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in found]


def test_certificates_are_signed_by_the_authority(tmp_path: Path) -> None:
    certificate, authority = issued(tmp_path, "valid")

    certificate.verify_directly_issued_by(authority)
    assert names(certificate) == ["*.shop.example", "203.0.113.10"]
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_name_that_is_too_long_for_a_subject_is_a_name_of_the_certificate(tmp_path: Path) -> None:
    long = f"{'a' * 60}.shop.example"
    Authority(NOW).issue([long], tmp_path / "long")
    certificate = x509.load_pem_x509_certificate((tmp_path / "long").read_bytes())

    assert names(certificate) == [long]


def test_certificates_are_wrong_in_one_way_each(tmp_path: Path) -> None:
    expired, authority = issued(tmp_path, "expired")
    other, _ = issued(tmp_path, "wrong-name")
    own, _ = issued(tmp_path, "self-signed")

    expired.verify_directly_issued_by(authority)
    assert expired.not_valid_after_utc < datetime.datetime.fromtimestamp(NOW // 10**9, datetime.UTC)
    assert names(other) == [WRONG_NAME]
    own.verify_directly_issued_by(own)


def test_a_certificate_has_the_names_that_the_zones_give_its_server() -> None:
    web = Server(kind="https", host="far", addresses=("10.0.0.1", "fd00::1"), port=443)
    zone = (
        Record(name="shop.example", type="A", value="10.0.0.1"),
        Record(name="*.shop.example", type="AAAA", value="fd00::1"),
        Record(name="www.example", type="CNAME", value="shop.example"),
        Record(name="other.example", type="A", value="10.0.0.53"),
    )
    world = World(
        name="w",
        hosts={"laptop": Host(), "far": Host(addresses=("10.0.0.1", "fd00::1", "10.0.0.53"))},
        links={"wifi": Link(ends={"laptop": (), "far": ()})},
        servers={
            "web": web,
            "dns": Server(kind="dns", host="far", addresses=("10.0.0.53",), port=53, records=zone),
        },
    )

    wanted = ("shop.example", "*.shop.example", "www.example", "10.0.0.1", "fd00::1")
    assert certificate_names(web, world) == wanted
    assert certificate_names(replace(web, names=("own.example",)), world) == ("own.example",)


def record(kind: str, value: str, name: str = "a.example") -> Record:
    return Record(name=name, type=kind, value=value)  # type: ignore[arg-type]


def ask(name: str, fault: dict[str, str], *, stream: bool = False) -> dns.message.Message | None:
    zone = [Record(name="big.example", type="A", value="10.0.0.1")]
    reply = faults.answer(dns.message.make_query(name, "A"), fault, zone, stream=stream)  # type: ignore[arg-type]
    return None if reply is None else dns.message.from_wire(reply)


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_a_name_and_all_below_it_fail_with_the_rcode(fault: str) -> None:
    for name in ("broken.example", "www.Broken.example"):
        reply = ask(name, {"broken.example": fault})
        assert reply is not None
        assert dns.rcode.to_text(reply.rcode()) == fault


def test_a_truncated_answer_is_whole_over_tcp() -> None:
    short, whole = (
        ask("big.example", {"big.example": "TRUNCATED"}),
        ask("big.example", {"big.example": "TRUNCATED"}, stream=True),
    )

    assert short is not None
    assert whole is not None
    assert short.flags & dns.flags.TC
    assert not short.answer
    assert [str(item) for item in whole.answer[0]] == ["10.0.0.1"]
    assert ask("mute.example", {"mute.example": "SILENT"}) is None


def test_the_release_has_the_hash_of_the_index_and_that_has_those_of_the_packages() -> None:
    tree = packages.tree()
    index = tree["dists/stable/main/binary-amd64/Packages"]

    assert hashlib.sha256(index).hexdigest() in tree["dists/stable/Release"].decode()
    assert gzip.decompress(tree["dists/stable/main/binary-amd64/Packages.gz"]) == index
    for path, octets in tree.items():
        if path.startswith("pool/"):
            assert (
                f"Filename: {path}\nSize: {len(octets)}\nSHA256: {hashlib.sha256(octets).hexdigest()}"
                in index.decode()
            )


def test_a_package_is_an_archive_of_three_parts() -> None:
    archive = packages.deb("hello", "usr/bin/hello", b"odd")
    parts, at = [], 8
    while at < len(archive):
        assert archive[at + 58 : at + 60] == b"`\n"
        size = int(archive[at + 48 : at + 58])
        parts.append(archive[at : at + 16].decode().strip())
        at += 60 + size + size % 2

    assert archive.startswith(b"!<arch>\n")
    assert parts == ["debian-binary", "control.tar.gz", "data.tar.gz"]
    assert at == len(archive)


def test_everything_in_an_image_has_its_digest() -> None:
    image = registry.image()
    manifest = json.loads(image.manifest)

    assert image.digest == "sha256:" + hashlib.sha256(image.manifest).hexdigest()
    for part in (manifest["config"], *manifest["layers"]):
        blob = image.blobs[part["digest"]]
        assert (part["digest"], part["size"]) == ("sha256:" + hashlib.sha256(blob).hexdigest(), len(blob))


def test_an_image_can_be_unpacked_and_run(tmp_path: Path) -> None:
    image = registry.image()
    manifest = json.loads(image.manifest)
    config = json.loads(image.blobs[manifest["config"]["digest"]])

    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert set(image.blobs) == {part["digest"] for part in (manifest["config"], *manifest["layers"])}
    assert (config["architecture"], config["os"], config["rootfs"]["type"]) == ("amd64", "linux", "layers")
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 2
    for part, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        assert part["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
        archive = gzip.decompress(image.blobs[part["digest"]])
        assert diff == "sha256:" + hashlib.sha256(archive).hexdigest()
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errorlevel=2) as layer:
            for member in layer.getmembers():
                assert (member.isreg(), member.uid, member.gid) == (True, 0, 0)
            layer.extractall(tmp_path, filter="data")
    (program,) = config["config"]["Cmd"]
    ran = subprocess.run([f"{tmp_path}{program}"], capture_output=True, check=True)
    assert ran.stdout == SAID
    assert (tmp_path / "data").read_bytes() == content(1 << 18)


def test_iperf3_says_who_came() -> None:
    assert client("Accepted connection from 10.0.0.1, port 40000") == "10.0.0.1:40000"
    assert client("Accepted connection from fd00::1, port 40000") == "[fd00::1]:40000"
    assert client("-----------------------------") is None


def test_prohibited_ports_are_of_their_addresses_alone() -> None:
    rules = prohibiting([Server(kind="prohibit", host="h", addresses=("10.0.0.1", "fd00::1"), port=25)])

    assert (
        "ip daddr 10.0.0.1 meta l4proto { tcp, udp } th dport 25 reject with icmpx admin-prohibited" in rules
    )
    assert "ip6 daddr fd00::1 meta" in rules


def test_failing_name_servers_have_loopback_addresses_of_their_own() -> None:
    assert fault_address_of(0) == "127.53.0.0"
    assert fault_address_of(257) == "127.53.1.1"


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("servers.s.faults", {"kind": "http", "faults": {"a.example": "SILENT"}}),
        ("servers.s.faults.a..b", {"kind": "dns", "faults": {"a..b": "SILENT"}}),
        ("servers.s.certificate", {"kind": "http", "certificate": "valid"}),
        ("servers.s.names", {"kind": "packages", "names": ("a.example",)}),
        ("servers.s.names[0]", {"kind": "https", "names": ("a b",)}),
        ("servers.s.octets", {"kind": "tarpit", "octets": 5}),
        ("servers.s.octets", {"kind": "reset", "octets": -5}),
        ("servers.s.offset", {"kind": "ntp", "offset": 1e12}),
        ("servers.s.login", {"kind": "proxy", "login": "alice"}),
        ("servers.s.intercept", {"kind": "echo", "intercept": True}),
        ("servers.s.records[0].value", {"kind": "dns", "records": (record("MX", "mail.example"),)}),
        ("servers.s.records[0].value", {"kind": "dns", "records": (record("MX", "99999 mail.example"),)}),
        ("servers.s.records[0].value", {"kind": "dns", "records": (record("SRV", "0 5 mail.example"),)}),
        ("servers.s.records[0].value", {"kind": "dns", "records": (record("NS", "a b"),)}),
        ("servers.s.records[0].name", {"kind": "dns", "records": (record("TXT", "x", name="*.a"),)}),
    ],
)
def test_what_can_not_be_is_an_error_that_names_the_place(place: str, fields: dict[str, object]) -> None:
    server = Server(**{"host": "far", "addresses": ("10.9.9.9",), "port": 80} | fields)  # type: ignore[arg-type]
    with pytest.raises(WorldError) as caught:
        World(name="w", hosts={"laptop": Host(), "far": Host(addresses=("10.9.9.9",))}, servers={"s": server})

    assert caught.value.message.startswith(f"{place}: ")
    assert caught.value.remedy
