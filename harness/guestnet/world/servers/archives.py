"""Archives that are the same octets every time: what packages and images are made of."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

BUILT: Final = 1_750_000_000
"""Modification time of everything, seconds since the epoch."""
_PROGRAMS: Final = (b"#!", b"\x7fELF")


def tar(files: Mapping[str, bytes], *, folders: bool = False) -> bytes:
    """A tar archive of root's ``files`` by path; programs can be run.

    With ``folders`` those of the files come first: dpkg makes none that a package does not have.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        above = {str(folder) for name in files for folder in PurePosixPath(name).parents}
        for folder in sorted(above - {"."}) if folders else ():
            archive.addfile(_member(f"./{folder}", tarfile.DIRTYPE, 0o755))
        for name, octets in files.items():
            member = _member(f"./{name}", tarfile.REGTYPE, 0o755 if octets.startswith(_PROGRAMS) else 0o644)
            member.size = len(octets)
            archive.addfile(member, io.BytesIO(octets))
    return packed.getvalue()


def gzipped(octets: bytes) -> bytes:
    """``octets``, compressed a little."""
    return gzip.compress(octets, compresslevel=1, mtime=BUILT)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, BUILT
    return member
