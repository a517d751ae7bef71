"""What apt's failures become, by an apt that fails on demand; and whom the real one trusts."""

import base64
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import debian
from guestnet.guest.cache import Cache
from guestnet.guest.packages import Apt, Archive, Package
from guestnet.world.servers.openpgp import Signer

RELEASE = "bookworm"

URIS = (
    "'http://h/b/busybox-static_1.35_amd64.deb' busybox-static_1%3a1.35_amd64.deb 928188 SHA256:aa\n"
    "'http://h/d/dpkg_1.21_amd64.deb' dpkg_1.21_amd64.deb 10 SHA256:bb\n"
)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that PATH starts with, holding a dpkg-deb; tests put an apt-get there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    program(folder, "dpkg-deb", "exit 0")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def apt(folder: Path) -> Apt:
    return Apt(folder / "state", Cache(folder / "cache"), RELEASE)


def quiet(stage: str, done: int, total: int) -> None:
    """No progress is shown."""


def test_dependencies_are_read_and_some_left_out(tools: Path, tmp_path: Path) -> None:
    program(tools, "apt-get", f"cat <<'E'\nReading...\n{URIS}E")

    found = apt(tmp_path).resolve(["busybox-static"], ["dpk*"])

    file = "busybox-static_1%3a1.35_amd64.deb"
    assert found == [Package("busybox-static", "1:1.35", file, 928188, "SHA256:aa")]


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("E: Unable to locate package busybox-static", "bookworm does not have all packages"),
        ("E: Failed to fetch http://h/x.deb  404  Not Found", "check the network and the mirror"),
        ("E: Write error - write (28: No space left on device)", "is full"),
        ("E: You don't have enough free space in /x.", "is full"),
        ("E: Temporary failure resolving 'mirror.example'", "check the network"),
    ],
)
def test_complaints_of_apt_become_one_sentence(
    tools: Path, tmp_path: Path, complaint: str, said: str
) -> None:
    program(tools, "apt-get", f'echo "{complaint}"; exit 100')

    with pytest.raises(EnvironmentMissing, match=said) as caught:
        apt(tmp_path).resolve(["busybox-static"], [])
    assert "\n" not in str(caught.value)


# Where the package lists come from.

TWO_MIRRORS = """
case "$*" in
*"update --print-uris")
    echo "'http://first/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0"
    echo "'http://second/debian/dists/trixie/main/binary-amd64/Packages.xz' x 0" ;;
*" update")
    if grep -q first sources/debian.sources; then
        {first}
    fi ;;
*indextargets*) echo "{codename} 12.15" ;;
esac
"""


def two_mirrors(folder: Path, first: str, codename: str = RELEASE) -> None:
    script = TWO_MIRRORS.replace("{first}", first).replace("{codename}", codename)
    program(folder, "apt-get", script)


@pytest.fixture(autouse=True)
def _no_mirror_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(debian.MIRROR_VARIABLE, raising=False)


def test_the_first_mirror_that_is_one_is_taken(tools: Path, tmp_path: Path) -> None:
    two_mirrors(tools, "echo 'W: GPG error: no'; exit 100")
    assert apt(tmp_path).update() == Archive("http://second/debian", "12.15")

    two_mirrors(tools, "exit 0")
    assert apt(tmp_path).update() == Archive("http://first/debian", "12.15")


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("W: GPG error: http://first/debian x InRelease: NO_PUBKEY 6ED0", "is not signed by Debian's key"),
        ("W: OpenPGP signature verification failed: Missing key 4D64", "is not signed by Debian's key"),
        ("E: The repository 'http://first' does not have a Release file.", "has no Debian release bookworm"),
        (
            "E: Failed to fetch http://me:secret@first/x  Could not resolve 'first'",
            r"bookworm can't be had from http://first/debian \(Could not resolve 'first'\)",
        ),
        ("E: Write error - write (28: No space left on device)", "is full: free 1 GB"),
    ],
)
def test_what_is_wrong_with_a_mirror_is_said(tools: Path, tmp_path: Path, complaint: str, said: str) -> None:
    two_mirrors(tools, f'echo "{complaint}"; exit 100')

    with pytest.raises(EnvironmentMissing, match=said) as caught:
        apt(tmp_path).update("http://me:secret@first/debian")
    assert "secret" not in str(caught.value)


def test_all_mirrors_are_told_when_none_will_do(tools: Path, tmp_path: Path) -> None:
    two_mirrors(tools, "echo 'W: GPG error: no'; exit 100", codename="trixie")

    with pytest.raises(EnvironmentMissing) as caught:
        apt(tmp_path).update()
    assert "what http://first/debian has as bookworm is not signed" in caught.value.message
    assert "http://second/debian (it has trixie in the place of bookworm)" in caught.value.message
    assert "--mirror" in caught.value.remedy


def mirror_of(folder: Path, signer: Signer) -> str:
    """The address of a mirror with one package, signed by ``signer``."""
    packages = (
        "Package: hello\nVersion: 1.0\nArchitecture: all\nDepends: sea\nFilename: pool/hello_1.0_all.deb\n"
        f"Size: 4\nSHA256: {hashlib.sha256(b'deb').hexdigest()}\nDescription: x\nMaintainer: x\n\n"
        "Package: sea\nVersion: 2:1-1\nArchitecture: amd64\nFilename: pool/sea_1-1_amd64.deb\n"
        f"Size: 4\nSHA256: {hashlib.sha256(b'deb').hexdigest()}\nDescription: x\nMaintainer: x\n"
    ).encode()
    suite = folder / "dists" / RELEASE
    (suite / "main" / "binary-amd64").mkdir(parents=True)
    (suite / "main" / "binary-amd64" / "Packages").write_bytes(packages)
    release = (
        f"Origin: Debian\nSuite: oldstable\nVersion: 12.99\nCodename: {RELEASE}\n"
        "Date: Sun, 15 Jun 2025 15:06:40 UTC\nArchitectures: all amd64\nComponents: main\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n"
    )
    (suite / "InRelease").write_text(signer.clearsigned(release))
    return folder.as_uri()


def armoured(signer: Signer) -> str:
    coded = base64.encodebytes(signer.keyring).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{coded}-----END PGP PUBLIC KEY BLOCK-----\n"


real_apt = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb"))) or not any(map(shutil.which, ("gpgv", "sqv"))),
    reason="there is no apt here",
)


@real_apt
def test_only_the_releases_own_key_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Signer("a release of Debian", 1_750_000_000)
    address = mirror_of(tmp_path / "a mirror", release)

    with pytest.raises(EnvironmentMissing, match="as bookworm is not signed by Debian's key"):
        apt(tmp_path).update(address)

    monkeypatch.setattr(debian, "key_of", {RELEASE: armoured(release)}.__getitem__)
    trusting = apt(tmp_path)
    assert trusting.update(address) == Archive(address, "12.99")
    assert [(one.name, one.version) for one in trusting.resolve(["hello"], [])] == [
        ("hello", "1.0"),
        ("sea", "2:1-1"),
    ]


@real_apt
def test_of_the_systems_configuration_hooks_and_lax_rules_play_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Mapping[str, str] = {
        "APT::Update::Pre-Invoke::": f"touch {tmp_path}/hooked",
        "APT::Update::Post-Invoke::": f"touch {tmp_path}/hooked",
        "APT::Update::Post-Invoke-Success::": f"touch {tmp_path}/hooked",
        "APT::Architectures::": "i386",
        "APT::Default-Release": "stable",
        "APT::Get::AllowUnauthenticated": "true",
        "Acquire::AllowInsecureRepositories": "true",
    }
    configuration = tmp_path / "apt.conf"
    configuration.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    release = Signer("a release of Debian", 1_750_000_000)
    address = mirror_of(tmp_path / "mirror", release)

    with pytest.raises(EnvironmentMissing, match="is not signed"):
        apt(tmp_path).update(address)
    monkeypatch.setattr(debian, "key_of", {RELEASE: armoured(release)}.__getitem__)
    trusting = apt(tmp_path)
    trusting.update(address)

    assert len(trusting.resolve(["hello"], [])) == 2
    assert not (tmp_path / "hooked").exists()


def test_a_download_that_brings_less_is_an_error(tools: Path, tmp_path: Path) -> None:
    program(tools, "apt-get", "exit 0")

    with pytest.raises(EnvironmentMissing, match="apt failed at download"):
        apt(tmp_path).download([Package("a", "1", "a_1_amd64.deb", 1, "")], tmp_path, quiet)


def test_progress_follows_apt(tools: Path, tmp_path: Path) -> None:
    # apt is told the descriptor to report on by an option; the last word of that option is its number.
    script = """
exec python3 - "$@" <<'END'
import os, sys
descriptor = next(int(word.split("=")[1]) for word in sys.argv if "Status-Fd" in word)
os.write(descriptor, b"dlstatus:1:50.5:Retrieving file 1 of 1\\n")
open("a.deb", "w").close()
END
"""
    program(tools, "apt-get", script)
    seen: list[tuple[str, int, int]] = []

    def see(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))

    apt(tmp_path).download([Package("a", "1", "a.deb", 1, "")], tmp_path, see)

    assert seen == [("downloading packages", done, 100) for done in (0, 50, 100)]


def test_without_apt_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentMissing, match=r"^apt-get is not installed \(it downloads"):
        apt(tmp_path)
