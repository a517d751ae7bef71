import re
import tomllib
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.described.model import Host, Link
from guestnet.world.described.server import RecordType, Server
from guestnet.world.described.world import World
from guestnet.world.profiles.load import (
    load_profile,
    parse_profile,
    profile_folder,
    profile_names,
    profile_words,
)


def keys(kind: type[msgspec.Struct]) -> str:
    """Those that a table has, as errors list them."""
    return ", ".join(field.name for field in msgspec.structs.fields(kind))


PLAIN = "".join(
    (profile_folder() / name).read_text() for name in ("plain.toml", "parts/internet.toml")
).replace('include = "internet"', "")
"""The plain world in one text."""


def test_the_plain_world_is_what_scenarios_count_on() -> None:
    world = load_profile("plain")
    records = {(record.name, record.type): record.value for record in world.servers["dns"].records}

    assert [str(each) for each in world.addresses_of("laptop")] == ["192.168.1.10/24", "2001:db8:1::10/64"]
    assert records["shop.example", "A"] == "203.0.113.10"
    assert records["shop.example", "AAAA"] == "2001:db8::10"
    assert records["www.example", "CNAME"] == "shop.example"
    assert records["v6.example", "AAAA"] == "2001:db8::10"
    assert ("v6.example", "A") not in records
    assert {route.to: route.kind for route in world.hosts["internet"].routes} == {
        f"{records['dead.example', 'A']}/32": "unreachable",
        f"{records['silent.example', 'A']}/32": "blackhole",
        f"{records['dead6.example', 'AAAA']}/128": "unreachable",
        f"{records['silent6.example', 'AAAA']}/128": "blackhole",
    }
    assert world.servers["half-close"].port == 9007


def test_every_server_of_the_plain_world_listens_on_both_families() -> None:
    for server in load_profile("plain").servers.values():
        assert sorted(ip_address(address).version for address in server.addresses) == [4, 6]


@pytest.mark.parametrize("name", profile_names())
def test_every_ready_profile_can_be_read_and_says_what_it_is(name: str) -> None:
    world = load_profile(name)
    head = (profile_folder() / f"{name}.toml").read_text().splitlines()[0]

    assert world.name == name
    assert head.startswith(f"# {name}: ")


@pytest.mark.parametrize("name", profile_names())
def test_the_words_of_a_ready_profile_say_what_works_there_and_how_to_look_at_a_bug(name: str) -> None:
    words = profile_words(name)
    begun = [line.partition(":")[0] for line in words if not line.startswith((" ", "-"))]

    parts = ["Works", "Does not", "A bug from there", "Figures", "Try"]
    assert [each for each in begun if each in parts] == parts
    assert words[-1].startswith("Try: @pytest.mark.lab")
    assert name == "plain" or f'(profile="{name}")' in words[-1]


@pytest.mark.parametrize("name", profile_names())
def test_the_figures_of_a_ready_profile_are_in_its_words(name: str) -> None:
    """Its delays (one way or both), losses, rates and MTUs: a change to one is a change to its source."""
    read = tomllib.loads((profile_folder() / f"{name}.toml").read_text())
    words = " ".join(" ".join(profile_words(name)).split())

    for figure in figures(read.get("links", {}) | read.get("vpns", {})):
        spoken = re.sub(r"(?<=\d)(?=[a-zA-Z%])", " ", figure)
        ways = {spoken} if not spoken.endswith(" ms") else {spoken, f"{2 * int(spoken[:-3])} ms"}
        assert any(way in words for way in ways), figure


def figures(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from figures(value)
        elif key == "mtu" and value != 1500:
            yield f"MTU {value}"
        elif isinstance(value, str) and key in ("delay", "jitter", "loss", "mean", "rate"):
            yield value


def test_toml_and_python_are_the_same_model() -> None:
    world = load_profile("plain")

    assert msgspec.convert(msgspec.to_builtins(world), World) == world


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        (
            "mtu = 1500",
            "mtu = 15",
            "mtu = 15",
            "links.wifi.mtu: an MTU of 15 bytes can't be: give 576 to 65535",
        ),
        (
            "mtu = 1500",
            "mut = 1500",
            "mut = 1500",
            f"links.wifi.mut: unknown key: there are {keys(Link)}",
        ),
        (
            'gateways = ["192.168.1.1"',
            'gateways = ["10.0.0.1"',
            "10.0.0.1",
            (
                "uplinks.wifi.gateways[0]: '10.0.0.1' is not on the link: "
                "give an address in the prefix of 192.168.1.10/24 or 2001:db8:1::10/64"
            ),
        ),
        (
            '"blackhole"',
            '"hole"',
            '"hole"',
            (
                "hosts.internet.routes[1].kind: invalid enum value 'hole': "
                "give one of unicast, unreachable, blackhole, prohibit"
            ),
        ),
        (
            'type = "AAAA"',
            'type = "NAPTR"',
            '"NAPTR"',
            "servers.dns.records[1].type: invalid enum value 'NAPTR': give one of "
            + ", ".join(get_args(RecordType)),
        ),
        ("port = 9007", 'port = "x"', 'port = "x"', "servers.half-close.port: a value of type str: give int"),
        (
            "forward = true",
            "forwards = true",
            "forwards",
            f"hosts.internet.forwards: unknown key: there are {keys(Host)}",
        ),
        (
            '"2001:db8::10" }',
            '"20" }',
            '"20" }',
            "servers.dns.records[1].value: '20' is no value of a AAAA record: give an IPv6 address",
        ),
        (
            'addresses = ["203.0.113.20", ',
            'addresses = ["203.0.113.21", ',
            'addresses = ["203.0.113.21"',
            (
                "servers.files.addresses[0]: internet does not own 203.0.113.21: give one of 127.0.0.1, ::1, "
                "203.0.113.10, 203.0.113.20, 203.0.113.30, 203.0.113.53, "
                "2001:db8::10, 2001:db8::20, 2001:db8::30, 2001:db8::53, 192.168.1.1, 2001:db8:1::1"
            ),
        ),
        (
            'name = "plain"',
            'nam = "plain"',
            "nam =",
            "nam: unknown key: there are name, include, hosts, links, servers, uplinks, nat64, vpns, portals",
        ),
        (
            'kind = "echo", host = "laptop"',
            'host = "laptop"',
            "laptop-echo",
            f"servers.laptop-echo: the key 'kind' is missing: there are {keys(Server)}",
        ),
    ],
)
def test_an_error_says_file_line_key_and_what_is_allowed(
    right: str, wrong: str, line: str, message: str
) -> None:
    text = PLAIN.replace(right, wrong, 1)
    number = next(n for n, each in enumerate(text.splitlines(), 1) if line in each)

    with pytest.raises(DescriptionError) as caught:
        parse_profile(text, "my.toml")

    assert str(caught.value) == f"my.toml:{number}: {message}"


def test_broken_toml_has_its_line_too() -> None:
    with pytest.raises(DescriptionError, match=r"^my\.toml:2: .*toml\.io"):
        parse_profile('name = "x"\nhosts = ]', "my.toml")


def test_a_profile_can_be_a_file_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN)

    assert load_profile(str(path)) == load_profile("plain")


@pytest.mark.parametrize("name", ["no-such-profile", "./no-such-file.toml"])
def test_an_unknown_profile_is_an_error_with_a_way_out(name: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        load_profile(name)

    assert name in caught.value.message
    assert caught.value.remedy


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"name = '\xff'")

    with pytest.raises(DescriptionError, match="not UTF-8"):
        load_profile(str(path))
