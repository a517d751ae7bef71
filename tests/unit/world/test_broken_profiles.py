"""What people get wrong in a profile: each is one sentence with file and line, before anything starts."""

from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.profiles.load import load_profile

PROFILE = """\
name = "base"
[hosts.laptop]
[hosts.ap]
forward = true
[hosts.net]
addresses = ["203.0.113.10", "203.0.113.53"]
[links.wifi]
ends.laptop = ["192.168.1.10/24"]
ends.ap = ["192.168.1.1/24"]
[links.wan]
ends.ap = ["198.51.100.2/30"]
ends.net = ["198.51.100.1/30"]
[uplinks.wifi]
gateways = ["192.168.1.1"]
[servers.web]
kind = "https"
host = "net"
addresses = ["203.0.113.10"]
port = 443
[servers.dns]
kind = "dns"
host = "net"
addresses = ["203.0.113.53"]
port = 53
records = [{ name = "shop.example", type = "A", value = "203.0.113.10" }]
[portals.hotel]
host = "ap"
link = "wifi"
name = "portal.example"
pool = ["192.168.1.100", "192.168.1.199"]
"""
WEB, RECORD = 'host = "net"\naddresses = ["203.0.113.10"]', "[{ name"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "round.toml").write_text('include = ["round"]\n')
    (parts / "latin.toml").write_bytes(b'name = "\xe9"\n')
    return tmp_path


def told(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load_profile(str(path))
    return str(caught.value).replace(f"{folder}/", "")


def test_the_profile_itself_is_right(folder: Path) -> None:
    (folder / "mine.toml").write_text(PROFILE)
    assert load_profile(str(folder / "mine.toml")).name == "base"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "base"', "name = 7", "mine.toml:1: name: 7 is no text: "),
        ('name = "base"', 'name = "my base"', "mine.toml:1: name: 'my base' is no name: "),
        ('name = "base"\n', "", "mine.toml:1: the profile has no name: "),
        ("port = 443", "port = 0", "mine.toml:19: servers.web.port: there is no port 0: "),
        ("port = 443", "port = 70000", "mine.toml:19: servers.web.port: there is no port 70000: "),
        ("port = 443", 'port = "443"', "mine.toml:19: servers.web.port: a value of type str: give int"),
        ("port = 443", "port = 443\nport = 444", "mine.toml:20: Cannot "),
        (WEB, WEB.replace("net", "ap"), "mine.toml:18: servers.web.addresses[0]: ap does not own "),
        (WEB, WEB.replace("net", "sea"), "mine.toml:17: servers.web.host: there is no host 'sea': "),
        (
            '["203.0.113.10"]\nport',
            '["203.0.113.10", "203.0.113.10"]\nport',
            "mine.toml:18: servers.web.addresses[1]: 203.0.113.10 is there twice: ",
        ),
        (
            'kind = "https"',
            'kind = "https"\ncertificate = "bad"',
            ("mine.toml:17: servers.web.certificate: invalid enum value 'bad': "
            "give one of valid, expired, wrong-name, self-signed"),
        ),
        (
            'kind = "dns"',
            'kind = "dns"\nfaults = { "a.b" = "NO" }',
            ("mine.toml:22: servers.dns.faults.a.b: invalid enum value 'NO': "
            "give one of SERVFAIL, REFUSED, NOTIMP, TRUNCATED, SILENT"),
        ),
        (
            'kind = "https"',
            'kind = "ntp"\noffset = nan',
            "mine.toml:17: servers.web.offset: nan s are too many: ",
        ),
        ("[servers.web]", '[servers."my web"]', "mine.toml:15: servers.my web: 'my web' is no name: "),
        (
            "[portals.hotel]",
            '[portals.inn]\nhost = "ap"\nlink = "wan"\nname = "inn.example"\n[portals.hotel]',
            "mine.toml:31: portals.hotel.host: inn is on ap already: ",
        ),
        ("[servers.web]", "[servers.servers]", "mine.toml:15: servers.servers: 'servers' is what "),
        ("[servers.web]", "[servers.dns]", "mine.toml:20: Cannot "),
        ("[servers.web]", "[servers.none]\n[servers.web]", "mine.toml:15: servers.none: the key 'kind' is "),
        (
            RECORD,
            ('[{ name = "a.example", type = "CNAME", value = "b.example" }, '
            '{ name = "b.example", type = "CNAME", value = "A.example" }, { name'),
            "mine.toml:25: servers.dns.records[0].value: a.example is an alias of itself in the end: ",
        ),
        (RECORD, '[{ name = "a.example" }, { name', "mine.toml:25: servers.dns.records[0]: the key 'type' "),
        (
            "[portals",
            '[servers.more]\nkind = "echo"\nhost = "net"\naddresses = ["203.0.113.10"]\nport = 443\n[portals',
            "mine.toml:30: servers.more.port: web listens there already: ",
        ),
        ("[portals.hotel]", "[portals.web]", "mine.toml:26: portals.web: a server has this name too: "),
        ('"portal.example"', '"10.0.0.1"', "mine.toml:29: portals.hotel.name: '10.0.0.1' is no "),
        ("pool =", "session = inf\npool =", "mine.toml:30: portals.hotel.session: a session of inf s "),
        (
            '["192.168.1.100", "192.168.1.199"]',
            '["192.168.1.199", "192.168.1.100"]',
            "mine.toml:30: portals.hotel.pool[1]: 192.168.1.100 is before 192.168.1.199: ",
        ),
        (
            'gateways = ["192.168.1.1"]',
            'gateways = ["192.168.1.10"]',
            "mine.toml:14: uplinks.wifi.gateways[0]: 192.168.1.10 is the laptop itself: ",
        ),
        (
            "192.168.1.1/24",
            "192.168.1.10/25",
            "mine.toml:9: links.wifi.ends.ap[0]: 192.168.1.10/25 is the address of laptop already: ",
        ),
        (
            "203.0.113.53",
            "224.0.0.1",
            "mine.toml:6: hosts.net.addresses[1]: 224.0.0.1 is a multicast address: ",
        ),
        ("203.0.113.53", "0.0.0.0", "mine.toml:6: hosts.net.addresses[1]: 0.0.0.0 is no machine's address: "),
        (
            "forward = true",
            "forward = true\nnat_timeouts = { sctp = 1 }",
            "mine.toml:5: hosts.ap.nat_timeouts.sctp: invalid enum value 'sctp': give one of udp, ",
        ),
        ("[hosts.laptop]\n", "[[hosts]]\n", "mine.toml:2: hosts: is no table: "),
        ("[hosts.laptop]", "[hosts.lap]", "mine.toml:1: hosts: there is no laptop: "),
        ("[servers.web]", "[serverz.web]", "mine.toml:1: serverz: unknown key: "),
        ("[hosts.laptop]", "include = ['round']\n[hosts.laptop]", "parts/round.toml:1: include: a part "),
        ("[hosts.laptop]", "include = ['latin']\n[hosts.laptop]", "parts/latin.toml is not UTF-8 "),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told_with_file_and_line(folder: Path, old: str, new: str, message: str) -> None:
    assert PROFILE.count(old) >= 1
    said = told(folder, PROFILE.replace(old, new, 1))

    assert said.startswith(message)
    assert "\n" not in said


def test_a_part_that_can_not_be_read_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, who may run this, can read everything."""

    def refuse(path: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    text = PROFILE.replace("[hosts.laptop]", "include = ['round']\n[hosts.laptop]", 1)
    (folder / "mine.toml").write_text(text)
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, encoding: (refuse if "parts" in path.parts else read)(path, encoding)
    )
    with pytest.raises(DescriptionError, match=r"parts/round\.toml: Permission denied: "):
        load_profile(str(folder / "mine.toml"))
