"""The PATH of the suite (tests.support.path), on a small Debian."""

from pathlib import Path

import pytest

from guestnet.system.programs import SYSTEM_PATH
from tests.support.path import only_known

STATUS = """Package: coreutils
Essential: yes
Architecture: amd64
Description: a line
 Priority: required
 .

Package: procps
Priority: important
Architecture: amd64

Package: libc-bin
Priority: required
Architecture: amd64
"""


def put(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of packages, one of the table, and one that somebody has put there."""
    root = tmp_path / "root"
    info = root / "dpkg" / "info"
    info.mkdir(parents=True)
    (root / "dpkg" / "status").write_text(STATUS)
    packages = {"coreutils": ("bin/cat", "usr/sbin/chroot"), "libc-bin:amd64": ("usr/bin/ldd",)}
    for package, places in (packages | {"procps": ("usr/bin/ps",)}).items():
        files = [put(root / place) for place in places]
        (info / f"{package}.list").write_text("\n".join(["/.", "/etc/bin/gone", *files]))
    put(root / "usr/bin/tshark")
    put(root / "usr/bin/ip")
    put(root / "usr/sbin/ip")
    put(root / "usr/sbin/nft")
    put(root / "usr/bin/handmade")
    monkeypatch.setenv("PATH", f"{root}/usr/bin:{root}/bin")
    monkeypatch.setenv(SYSTEM_PATH, f"{root}/usr/sbin")
    return root


def test_it_has_the_table_the_base_system_and_nothing_else(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()

    variables = only_known(folder, root / "dpkg")

    found = {str(place.relative_to(folder)) for place in folder.rglob("*") if not place.is_dir()}
    assert found == {"bin/cat", "sbin/chroot", "bin/ldd", "bin/tshark", "bin/ip", "sbin/ip", "sbin/nft"}
    assert (folder / "bin/cat").readlink() == root / "bin/cat"
    assert variables[SYSTEM_PATH] == f"{folder}/sbin"
    assert variables["PATH"].endswith(f"{folder}/bin")
    assert str(root) not in variables["PATH"]


def test_where_the_base_system_is_not_known_path_stays(root: Path, tmp_path: Path) -> None:
    assert only_known(tmp_path, tmp_path / "no-dpkg") == {}
