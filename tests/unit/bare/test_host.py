"""What of this machine a bare machine gets to reach the network."""

import configparser
from pathlib import Path

from tests.bare.host import apt_settings, named_places, pip_settings

DUMP = """APT::Architecture "amd64";
Acquire::cdrom::mount "/media/cdrom";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::CaInfo "/opt/ca.pem";
Acquire::Retries "3";
Acquire::Languages "none";
Dir::State "var/lib/apt";
"""
LISTING = """global.cert='/etc/ssl/certs/ca.crt'
global.extra-index-url='\\nhttps://one.example/simple\\nfile:///opt/index'
install.no-binary='x'
:env:.timeout='60'
"""


def test_of_apts_configuration_it_gets_how_to_reach_mirrors() -> None:
    assert apt_settings(DUMP, {}).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CaInfo "/opt/ca.pem";',
        'Acquire::Retries "3";',
    ]


def test_a_proxy_of_the_environment_is_apts_unless_apt_has_its_own() -> None:
    environment = {"http_proxy": "http://other.example", "https_proxy": "http://other.example"}
    lines = apt_settings(DUMP, environment).splitlines()
    assert [line for line in lines if "Proxy" in line] == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::Proxy "http://other.example";',
    ]


def test_pips_settings_become_one_file_that_pip_can_read() -> None:
    parsed = configparser.RawConfigParser()
    parsed.read_string(pip_settings(LISTING))
    assert parsed["global"]["cert"] == "/etc/ssl/certs/ca.crt"
    assert parsed["global"]["extra-index-url"].split() == ["https://one.example/simple", "file:///opt/index"]
    assert parsed["global"]["timeout"] == "60"
    assert parsed["install"]["no-binary"] == "x"


def test_places_that_settings_name_are_shown(tmp_path: Path) -> None:
    index, wheels = tmp_path / "pypi" / "simple", tmp_path / "wheels"
    index.mkdir(parents=True)
    wheels.touch()
    others = [str(tmp_path / "gone"), "https://one.example/etc", "relative", "/", "/etc/ssl"]
    assert named_places([f"file://{index}", str(wheels), str(wheels), *others]) == [index.parent, wheels]
