"""A cpio archive in the form the kernel unpacks as an initramfs, the same bytes for the same entries.

Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc", magic 070701). All inodes
are numbered in order, owned by root, with time 0, so that nothing of the building machine gets in.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"
DIRECTORY: Final = 0o040755
EXECUTABLE: Final = 0o100755
FILE: Final = 0o100644
LINK: Final = 0o120777
CHARACTER_DEVICE: Final = 0o020600


class Entry(msgspec.Struct, frozen=True):
    """One member. ``mode`` has the type bits; ``device`` is (major, minor) of a device; a link's content is
    its target."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of ``entries`` in the order given; a folder must come before what is in it."""
    parts = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    parts.append(_member(0, Entry(_TRAILER, 0)))
    return b"".join(parts)


def _member(inode: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    fields = (
        inode, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0,
    )  # fmt: skip
    header = _MAGIC + b"".join(b"%08x" % field for field in fields) + name
    return _padded(header) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
