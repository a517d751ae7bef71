"""Which releases are known, and where a machine gets Debian from."""

from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.guest import debian

FRESH_DEBIAN = """
'http://mirror.example/debian/dists/trixie/InRelease' mirror.example_debian_dists_trixie_InRelease 0
'http://mirror.example/debian-security/dists/trixie-security/InRelease' x_InRelease 0
'http://mirror.example/debian/dists/trixie/main/binary-amd64/Packages.xz' x_Packages 0
'http://mirror.example/debian/dists/trixie/main/binary-all/Packages.xz' x_Packages 0
'http://mirror.example/debian/dists/trixie-updates/main/binary-amd64/Packages.xz' x_Packages 0
'http://mirror.example/debian-security/dists/trixie-security/main/binary-amd64/Packages.xz' x_Packages 0
"""
MANY = """
'cdrom://[Debian GNU/Linux 12.0.0]/dists/bookworm/main/binary-amd64/Packages.xz' x 0
'https://download.docker.example/linux/debian/dists/bookworm/stable/binary-amd64/Packages.bz2' x 0
'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/main/binary-amd64/Packages.xz' x 0
'http://somebody:secret@near.example/debian/dists/stable/main/binary-amd64/Packages.xz' x 0
"""
UBUNTU = """
'http://ubuntu.example/ubuntu/dists/noble/main/binary-amd64/Packages.xz' x 0
'http://ubuntu.example/ubuntu/dists/noble/universe/binary-amd64/Packages.xz' x 0
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file whose content apt-get says when it is asked for the machine's sources."""
    says = tmp_path / "says"
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\ncase "$*" in *"update --print-uris") cat {says} ;; *) exit 9 ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv(debian.MIRROR_VARIABLE, raising=False)
    return says


def test_the_releases_are_those_whose_keys_are_carried() -> None:
    assert debian.releases() == ["bookworm", "trixie"]
    for release in debian.releases():
        assert debian.key_of(release).startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    assert debian.key_of("bookworm") != debian.key_of("trixie")


def test_an_unknown_release_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DescriptionError, match="release 'sarge': give one of: bookworm, trixie"):
        debian.key_of("sarge")


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (FRESH_DEBIAN, ["http://mirror.example/debian"]),
        (MANY, ["mirror+file:/etc/apt/mirrors/debian.list", "http://somebody:secret@near.example/debian"]),
        (UBUNTU + FRESH_DEBIAN, ["http://mirror.example/debian"]),
    ],
)
def test_mirrors_are_those_of_the_machines_apt(sources: Path, listed: str, found: list[str]) -> None:
    sources.write_text(listed)
    assert debian.mirrors() == found


def test_a_machine_without_a_mirror_of_debian_is_told_how_to_name_one(sources: Path) -> None:
    sources.write_text(UBUNTU)
    with pytest.raises(EnvironmentMissing, match=r"no mirror of Debian.*name a mirror.*--mirror URL"):
        debian.mirrors()


def test_sources_that_apt_can_not_read_are_told_in_its_words(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: Malformed entry 3 in list file x' >&2\nexit 100\n")
    with pytest.raises(EnvironmentMissing, match=r"sources \(E: Malformed entry 3 in list file x\): mend"):
        debian.mirrors()


def test_a_mirror_that_is_asked_for_is_the_only_one(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.write_text(FRESH_DEBIAN)
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "http://of.the.environment/debian")
    assert debian.mirrors() == ["http://of.the.environment/debian"]
    assert debian.mirrors("file:/srv/debian") == ["file:/srv/debian"]


@pytest.mark.parametrize("asked", ["near", "http://a b", "http://a\nTrusted: yes", "deb http://a"])
def test_what_is_no_url_is_refused(asked: str) -> None:
    with pytest.raises(DescriptionError, match="is no URL"):
        debian.mirrors(asked)


def test_people_do_not_see_passwords() -> None:
    said = debian.shown("E: Failed to fetch http://me:secret@h/debian/dists/x  401, http://h/a@b")
    assert said == "E: Failed to fetch http://h/debian/dists/x  401, http://h/a@b"
