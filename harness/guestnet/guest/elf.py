"""The little of ELF that an image build needs: which libraries a program wants, which modules a module wants.

Source: System V ABI, "Object Files" and "Dynamic Section"; Linux include/linux/module.h for ``.modinfo``.
64-bit little-endian files only.
"""

import struct
from typing import Final

import msgspec

MAGIC: Final = b"\x7fELF"
_IDENT_64_LE: Final = MAGIC + b"\x02\x01"
_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_PT_INTERP: Final = 3
_DT_NEEDED: Final = 1
_DT_STRTAB: Final = 5


class Needs(msgspec.Struct, frozen=True):
    """``interpreter`` is the dynamic loader's path ("" for a static program), ``libraries`` are sonames."""

    interpreter: str
    libraries: tuple[str, ...]


def needs(data: bytes) -> Needs:
    """What a program or shared library needs to be loaded; nothing for what is not ELF."""
    if not data.startswith(_IDENT_64_LE):
        return Needs("", ())
    (offset,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)]
    interpreter = ""
    dynamic: list[tuple[int, int]] = []
    for kind, _, start, _, _, length, _, _ in segments:
        if kind == _PT_INTERP:
            interpreter = data[start : start + length].rstrip(b"\0").decode()
        elif kind == _PT_DYNAMIC:
            dynamic = [struct.unpack_from("<QQ", data, start + at) for at in range(0, length, 16)]
    table = next((value for tag, value in dynamic if tag == _DT_STRTAB), 0)
    strings = next(
        (table - address + start for kind, _, start, address, _, length, _, _ in segments
         if kind == _PT_LOAD and address <= table < address + length),
        0,
    )  # fmt: skip
    return Needs(
        interpreter, tuple(_string(data, strings + value) for tag, value in dynamic if tag == _DT_NEEDED)
    )


def module_depends(data: bytes) -> tuple[str, ...]:
    """The modules that a kernel module names in its ``.modinfo`` as those to load before it."""
    return tuple(
        name.replace("-", "_")
        for entry in _section(data, ".modinfo").split(b"\0")
        if entry.startswith(b"depends=")
        for name in entry.removeprefix(b"depends=").decode().split(",")
        if name
    )


def _section(data: bytes, name: str) -> bytes:
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    strings = headers[names][4]
    for label, _, _, _, start, length in headers:
        if _string(data, strings + label) == name:
            return data[start : start + length]
    return b""


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
