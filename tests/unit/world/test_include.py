from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.world.profiles.load import parse_profile

PART = """
[hosts.far]
forward = true
addresses = ["203.0.113.10"]

[servers.shop]
kind = "http"
host = "far"
addresses = ["203.0.113.10"]
port = 80
"""
PROFILE = """
name = "mine"
include = "net"

[links.wifi]
ends.laptop = ["10.0.0.2/24"]
ends.far = ["10.0.0.1/24"]

[hosts.laptop]

[hosts.far]
addresses = ["203.0.113.11", "203.0.113.12"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "net.toml").write_text(PART)
    return tmp_path


def message(text: str, folder: Path) -> str:
    with pytest.raises(DescriptionError) as caught:
        parse_profile(text, str(folder / "mine.toml"))
    return str(caught.value).replace(f"{folder}/", "")


def test_tables_are_joined_and_lists_follow_each_other(folder: Path) -> None:
    world = parse_profile(PROFILE, str(folder / "mine.toml"))

    assert world.hosts["far"].addresses == ("203.0.113.10", "203.0.113.11", "203.0.113.12")
    assert world.hosts["far"].forward
    assert list(world.servers) == ["shop"]


def test_an_error_is_in_the_file_that_says_it(folder: Path) -> None:
    assert message(PROFILE.replace("203.0.113.12", "x"), folder).startswith(
        "mine.toml:12: hosts.far.addresses[2]: 'x' is no address"
    )
    (folder / "parts" / "net.toml").write_text(PART.replace('["203.0.113.10"]', '["y"]', 1))
    assert message(PROFILE, folder).startswith("parts/net.toml:4: hosts.far.addresses[0]: 'y' is no address")


def test_an_unknown_key_of_a_part_is_told_there(folder: Path) -> None:
    (folder / "parts" / "net.toml").write_text(PART.replace("port = 80", "prot = 80"))

    assert message(PROFILE, folder).startswith("parts/net.toml:10: servers.shop.prot: unknown key")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"net"', '"nte"', "mine.toml:3: include[0]: there is no part 'nte': give one of"),
        ('"net"', "3", "mine.toml:3: include: is no name"),
        ("[hosts.far]\n", "[hosts.far]\nforward = false\n", "mine.toml:12: hosts.far.forward: net.toml says"),
    ],
)
def test_what_can_not_be_included_is_told(folder: Path, old: str, new: str, told: str) -> None:
    assert message(PROFILE.replace(old, new), folder).startswith(told)


def test_a_part_includes_nothing(folder: Path) -> None:
    (folder / "parts" / "net.toml").write_text('include = "other"\n' + PART)

    assert message(PROFILE, folder).startswith("parts/net.toml:1: include: a part includes nothing")
