"""The initramfs archive, read back by the system's own cpio."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from guestnet.guest import cpio
from guestnet.system.programs import require

ENTRIES = [
    cpio.Entry("bin", cpio.DIRECTORY),
    cpio.Entry("bin/init", cpio.EXECUTABLE, b"#!/bin/sh\n"),
    cpio.Entry("bin/sh", cpio.LINK, b"busybox"),
    cpio.Entry("note", cpio.FILE, b"odd"),
]


def test_cpio_unpacks_what_was_archived(tmp_path: Path) -> None:
    subprocess.run([require("cpio"), "-i", "--quiet"], input=cpio.archive(ENTRIES), cwd=tmp_path, check=True)

    assert (tmp_path / "bin/init").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin/init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bin/sh").readlink() == Path("busybox")
    assert (tmp_path / "note").read_bytes() == b"odd"


def test_same_entries_give_the_same_bytes() -> None:
    assert cpio.archive(ENTRIES) == cpio.archive(list(ENTRIES))


@given(st.binary(max_size=9), st.text("abc", min_size=1, max_size=9))
def test_every_member_starts_on_a_multiple_of_four(content: bytes, name: str) -> None:
    archive = cpio.archive([cpio.Entry(name, cpio.FILE, content), cpio.Entry("last", cpio.FILE)])

    assert len(archive) % 4 == 0
    assert archive.rindex(b"070701", 0, archive.index(b"last")) % 4 == 0
